"""Flower's privacy wrappers, and the rule of Andrew et al. 2021 (arXiv 1905.03871) for its norm.

The fixed ones are Flower's. The adaptive ones deviate from Flower 1.41 in two points. Its norm
shrinks when *more* updates are clipped than wanted, so that it runs away from its target; here it
grows. And Flower adds noise for the norm of the next round to updates that were clipped at the norm
of this round, which is too little noise whenever the norm falls; here both use this round's norm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import (
    DifferentialPrivacyClientSideAdaptiveClipping,
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideAdaptiveClipping,
    DifferentialPrivacyServerSideFixedClipping,
    Strategy,
)
from flwr.serverapp.strategy.dp_adaptive_clipping import DifferentialPrivacyAdaptiveBase

from fedzda.strategies.config.private import AdaptiveConfig, CentralConfig, FixedConfig

if TYPE_CHECKING:
    _Base = DifferentialPrivacyAdaptiveBase
else:
    _Base = object


class _Adapted(_Base):
    """Moves the norm after the noise, towards the target."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Flower's, and only then the norm of the next round."""
        result = super().aggregate_train(server_round, replies)  # type: ignore[safe-super]
        self.clipping_norm *= self._factor
        return result

    def _geometric_update(self, clipped_fraction: float) -> None:
        away = clipped_fraction - self.target_clipped_quantile
        self._factor = math.exp(self.clip_norm_lr * away)


class ServerSideAdaptive(_Adapted, DifferentialPrivacyServerSideAdaptiveClipping):
    """Server-side adaptive clipping."""


class ClientSideAdaptive(_Adapted, DifferentialPrivacyClientSideAdaptiveClipping):
    """Client-side adaptive clipping."""


def wrapped(block: CentralConfig, core: Strategy, cohort: int) -> Any:
    """The wrapper that a ``privacy:`` block names, around ``core``, for ``cohort`` clients."""
    make: Any
    if isinstance(block, AdaptiveConfig):
        make = ClientSideAdaptive if block.at_client else ServerSideAdaptive
        return make(
            core,
            block.noise_multiplier,
            cohort,
            block.initial_clipping_norm,
            block.target_clipped_quantile,
            block.clip_norm_lr,
            block.clipped_count_stddev,
        )
    assert isinstance(block, FixedConfig)
    make = DifferentialPrivacyServerSideFixedClipping
    if block.at_client:
        make = DifferentialPrivacyClientSideFixedClipping
    return make(core, block.noise_multiplier, block.clipping_norm, cohort)
