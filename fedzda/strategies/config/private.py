"""Configuration of differential privacy (imports neither torch nor Flower).

The defaults of the adaptive kind are those of Andrew et al. 2021 (arXiv 1905.03871); all others
are our choice.
"""

from __future__ import annotations

from math import log, sqrt
from typing import ClassVar, Literal

from pydantic import Field

from fedzda.platform.config import PrivacyConfig


class CentralConfig(PrivacyConfig):
    """Noise added by the server to the mean of clipped updates."""

    at_client: ClassVar[bool]
    """Whether the clients clip their updates themselves."""

    noise_multiplier: float = Field(default=1.0, ge=0)
    """Standard deviation of the noise on the sum of the updates, divided by the clipping norm;
    0: clip only, which guarantees nothing."""
    amplification: Literal["none", "without-replacement", "poisson"] = "none"
    """What epsilon assumes about the drawing of cohorts: ``none``, nothing, they may be known;
    ``without-replacement``, they are secret and of fixed size, as they are drawn here; ``poisson``,
    every client throws its own coin, which is not done here, but usual in publications."""


class FixedConfig(CentralConfig):
    """A clipping norm that stays."""

    clipping_norm: float = Field(default=1.0, gt=0)
    """Largest L2 norm of a client's update; longer ones are scaled down."""


class AdaptiveConfig(CentralConfig):
    """A clipping norm that follows a quantile of the updates' norms (Andrew et al. 2021)."""

    fast: ClassVar[dict[str, float]] = {"noise_multiplier": 0.1, "clipped_count_stddev": 1.0}

    initial_clipping_norm: float = Field(default=0.1, gt=0)
    """Clipping norm of the first round."""
    target_clipped_quantile: float = Field(default=0.5, ge=0, le=1)
    """Share of the updates that should be clipped."""
    clip_norm_lr: float = Field(default=0.2, gt=0)
    """Step size of the clipping norm, which moves by a factor per round."""
    clipped_count_stddev: float | None = Field(default=None, gt=0)
    """Standard deviation of the noise on the number of clipped updates; left out: a twentieth of
    the cohort. ``noise_multiplier`` must be less than twice this number."""

    def count_stddev(self, cohort: int) -> float:
        """``clipped_count_stddev``, or its default for a cohort."""
        return self.clipped_count_stddev or cohort / 20


class CentralFixedConfig(FixedConfig):
    """Server-side fixed clipping, noise at the server."""

    at_client = False
    name: Literal["central-fixed"] = "central-fixed"


class ClientFixedConfig(FixedConfig):
    """Client-side fixed clipping, noise at the server."""

    at_client = True
    name: Literal["client-fixed"] = "client-fixed"


class CentralAdaptiveConfig(AdaptiveConfig):
    """Server-side adaptive clipping, noise at the server."""

    at_client = False
    name: Literal["central-adaptive"] = "central-adaptive"


class ClientAdaptiveConfig(AdaptiveConfig):
    """Client-side adaptive clipping, noise at the server."""

    at_client = True
    name: Literal["client-adaptive"] = "client-adaptive"


class LocalDpConfig(PrivacyConfig):
    """Clipping and noise at the client: the server is not trusted."""

    local = True
    name: Literal["local"] = "local"
    clipping_norm: float = Field(default=1.0, gt=0)
    """Largest L2 norm of a client's update; longer ones are scaled down."""
    epsilon: float = Field(default=1.0, gt=0)
    """Sets the noise of one round: ``sensitivity * sqrt(2 ln(1.25 / delta)) / epsilon`` per weight.
    What all rounds together guarantee stands in the summary."""
    sensitivity: float | None = Field(default=None, gt=0)
    """Left out: ``2 * clipping_norm``, the largest distance of two clipped updates. A smaller
    number means less noise, and the summary's epsilon grows accordingly."""

    def noise_stddev(self) -> float:
        """Standard deviation of the noise on every weight of an update."""
        sensitivity = self.sensitivity or 2 * self.clipping_norm
        return sensitivity * sqrt(2 * log(1.25 / self.delta)) / self.epsilon
