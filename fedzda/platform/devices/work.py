"""What clients compute in a round: the samples they hold then, and what a method adds to them.

A strategy that lets clients do more than plain local training says so in its requests, as
:class:`ExtraWork`. Everything is counted in samples that pass through the global model, so what
another network does (a generator's own layers) is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fedzda.platform.config import LocalConfig
from fedzda.platform.data.apportion import Ints
from fedzda.platform.scenario.schedule import PhaseSchedule

EXTRA_WORK = "fedzda.extra-work"
"""Config key of a request: what the client does beside plain local training, as JSON."""


def samples_seen(held: Ints, local: LocalConfig) -> Ints:
    """Samples in all gradient steps of a round of local training, from those that clients hold."""
    if local.steps is None:
        return held * local.epochs
    per_epoch = np.maximum(1, held // local.batch_size + (held % local.batch_size > 1))
    rest = (local.steps % per_epoch) * local.batch_size
    return np.asarray(local.steps // per_epoch * held + rest, dtype=np.int64)


def deficit(counts_C: Ints, fill: str, cap: float) -> Ints:
    """Synthetic samples per class for a client with ``counts_C`` real ones.

    ``to_max``: up to the largest class; ``to_mean``: up to the mean over the classes it has. No
    class gets more than ``cap * sum(counts) / C``, rounded up; ``every_class``: all get that many.
    """
    limit = int(-(-cap * float(counts_C.sum()) // len(counts_C)))
    if fill == "every_class":
        return np.full_like(counts_C, limit)
    held = counts_C[counts_C > 0]
    level = int(counts_C.max() if fill == "to_max" else held.mean().round())
    return np.clip(level - counts_C, 0, limit)


def balancing(counts_C: Ints) -> Ints:
    """Repetitions per class that bring every class a client holds up to its largest."""
    return np.where(counts_C > 0, counts_C.max() - counts_C, 0)


def images_in_steps(synthesizer: Any) -> int:
    """Images that pass through the classifier, with gradients, while a synthesizer is fitted; 0
    where its configuration has no such property."""
    return int(getattr(synthesizer, "images_in_steps", 0))


@dataclass(frozen=True)
class ExtraWork:
    """What a client does in a round beside plain local training.

    Attributes:
        trainings: Further trainings on its own samples, each as long as the plain one.
        forward: Further passes without gradients over its own samples.
        images: Images in gradient steps that make images: batch size times steps.
        fill: Rule by which it adds samples of classes it is short of (see :func:`deficit`), or
            ``balance`` (see :func:`balancing`); empty: it adds none.
        cap: See :func:`deficit`.
        apart: Added samples come as a second batch in every step, not as more steps.
    """

    trainings: float = 0.0
    forward: float = 0.0
    images: int = 0
    fill: str = ""
    cap: float = 1.0
    apart: bool = False

    def told(self) -> str:
        """As a request carries it."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ExtraWork:
        """What a request says; nothing where it is silent."""
        return cls(**json.loads(config[EXTRA_WORK])) if EXTRA_WORK in config else cls()

    def added(self, counts_C: Ints | None) -> int:
        """Samples that a client adds to those it holds."""
        if not self.fill or counts_C is None or not counts_C.sum():
            return 0
        if self.fill == "balance":
            return int(balancing(counts_C).sum())
        return int(deficit(counts_C, self.fill, self.cap).sum())


@dataclass(frozen=True)
class Samples:
    """Training samples of the clients.

    Attributes:
        sizes_N: All samples of each client.
        by_class: Counts them by class, ``(N, C)``, when that is first asked for; None: they have no
            classes.
        schedule: Phases in which the classes come; None: all are there from the start.
    """

    sizes_N: Ints
    by_class: Callable[[], Ints] | None = None
    schedule: PhaseSchedule | None = None

    @cached_property
    def counts_NC(self) -> Ints | None:
        """Samples of each client and class."""
        return None if self.by_class is None else self.by_class()

    def held(self, clients: Ints, round_: int) -> Ints:
        """``(len(clients),)`` samples that exist in a round."""
        if self.schedule is None or self.counts_NC is None:
            return self.sizes_N[clients]
        return np.asarray(self.counts_NC[clients][:, self._new(round_)].sum(axis=1))

    def counts_C(self, client: int, round_: int) -> Ints | None:
        """Samples of each class that a client holds in a round."""
        if self.counts_NC is None:
            return None
        counts_C: Ints = self.counts_NC[client]
        if self.schedule is None:
            return counts_C
        found: Ints = np.zeros_like(counts_C)
        found[self._new(round_)] = counts_C[self._new(round_)]
        return found

    def _new(self, round_: int) -> slice:
        """Places of the classes whose training samples exist in a round."""
        assert self.schedule is not None
        return self.schedule.trained(self.schedule.phase(round_))
