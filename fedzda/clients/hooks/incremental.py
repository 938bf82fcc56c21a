"""The client half of class-incremental learning: one round of a phase.

What a client keeps between rounds, in its state: ``exemplars`` (rows of its samples), and until the
end of a phase the second teacher and the regressors it made. Nothing else.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import nn

from fedzda.base import numpy_rng, torch_rng
from fedzda.clients.hooks.base import Hook, LocalRun
from fedzda.clients.incremental.head import head_of, imprint
from fedzda.clients.incremental.memory import EXEMPLARS, all_rows, memory_of
from fedzda.clients.incremental.objective import Phase
from fedzda.clients.incremental.probe import Probe, features_of
from fedzda.clients.incremental.replay import replay_of
from fedzda.clients.incremental.training import (
    Student,
    refresh_statistics,
    train_student,
    train_teacher,
)
from fedzda.clients.incremental.two_teachers import TwoTeachers
from fedzda.clients.weights import snapshot
from fedzda.platform.averaging import as_tensor
from fedzda.platform.config import LocalConfig
from fedzda.platform.scenario.labels import rows_of_phase
from fedzda.platform.scenario.layers import layers_of

OLD_MODEL, TEACHER, REGRESSORS = "old-model", "second-teacher", "regressors"
"""Records of a request (the first two) and of a client's state (the last two)."""


class Incremental(Hook):
    """Trains the student of a phase, or its second teacher if the request says so."""

    def start(self, run: LocalRun) -> None:
        """Read the request, choose exemplars of what has become old, imprint new rows."""
        self.options: dict[str, Any] = json.loads(run.config["incremental"])
        self.probes: list[Probe] = []
        assert run.runtime.phases is not None
        self.schedule = schedule = run.runtime.phases.schedule
        self.number = schedule.phase(run.call.round)
        self.num_old, self.seen = schedule.old(self.number), schedule.seen(self.number)
        self.kept = dict(run.call.state.arrays)
        if run.call.state.metrics.get("incremental", {}).get("phase") != self.number:
            self.kept = {k: v for k, v in self.kept.items() if k == EXEMPLARS}
        self.old = self._old_model(run)
        self._remember(run)
        begins = (
            run.call.round == schedule.first_round(self.number) + self.options["teacher_rounds"]
        )
        if self.number and begins and self.options["imprint"] and not self._teaches:
            self._imprint(run)

    @property
    def _teaches(self) -> bool:
        return bool(self.options["part"] == "teacher")

    def _frozen(self, run: LocalRun, arrays: Any, seen: int) -> nn.Module:
        model = run.runtime.model_with(arrays)
        head_of(model).seen = seen
        return model.eval().requires_grad_(False)

    def _old_model(self, run: LocalRun) -> nn.Module | None:
        arrays = run.call.content.arrays.get(OLD_MODEL)
        return None if arrays is None else self._frozen(run, arrays, self.num_old)

    def _remember(self, run: LocalRun) -> None:
        """Exemplars of classes that are old by now join the phase's data."""
        runtime = run.runtime
        own = runtime.federation.indices(run.call.client, "train")
        labels = runtime.federation.train["label"]
        if not self.number or self.old is None:
            return
        kept = self.kept.get(EXEMPLARS, {})
        memory = memory_of(runtime, run.call.client, kept, self.old, self.num_old)
        if memory:
            self.kept[EXEMPLARS] = memory
            new = rows_of_phase(own, labels, self.num_old, self.seen)
            run.data = runtime.batch(np.concatenate([new, all_rows(memory)]))
        run.details["exemplars"] = len(all_rows(memory))

    def _imprint(self, run: LocalRun) -> None:
        """Rows of new classes that this client has samples of."""
        features = features_of(run.model, run.data["image"])
        head = head_of(run.model)
        for label in range(self.num_old, self.seen):
            own = run.data["label"] == label
            if bool(own.any()):
                imprint(head, features[own], label, self.num_old)

    def train(self, run: LocalRun, config: LocalConfig, rng: np.random.Generator) -> bool:
        """One round of the phase."""
        if self._teaches:
            classes = (self.num_old, self.seen)
            loss = train_teacher(run, run.model, classes, config, rng, self.options)
            run.metrics["loss"], run.metrics["steps"] = loss, 0
            return True
        student = self._student(run, config)
        length = self.schedule.length(self.number) - self.options["teacher_rounds"]
        first = self.schedule.last_round(self.number) - length + 1
        span = ((run.call.round - first) / length, 1.0 / length)
        train_student(student, config, rng, span)
        last = run.call.round == self.schedule.last_round(self.number)
        if last and self.options["dfgr"]["bn_refresh"] == "replay":
            refresh_statistics(student, rng, config.batch_size)
        if student.teachers is not None and not last:
            self.kept[REGRESSORS] = snapshot(student.teachers)
        if last:
            self.kept = {k: v for k, v in self.kept.items() if k == EXEMPLARS}
        return True

    def _student(self, run: LocalRun, config: LocalConfig) -> Student:
        two = self.options["dtid"]["enabled"] and self.number > 0
        layers = layers_of(run.model, self.options["dtid"]["layers"]) if two else []
        phase = Phase(head_of(run.model), self.num_old, self.seen, self.options)
        student = Student(run, phase, self._probe(run.model, layers))
        if self.old is None:
            return student
        student.old = self._probe(self.old, layers)
        phase.old_head = head_of(self.old)
        rng = torch_rng(run.runtime.seed, "replay-store", run.call.round, run.call.client)
        arrays = run.call.content.arrays
        student.replay = replay_of(
            self.options["dfgr"], arrays, run.runtime.image, self.num_old, rng
        )
        if two:
            student.new = self._probe(self._second_teacher(run, config), layers)
            student.teachers = self._regressors(run, student)
        return student

    def _probe(self, model: nn.Module, layers: list[str]) -> Probe:
        self.probes.append(Probe(model, layers))
        return self.probes[-1]

    def _second_teacher(self, run: LocalRun, config: LocalConfig) -> nn.Module:
        """The received teacher, the kept one, or one trained here."""
        arrays = run.call.content.arrays.get(TEACHER) or self.kept.get(TEACHER)
        if arrays is not None:
            return self._frozen(run, arrays, self.seen)
        old = self.options["dtid"]["teacher_init"] == "old"
        start = run.call.content.arrays[OLD_MODEL] if old else snapshot(run.runtime.build_model())
        teacher = run.runtime.model_with(start)
        head_of(teacher).seen = self.seen
        keys = (self.number, run.call.client)
        rng = numpy_rng(run.runtime.seed, "teacher-batches", *keys)
        classes = (self.num_old, self.seen)
        train_teacher(run, teacher, classes, config, rng, self.options)
        if run.call.round < self.schedule.last_round(self.number):
            self.kept[TEACHER] = snapshot(teacher)
        new = run.data["label"] >= self.num_old
        run.details["teacher-accuracy"] = _accuracy(
            teacher, run.data["image"][new], run.data["label"][new], classes
        )
        return teacher.eval().requires_grad_(False)

    def _regressors(self, run: LocalRun, student: Student) -> TwoTeachers:
        assert student.old is not None
        with torch.no_grad():
            channels = [m.shape[1] for m in student.old(run.data["image"][:2]).maps]
        rng = torch_rng(run.runtime.seed, "regressors", self.number, run.call.client)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(rng.initial_seed())
            teachers = TwoTeachers(channels, self.options["dtid"])
        if REGRESSORS in self.kept:
            kept = self.kept[REGRESSORS]
            teachers.load_state_dict({k: as_tensor(np.array(v)) for k, v in kept.items()})
        return teachers.to(run.runtime.device)

    def finish(self, run: LocalRun) -> None:
        """Keep what later rounds need, with the phase it belongs to."""
        run.state.arrays.clear()
        run.state.arrays.update(self.kept)
        if self.kept or run.call.state.arrays:
            run.state.metrics["incremental"] = {"phase": self.number}

    def close(self) -> None:
        """Stop looking at the models."""
        for probe in getattr(self, "probes", []):
            probe.close()


@torch.no_grad()
def _accuracy(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, classes: tuple[int, int]
) -> float:
    model.eval()
    first, end = classes
    hits = [
        model(part)[:, first:end].argmax(dim=1) + first == own
        for part, own in zip(torch.split(images, 256), torch.split(labels, 256), strict=True)
    ]
    return float(torch.cat(hits).double().mean())
