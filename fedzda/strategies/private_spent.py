"""Epsilon of a private run, under the assumptions that its configuration names.

``none``: the cohorts may be known, but do not depend on the data. A client's loss then adds up over
the rounds it took part in; the figure is that of the client with the most of them. Neighbours: one
client's updates are counted or replaced by nothing.

``without-replacement``: the cohorts are secret and of fixed size, as they are drawn here.
Neighbours: one client's data are replaced, which moves the sum by up to twice the clipping norm.

``poisson``: every client throws its own coin, which is *not* how cohorts are drawn here; the figure
is for comparison with publications. Neighbours: one client is there or not.
"""

from __future__ import annotations

from typing import Any

from fedzda.platform.config import PrivacyConfig
from fedzda.platform.privacy import rdp
from fedzda.strategies.config.private import CentralConfig, LocalDpConfig


def spent(block: PrivacyConfig, rate: float, rounds: int, participation: int) -> dict[str, Any]:
    """Epsilon and what it stands on; epsilon is None where there is no noise.

    Args:
        block: The ``privacy:`` block.
        rate: Cohort divided by all clients, in (0, 1].
        rounds: Rounds done.
        participation: Rounds that the client with the most of them took part in.
    """
    if isinstance(block, LocalDpConfig):
        return _local(block, participation)
    assert isinstance(block, CentralConfig)
    z = block.noise_multiplier
    kind = block.amplification
    neighbours, releases = {
        "none": ("zero-out", participation),
        "without-replacement": ("replace-one", rounds),
        "poisson": ("add-or-remove-one", rounds),
    }[kind]
    found = {
        "noise_multiplier": z,
        "amplification": kind,
        "neighbours": neighbours,
        "releases": releases,
    }
    if z == 0:
        return {"epsilon": None, **found}

    def one(alpha: float) -> float:
        if kind == "poisson":
            return rdp.poisson(z, rate, alpha)
        if kind == "without-replacement":
            return rdp.without_replacement(z / 2, rate, alpha)
        return rdp.gaussian(z, alpha)

    return {"epsilon": rdp.epsilon(one, releases, block.delta), **found}


def _local(block: LocalDpConfig, participation: int) -> dict[str, Any]:
    """Every client's own messages: two clipped updates are at most twice the norm apart."""
    multiplier = block.noise_stddev() / block.clipping_norm

    def one(alpha: float) -> float:
        return rdp.gaussian(multiplier / 2, alpha)

    return {
        "epsilon": rdp.epsilon(one, participation, block.delta),
        "noise_multiplier": multiplier,
        "amplification": "none",
        "neighbours": "replace-one",
        "releases": participation,
    }
