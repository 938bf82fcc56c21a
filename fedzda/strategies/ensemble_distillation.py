"""Different architectures learn from each other by distillation at the server, without data.

DENSE (Zhang et al., NeurIPS 2022, arXiv 2112.12371) and FedFTG (Zhang et al., CVPR 2022, arXiv
2203.09249): after a round the server trains a generator of images from the ensemble of the clients'
models, and distils the ensemble into its own; equations in :mod:`fedzda.generators.ensemble_game`.
Here every architecture that devices have is one of the server's students, each starting from the
average of the clients that have it. Our deviations: DENSE is one-shot, with one student trained
from scratch; FedFTG knows one architecture. The generator goes on from round to round. Limit case:
one architecture and no round with distillation is FedAvg, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from torch import nn

from fedzda.platform.devices.architectures import own_arrays
from fedzda.platform.devices.fleet import assigned
from fedzda.platform.engines.grid import FIRST_NODE
from fedzda.platform.records import array_record, arrays_of
from fedzda.platform.setting import Setting
from fedzda.strategies.base import ARRAYS, CONFIG, MeanStrategy
from fedzda.strategies.config.ensemble import EnsembleDistillationConfig
from fedzda.strategies.ensemble_jobs import Lesson, Named, distil
from fedzda.strategies.zda_generators import require_batchnorm, save_generator


class EnsembleDistillation(MeanStrategy):
    """Averages by architecture, and distils the clients' ensemble into every one of them.

    Leaves the client: its model and its sample count, as in FedAvg (in the clear with ``members:
    clients``), and its class counts unless ``labels`` is balanced and ``ensemble`` uniform.
    """

    Config = EnsembleDistillationConfig

    def __init__(self, config: EnsembleDistillationConfig) -> None:
        super().__init__(config)
        self.generator: dict[str, Any] | None = None

    def bind(self, setting: Setting) -> None:
        """Told once before the first round; which client has which architecture is known then."""
        super().bind(setting)
        devices = setting.config.devices
        profiles = getattr(devices, "profiles", [])
        titles: list[str | None] = [entry.variant.architecture for entry in profiles] or [None]
        kinds = assigned(devices, setting.num_clients, setting.seed)
        self.titles = [titles[int(kind)] for kind in kinds]
        others = [title for title in dict.fromkeys(titles) if title is not None]
        self.students = others if self.config.students == "others" else [None, *others]

    def check(self, model: nn.Module) -> None:
        """Refuse models without BatchNorm where the generator is to match its statistics."""
        if self.config.bn_weight:
            require_batchnorm(model)

    def state(self) -> dict[str, Any]:
        """The generator."""
        return {"generator": self.generator}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take it over."""
        self.generator = state["generator"]

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The usual requests; single models are only needed where they are the ensemble."""
        distils = self.config.distils_in(server_round)
        self.needs_models = distils and self.config.members == "clients"
        return super().configure_train(server_round, arrays, config, grid)

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Ask for class counts where they are used."""
        super().request(server_round, arrays, record)
        if self.config.distils_in(server_round) and self.config.needs_counts:
            record.config_records[CONFIG]["report-class-counts"] = True

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """Distil the ensemble into the average of every architecture."""
        if not self.config.distils_in(server_round):
            return mean
        averages = arrays_of(mean)
        members, counts_KC = self._members(averages, replies)
        job = Lesson(
            members=members,
            counts_KC=counts_KC,
            students=[(title, own_arrays(averages, title)) for title in self.students],
            config=self.config,
            key=(self.setting.seed, server_round),
            state=self.generator,
        )
        learned = self.setting.compute(distil, [job])[0]
        self.generator = learned.generator
        metrics.update({f"distillation-{name}": v for name, v in learned.figures.items()})
        return array_record({**averages, **learned.arrays})

    def save_artifacts(self, folder: Path, server_round: int) -> None:
        """The generator, as one of zs-cgan, and some of its images."""
        if self.generator is not None:
            names = ("network", "z_size", "embedding_size", "channels")
            sizes = {name: getattr(self.config, name) for name in names}
            block = {"name": "zs-cgan", **sizes}
            save_generator(self.setting, block, self.generator, folder, server_round)

    def _members(
        self, averages: dict[str, Any], replies: list[Message]
    ) -> tuple[list[Named], np.ndarray]:
        """What the ensemble is made of, and ``(K, C)`` samples of each class behind each."""
        titles = [self.titles[reply.metadata.src_node_id - FIRST_NODE] for reply in replies]
        counts = np.array([self._counts(reply) for reply in replies])
        if self.config.members == "clients":
            models = [arrays_of(reply.content[ARRAYS]) for reply in replies]  # type: ignore[arg-type]
            named = zip(titles, models, strict=True)
            return [(title, own_arrays(model, title)) for title, model in named], counts
        found = list(dict.fromkeys(titles))
        summed = [counts[[own == title for own in titles]].sum(axis=0) for title in found]
        return [(title, own_arrays(averages, title)) for title in found], np.array(summed)

    def _counts(self, reply: Message) -> list[float]:
        """A client's samples of each class; where it does not tell, as if it had one of each."""
        found: Any = reply.content["metrics"].get("class-counts")
        return [float(n) for n in found or [1] * self.setting.image.num_classes]
