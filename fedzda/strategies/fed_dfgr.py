"""Class-incremental learning with data-free generative replay (DF-GR) and dual-teacher information
distillation (DT-ID), alone (one client) and federated.

Choi, El-Khamy, Lee, "Dual-Teacher Class-Incremental Learning With Data-Free Generative Replay",
CVPR Workshops 2021, arXiv 2106.09835; US 2022/0138633. Confirmed: at every phase a conditional
generator is trained from scratch, without data, from the frozen model of the phase before; one
student learns from that model and from one trained on the new data, by mutual information at
intermediate layers. Our choice: all else (``docs/methods/class-incremental.md``), and the federated
form: the server trains the generator once per phase from the averaged model and sends it, or its
samples, to the clients. The client's half is :mod:`fedzda.clients.hooks.incremental`. ``base`` and
the two blocks ``dfgr`` and ``dtid`` give the arms and baselines. Limit case: without a scenario,
and with ``base: fine-tune`` and both blocks off in one, this is FedAvg, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

from fedzda.base import torch_rng
from fedzda.generators.sheet import save_sheet
from fedzda.platform.config import plain
from fedzda.platform.files import write_json
from fedzda.platform.parts import build_synthesizer
from fedzda.platform.records import array_record, arrays_of
from fedzda.platform.scenario.layers import layers_of
from fedzda.platform.scenario.metrics import describe_both
from fedzda.platform.scenario.nearest_mean import MEANS
from fedzda.platform.scenario.schedule import PhaseSchedule, schedule_of
from fedzda.platform.setting import Setting
from fedzda.strategies.base import ARRAYS, CONFIG, MeanStrategy
from fedzda.strategies.config.incremental import FedDFGRConfig
from fedzda.strategies.incremental_jobs import Fit, PhaseTest, fit, fresh_model, phase_test
from fedzda.strategies.nearest_means import exemplar_means
from fedzda.strategies.zda_generators import require_batchnorm

OLD_MODEL, TEACHER = "old-model", "second-teacher"
GENERATOR, IMAGES = "replay-generator", "replay-images"
_SHEET_PER_CLASS = 8
_ALONE = ("fine-tune", "joint")
"""Base methods that have no use for the model of the phase before."""


class FedDFGR(MeanStrategy):
    """A phase starts with a generator of the model so far; clients replay its samples.

    Leaves the client: its model and its sample count, as in FedAvg; where exemplars are kept, at
    the end of a phase also the sums of their features by class. The exemplars stay.
    """

    Config = FedDFGRConfig

    def __init__(self, config: FedDFGRConfig) -> None:
        super().__init__(config)
        self.phase = 0
        self.old: dict[str, Any] | None = None
        self.generator: dict[str, Any] | None = None
        self.samples: dict[str, Any] | None = None
        self.teacher: dict[str, Any] | None = None
        self.hits: list[list[int]] = []
        self.hits_nme: list[list[int]] = []
        """The same by the nearest mean of exemplars; empty where nobody keeps any."""
        self.means: np.ndarray | None = None
        """Means of the round that ends a phase."""
        self.counts: list[int] = []
        self.figures: dict[str, float] = {}

    def bind(self, setting: Setting) -> None:
        """Told once before the first round."""
        super().bind(setting)
        scenario = setting.config.scenario
        self.schedule: PhaseSchedule = schedule_of(scenario, setting.image.num_classes)

    def check(self, model: torch.nn.Module) -> None:
        """Refuse a model that the generator cannot be trained from, or without the layers."""
        if self.config.dfgr.enabled and self.config.dfgr.images == "generator":
            require_batchnorm(model)
        if self.config.dtid.enabled:
            layers_of(model, self.config.dtid.layers)

    def state(self) -> dict[str, Any]:
        """What persists: the phase, its frozen models, its generator, and the tests so far.

        From one phase to the next only the tests are kept.
        """
        names = ("phase", "old", "generator", "samples", "teacher", "hits", "hits_nme", "counts")
        return {name: getattr(self, name) for name in names}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take them over."""
        for name, value in state.items():
            setattr(self, name, value)

    # -- the beginning of a phase ---------------------------------------------------------

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Requests as usual; model and grid are needed again when the round ends a phase."""
        self.received, self.grid = arrays, grid
        return super().configure_train(server_round, arrays, config, grid)

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Begin the phase if it is new, and send what its clients need."""
        self.figures, self.means = {}, None
        if self.setting.config.scenario is None:
            return
        phase = self.schedule.phase(server_round)
        if phase != self.phase:
            if not self.hits:  # the base phase was played by another run
                self._test(self.schedule.last_round(0), arrays)
            self._begin(phase, arrays_of(arrays))
        sent = record.config_records[CONFIG]
        teaches = self._teaches(server_round)
        sent["incremental"] = json.dumps(self._options("teacher" if teaches else "student"))
        if phase == 0:
            return
        if teaches:
            record[ARRAYS] = array_record(self.teacher or self._first_teacher(arrays_of(arrays)))
            return
        if self.teacher is not None:
            record[TEACHER] = array_record(self.teacher)
        if self._needs_old:
            record[OLD_MODEL] = array_record(self.old or {})
        if self.samples is not None:
            record[IMAGES] = array_record(self.samples)
        elif self.generator is not None:
            record[GENERATOR] = array_record(self.generator)

    @property
    def _needs_old(self) -> bool:
        more = self.config.dfgr.enabled or self.config.dtid.enabled or self._exemplars
        return self.config.base not in _ALONE or more

    @property
    def _exemplars(self) -> bool:
        scenario: Any = self.setting.config.scenario
        return bool(scenario.keeps_exemplars)

    def _teaches(self, server_round: int) -> bool:
        """Whether a round trains the second teacher instead of the student."""
        phase = self.schedule.phase(server_round)
        spent = server_round - self.schedule.first_round(phase)
        dtid = self.config.dtid
        return phase > 0 and dtid.enabled and spent < dtid.teacher_rounds

    def _first_teacher(self, old: dict[str, Any]) -> dict[str, Any]:
        if self.config.dtid.teacher_init == "old":
            return old
        arrays: dict[str, Any] = self.setting.compute(fresh_model, [None])[0]
        return arrays

    def _options(self, part: str) -> dict[str, Any]:
        scenario: Any = self.setting.config.scenario
        options = {**plain(self.config), "scenario": plain(scenario), "part": part}
        options["imprint"] = self.config.imprint and self.config.base == "lucir"
        options["teacher_rounds"] = 0
        if self.config.dtid.enabled and self.phase > 0:
            options["teacher_rounds"] = self.config.dtid.teacher_rounds
        return options

    def _begin(self, phase: int, arrays: dict[str, Any]) -> None:
        """Freeze the model so far and train a generator from it."""
        self.phase, self.old, self.teacher = phase, arrays, None
        self.generator = self.samples = None
        dfgr = self.config.dfgr
        if not dfgr.enabled or dfgr.images == "noise":
            return
        job = Fit(
            arrays=arrays,
            num_old=self.schedule.old(phase),
            synthesizer=plain(dfgr.synthesizer),
            tau=dfgr.tau,
            key=(self.setting.seed, phase),
            images=dfgr.sent_images if dfgr.deliver == "samples" else 0,
        )
        fitted = self.setting.compute(fit, [job])[0]
        self.generator = fitted.state
        if job.images:
            self.samples = {"image": fitted.images, "label": fitted.labels}
        self.figures = {f"dfgr-{name}": value for name, value in fitted.figures.items()}

    # -- the end of a round ---------------------------------------------------------------

    def aggregate_train(
        self, server_round: int, replies: Any
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The average is the student's, or the second teacher's, which the server keeps.

        At the end of a phase the model is tested on all seen classes, also where nobody had
        samples in its last round.
        """
        valid = [reply for reply in replies if not reply.has_error()]
        found, metrics = super().aggregate_train(server_round, valid)
        if self.setting.config.scenario is None:
            return found, metrics
        if self._teaches(server_round):
            self.teacher = self.teacher if found is None else arrays_of(found)
            return None, metrics
        if self._ends_phase(server_round):
            metrics = MetricRecord() if metrics is None else metrics
            metrics.update(self._test(server_round, self.received if found is None else found))
        return found, metrics

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """The average stays as it is; the generator's figures are those of the round."""
        metrics.update(self.figures)
        return mean

    def _ends_phase(self, server_round: int) -> bool:
        return server_round == self.schedule.last_round(self.schedule.phase(server_round))

    def _test(self, server_round: int, arrays: ArrayRecord) -> dict[str, float]:
        """Hits of the classifier, and of the nearest mean where exemplars are kept."""
        phase = self.schedule.phase(server_round)
        if self._exemplars:
            self.means = exemplar_means(self.setting, self.grid, server_round, arrays)
        job = PhaseTest(arrays_of(arrays), server_round, self.means)
        tested = self.setting.compute(phase_test, [job])[0]
        self.counts, self.hits = tested.counts, [*self.hits[:phase], tested.hits]
        if tested.nearest is not None:
            self.hits_nme = [*self.hits_nme[:phase], tested.nearest]
        figures = self._figures()
        shown = {k: v[-1] for k, v in figures.items() if k.startswith(("accuracy", "old", "new"))}
        shown["average"] = figures["average"]
        return {f"phase-{k}": v for k, v in shown.items() if v is not None}

    def _figures(self) -> dict[str, Any]:
        """Figures of all phases so far: iCaRL's by the nearest mean, those of others beside it."""
        by_means = self.config.base == "icarl"
        borders = self.schedule.borders
        return describe_both(self.hits, self.hits_nme, self.counts, borders, by_means=by_means)

    # -- evaluation and results -----------------------------------------------------------

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The usual requests; at the end of a phase iCaRL's clients classify by the means."""
        asked = list(super().configure_evaluate(server_round, arrays, config, grid))
        if self.config.base == "icarl" and self.means is not None:
            means = array_record({"means": self.means})
            for message in asked:
                message.content[MEANS] = means
        return asked

    def save_artifacts(self, folder: Path, server_round: int) -> None:
        """``incremental.json`` and a sheet of the last generator's images."""
        if self.hits:
            rounds = [self.schedule.last_round(phase) for phase in range(len(self.hits))]
            found = {**self._figures(), "last_rounds": rounds, "phases": self.schedule.num_phases}
            found["hits"], found["counts"] = self.hits, self.counts
            write_json(folder / "incremental.json", found)
        if self.generator is not None:
            self._save_sheet(folder / f"samples-round-{server_round:06d}.png", self.generator)

    def _save_sheet(self, path: Path, generator: dict[str, Any]) -> None:
        """The last generator's images, one row per class."""
        num_old = self.schedule.old(self.phase)
        maker = build_synthesizer(plain(self.config.dfgr.synthesizer))
        tensors = {name: torch.as_tensor(value) for name, value in generator.items()}
        maker.load_state(tensors, replace(self.setting.image, num_classes=num_old))
        labels = torch.arange(num_old).repeat_interleave(_SHEET_PER_CLASS)
        images = maker.sample(labels, torch_rng(self.setting.seed, "sheet", self.phase))
        save_sheet(images, labels, path)
