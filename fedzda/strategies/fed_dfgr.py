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
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from fedzda.base import UserError, torch_rng
from fedzda.generators.sheet import save_sheet
from fedzda.platform.config import plain
from fedzda.platform.files import write_json
from fedzda.platform.parts import build_synthesizer
from fedzda.platform.records import array_record, arrays_of
from fedzda.platform.scenario.metrics import describe_phases
from fedzda.platform.scenario.schedule import PhaseSchedule, schedule_of
from fedzda.platform.setting import Setting
from fedzda.strategies.base import ARRAYS, CONFIG, MeanStrategy
from fedzda.strategies.incremental_config import FedDFGRConfig
from fedzda.strategies.incremental_jobs import Fit, PhaseTest, fit, fresh_model, phase_test
from fedzda.strategies.zda_generators import require_batchnorm

OLD_MODEL, TEACHER = "old-model", "second-teacher"
GENERATOR, IMAGES = "replay-generator", "replay-images"
_SHEET_PER_CLASS = 8
_ALONE = ("fine-tune", "joint")
"""Base methods that have no use for the model of the phase before."""


class FedDFGR(MeanStrategy):
    """A phase starts with a generator of the model so far; clients replay its samples.

    Leaves the client: its model and its sample count, as in FedAvg. Exemplars and what they are
    chosen by stay.
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
        self.counts: list[int] = []
        self.figures: dict[str, float] = {}

    def bind(self, setting: Setting) -> None:
        """Told once before the first round; checks what needs the scenario."""
        super().bind(setting)
        scenario: Any = setting.config.scenario
        self.schedule: PhaseSchedule = schedule_of(scenario, setting.image.num_classes)
        if scenario is None:
            return
        if self.config.base == "lucir" and scenario.head != "cosine":
            raise UserError(
                "strategy.base is 'lucir', which compares cosines, but scenario.head is "
                f"'{scenario.head}'. Set scenario.head to 'cosine', or choose another base."
            )
        spent, length = self.config.dtid.teacher_rounds, self.schedule.phase_rounds
        if self.config.dtid.enabled and spent >= length:
            raise UserError(
                f"strategy.dtid.teacher_rounds is {spent}, which leaves the student none of the "
                f"{length} rounds of a phase. Lower it, or raise scenario.rounds_per_phase."
            )

    def check(self, model: torch.nn.Module) -> None:
        """Refuse a model that the generator cannot be trained from, before anything runs."""
        if self.config.dfgr.enabled and self.config.dfgr.images == "generator":
            require_batchnorm(model)

    def state(self) -> dict[str, Any]:
        """What persists: the phase, its frozen models, its generator, and the tests so far.

        From one phase to the next only the tests are kept.
        """
        names = ("phase", "old", "generator", "samples", "teacher", "hits", "counts")
        return {name: getattr(self, name) for name in names}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take them over."""
        for name, value in state.items():
            setattr(self, name, value)

    # -- the beginning of a phase ---------------------------------------------------------

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Begin the phase if it is new, and send what its clients need."""
        self.figures = {}
        if self.setting.config.scenario is None:
            return
        phase = self.schedule.phase(server_round)
        if phase != self.phase:
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
        scenario: Any = self.setting.config.scenario
        exemplars = scenario.exemplars_per_class or scenario.exemplars_total
        more = self.config.dfgr.enabled or self.config.dtid.enabled
        return self.config.base not in _ALONE or more or bool(exemplars)

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
        """The average is the student's, or the second teacher's, which the server keeps."""
        valid = [reply for reply in replies if not reply.has_error()]
        found, metrics = super().aggregate_train(server_round, valid)
        if found is None:
            return None, metrics
        if self.setting.config.scenario is not None and self._teaches(server_round):
            self.teacher = arrays_of(found)
            return None, metrics
        return found, metrics

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """The average stays as it is; at the end of a phase it is tested on all seen classes."""
        metrics.update(self.figures)
        if self.setting.config.scenario is None:
            return mean
        phase = self.schedule.phase(server_round)
        if server_round == self.schedule.last_round(phase):
            job = PhaseTest(arrays_of(mean), self.schedule.seen(phase))
            hits, self.counts = self.setting.compute(phase_test, [job])[0]
            self.hits = [*self.hits[:phase], hits]
            figures = self._figures()
            shown = {name: figures[name][-1] for name in ("accuracy", "old", "new")}
            shown["average"] = figures["average"]
            metrics.update({f"phase-{k}": v for k, v in shown.items() if v is not None})
        return mean

    def _figures(self) -> dict[str, Any]:
        return describe_phases(self.hits, self.counts, self.schedule.borders)  # type: ignore[arg-type]

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
