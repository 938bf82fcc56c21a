"""The server half of Fed-ZDA as a mix-in: see :mod:`fedzda.strategies.fed_zdas`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from fedzda.base import numpy_rng
from fedzda.platform.averaging import WeightedSum
from fedzda.platform.config import plain
from fedzda.platform.records import array_record, arrays_of
from fedzda.strategies.base import ARRAYS, CONFIG, MeanStrategy
from fedzda.strategies.zda_generators import save_generator
from fedzda.strategies.zda_jobs import Inversion, Inverted, Refinement, invert, refine


class ServerSide(MeanStrategy):
    """Inverts the clients' models and trains their average on the images."""

    config: Any
    needs_models = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.server_generator: dict[str, Any] | None = None
        self._received: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """The server's generator besides what other halves keep."""
        return {**super().state(), "server_generator": self.server_generator}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the generator."""
        super().load_state(state)
        self.server_generator = state["server_generator"]

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Ask for class counts where the method uses them."""
        super().request(server_round, arrays, record)
        if self.config.server_received:
            self._received = arrays_of(arrays)
        if self.config.server_classes == "known":
            record.config_records[CONFIG]["report-class-counts"] = True

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """Train the average on images made from the clients' models."""
        mean = super().improve(server_round, mean, replies, metrics)
        if server_round < self.config.server_start_round:
            return mean
        jobs = self._inversions(server_round, mean, replies)
        inverted = self.setting.compute(invert, jobs)
        if self.config.server_warm_start:
            self.server_generator = inverted[0].state
        for name in inverted[0].figures:
            metrics[f"zdas-{name}"] = sum(i.figures[name] for i in inverted) / len(inverted)
        count = sum(len(i.images) for i in inverted)
        metrics["zdas-images"] = count
        if count < self.config.server_batch_size:
            return mean
        return self._refine(server_round, mean, replies, inverted, metrics)

    def save_artifacts(self, folder: Path, server_round: int) -> None:
        """The server's generator, unless there is one of the clients' half."""
        super().save_artifacts(folder, server_round)
        if self.server_generator is not None and not (folder / "generator.safetensors").exists():
            state = self.server_generator
            save_generator(self.setting, self._synthesizer(), state, folder, server_round)

    def _synthesizer(self) -> dict[str, Any]:
        return plain(self.config.server_synthesizer or self.config.synthesizer)

    def _inversions(
        self, server_round: int, mean: ArrayRecord, replies: list[Message]
    ) -> list[Inversion]:
        """One job per group of clients, drawn anew every round."""
        seed, synthesizer = self.setting.seed, self._synthesizer()
        adversarial = any(synthesizer.get(key) for key in ("adversarial_weight", "js_weight"))
        student = arrays_of(mean) if adversarial else None
        order = numpy_rng(seed, "zdas-groups", server_round).permutation(len(replies))
        size = self.config.server_group_size
        jobs = []
        for start in range(0, len(order), size):
            group = [replies[int(i)] for i in order[start : start + size]]
            models = [arrays_of(reply.content[ARRAYS]) for reply in group]  # type: ignore[arg-type]
            if self._received is not None:
                models.append(self._received)
            jobs.append(
                Inversion(
                    models=models,
                    synthesizer=synthesizer,
                    classes=self._classes(group),
                    key=(seed, "zdas", server_round, start),
                    state=self.server_generator,
                    images=self.config.server_images,
                    keep=self.config.server_keep,
                    student=student,
                )
            )
        return jobs

    def _classes(self, group: list[Message]) -> list[int]:
        total = self.setting.image.num_classes
        if self.config.server_classes == "all":
            return list(range(total))
        counts: Any = [reply.content["metrics"]["class-counts"] for reply in group]
        return [label for label in range(total) if any(own[label] for own in counts)]

    def _refine(
        self,
        server_round: int,
        mean: ArrayRecord,
        replies: list[Message],
        inverted: list[Inverted],
        metrics: MetricRecord,
    ) -> ArrayRecord:
        """Train the average, or every client's model before it is averaged anew."""
        key = (self.setting.seed, "zdas-refine", server_round)
        if self.config.server_refine == "average":
            arrays, loss = self.setting.compute(refine, [self._job(mean, inverted, key)])[0]
            metrics["zdas-loss"] = loss
            return array_record(arrays)
        jobs = [
            self._job(reply.content[ARRAYS], inverted, (*key, number))
            for number, reply in enumerate(replies)
        ]
        total = WeightedSum(pooled=self.config.batchnorm == "pooled")
        losses = []
        for reply, (arrays, loss) in zip(replies, self.setting.compute(refine, jobs), strict=True):
            total.add(arrays, float(self._weight(reply)))
            losses.append(loss)
        metrics["zdas-loss"] = sum(losses) / len(losses)
        return array_record(total.mean())

    def _job(self, model: Any, inverted: list[Inverted], key: tuple[Any, ...]) -> Refinement:
        """Training of one model on all images."""
        soft = self.config.server_targets == "soft"
        return Refinement(
            arrays=arrays_of(model),
            images=torch.cat([i.images for i in inverted]),
            targets=torch.cat([i.probabilities if soft else i.labels for i in inverted]),
            steps=self.config.server_steps,
            lr=self.config.server_lr,
            batch_size=self.config.server_batch_size,
            frozen_batchnorm=self.config.server_batchnorm == "frozen",
            last_layer=self.config.server_layers == "last",
            key=key,
        )
