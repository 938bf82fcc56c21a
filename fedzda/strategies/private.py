"""Differential privacy of the clients around a strategy that averages their models.

The clipping and the noise are Flower's wrappers, or hooks of our own at the clients. What is added
here makes their guarantee hold:

- every client counts the same, whatever the number of its samples: the noise is calibrated to
  ``clipping_norm / cohort``, the most that one client can move the mean;
- only trained weights are clipped and get noise. BatchNorm statistics and counters are kept apart,
  see ``buffers``;
- no reply may be missing.

Training and evaluation metrics are measurements of the simulation and stand outside the guarantee.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid

from fedzda.base import RunError, UserError
from fedzda.platform.averaging import WeightedSum
from fedzda.platform.config import PrivacyConfig
from fedzda.platform.records import array_record
from fedzda.platform.setting import Setting
from fedzda.platform.state_codec import restore, state_of
from fedzda.strategies.apart import put_back, select, take_out
from fedzda.strategies.base import MeanStrategy
from fedzda.strategies.config.private import AdaptiveConfig, CentralConfig
from fedzda.strategies.private_spent import spent
from fedzda.strategies.private_wrappers import wrapped

CLIPPING, NOISE, NORM_BIT = "clipping_norm", "noise-stddev", "report-norm-bit"
"""Keys of a request: a client clips its update, adds noise, says whether it was clipped. The first
is the key that Flower's client-side wrappers send."""


class PrivateStrategy(MeanStrategy):
    """Clipping and noise around a strategy.

    Leaves the client: its model, with ``client-…`` after clipping, with ``local`` after noise as
    well; with ``client-adaptive`` also whether it was clipped.

    Args:
        block: The ``privacy:`` block.
        core: The strategy inside, ours or Flower's.
    """

    def __init__(self, block: PrivacyConfig, core: MeanStrategy) -> None:
        super().__init__(core.config)
        core.needs_models = True  # workers' sums would come too late for clipping at the server
        self.block: Any = block
        self.core = core

    def check(self, model: torch.nn.Module) -> None:
        """Refuse BatchNorm statistics that would leave the clients as they are."""
        names = [name for name, _ in model.named_buffers()]
        if names and self.block.buffers == "refuse":
            raise UserError(
                f"privacy cannot cover the model's {len(names)} arrays that are not trained "
                f"('{names[0]}' and so on): BatchNorm statistics leave the clients without noise. "
                "Take a model without BatchNorm, or set privacy.buffers to 'expose' and leave them "
                "outside the guarantee."
            )

    def check_cohort(self, cohort: int) -> None:
        """Refuse adaptive clipping whose noisy count would use up the whole budget."""
        if isinstance(self.block, AdaptiveConfig):
            limit = 2 * self.block.count_stddev(cohort)
            if self.block.noise_multiplier >= limit:
                raise UserError(
                    f"privacy.noise_multiplier is {self.block.noise_multiplier}, but with "
                    f"{cohort} clients per round it must be below {limit:g}, twice the noise on "
                    "the number of clipped updates. Lower it, raise strategy.clients_per_round, "
                    "or raise privacy.clipped_count_stddev."
                )

    def bind(self, setting: Setting) -> None:
        """Wrap the strategy now that the population is known."""
        super().bind(setting)
        self.core.bind(setting)
        total = setting.num_clients
        self.cohort_size = min(self.config.clients_per_round or total, total)
        self.inner: Any = self.core
        if isinstance(self.block, CentralConfig):
            self.inner = wrapped(self.block, self.core, self.cohort_size)

    @property
    def untrained(self) -> frozenset[str]:
        """Arrays that get neither clipping nor noise."""
        return self.setting.buffers | self.setting.frozen

    @property
    def clipping_norm(self) -> float:
        """The clipping norm of the next round."""
        source = self.inner if isinstance(self.block, CentralConfig) else self.block
        return float(source.clipping_norm)

    def state(self) -> dict[str, Any]:
        """The clipping norm, which may have adapted, and what the strategy inside keeps."""
        return {"clipping_norm": self.clipping_norm, "core": state_of(self.core)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take both over."""
        if isinstance(self.block, CentralConfig):
            self.inner.clipping_norm = state["clipping_norm"]
        restore(self.core, state["core"])

    def save_artifacts(self, folder: Path, server_round: int) -> None:
        """Leave it to the strategy inside."""
        self.core.save_artifacts(folder, server_round)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The strategy's messages, with what switches on the client's half."""
        if not isinstance(self.block, CentralConfig):
            config.update({CLIPPING: self.block.clipping_norm, NOISE: self.block.noise_stddev()})
        elif isinstance(self.block, AdaptiveConfig) and self.block.at_client:
            config[NORM_BIT] = True  # the norm itself is sent by Flower's wrapper
        trained = select(arrays, self.untrained, inside=False)
        rest = select(arrays, self.untrained, inside=True)
        return put_back(self.inner.configure_train(server_round, trained, config, grid), rest)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The noisy mean of clipped models; every client has weight 1."""
        asked = list(replies)
        total = WeightedSum(pooled=self.config.batchnorm == "pooled")
        for reply in asked:
            take_out(reply, self.untrained, total, 1.0)
            reply.content.metric_records["metrics"]["num-examples"] = 1
        try:
            new, metrics = self.inner.aggregate_train(server_round, asked)
        except ZeroDivisionError as error:
            raise RunError(
                f"a client sent back the model it received in round {server_round}, and Flower's "
                "clipping at the server divides by the length of the update. "
                "Take clipping at the client: privacy.name 'client-fixed' or 'client-adaptive'."
            ) from error
        assert new is not None, "Flower's wrapper drops a round only if a reply is missing"
        assert metrics is not None
        metrics["clipping-norm"] = self.clipping_norm
        return ArrayRecord({**new, **array_record(total.mean())}), metrics

    def privacy_spent(self, rounds: int, participation: int) -> dict[str, Any]:
        """What the run so far guarantees, as ``summary.json`` keeps it.

        Args:
            rounds: Rounds done.
            participation: Rounds that the client with the most of them took part in.
        """
        rate = self.cohort_size / self.setting.num_clients
        uncovered = ["metrics", *(["batchnorm"] if self.setting.buffers else [])]
        return {
            "name": self.block.name,
            "delta": self.block.delta,
            "clipping_norm": self.clipping_norm,
            "accountant": "rdp",
            **spent(self.block, rate, rounds, participation),
            "not_covered": uncovered,
        }
