"""Data-free distillation: one generator and one student against several of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import nn

from data_free_cases.bench import Bench, cells
from data_free_cases.budget import CPU, shortened
from fedzda.base import ImageSpec, RunError, torch_rng
from fedzda.clients.classifiers import build_model
from fedzda.clients.models.resnet import ResNet
from fedzda.generators.adversarial import distill
from fedzda.generators.common import initial
from fedzda.generators.config import AdversarialConfig

SHAPES = ((1, 1), (2, 1), (1, 2), (2, 2))
"""Generators and students."""
_CPU = {k: v for k, v in CPU["adversarial"].items() if k != "codes_per_class"} | {"steps": 400}
_FULL = {"name": "adversarial", "on_collapse": "warn"}


class Pair(NamedTuple):
    """A teacher and the student's architecture."""

    part: str
    teacher: str
    student: str


PAIRS = (
    Pair("distil-mnist", "mnist-resnet-8", "lenet-bn"),
    Pair("distil-mnist", "mnist-resnet-8", "resnet-8-half"),
    Pair("distil-mnist", "mnist-lenet-bn", "lenet-bn-half"),
    Pair("distil-cifar10", "cifar10-wrn-40-2", "wrn-16-1"),
)


def run(bench: Bench, part: str, seeds: Sequence[int] | None) -> None:
    """All cells of a part that are missing."""
    for seed in (0,) if seeds is None else seeds:
        for pair in PAIRS:
            for shape in SHAPES if pair.part == part else ():
                run_cell(bench, pair, shape, seed)


def run_cell(bench: Bench, pair: Pair, shape: tuple[int, int], seed: int) -> None:
    """One game."""
    cell = f"{pair.teacher}_{pair.student}_{shape[0]}x{shape[1]}_s{seed}"
    bench.keep(pair.part, cell, lambda: measure(bench, pair, shape, seed))


def measure(bench: Bench, pair: Pair, shape: tuple[int, int], seed: int) -> dict[str, Any]:
    """Play and test. Every generator and every student makes the steps that one alone makes."""
    teacher = bench.teacher(pair.teacher)
    block = dict(_FULL if bench.full else _CPU)
    if bench.steps is not None:
        block = shortened(block, bench.steps)
    config = AdversarialConfig.model_validate({**block, "generators": shape[0]})
    rng = torch_rng(seed, "data-free-distil")
    make = maker(pair.student, teacher.image)
    students = [initial(make, rng).to(bench.device) for _ in range(shape[1])]
    problem = None
    try:
        distill(teacher.model, students, teacher.image, config, rng)
    except RunError as error:
        problem = str(error)
    found = [teacher.tested(_predict(student, teacher.image)) for student in students]
    return {
        "teacher": pair.teacher,
        "teacher_accuracy": teacher.accuracy,
        "fingerprint": teacher.fingerprint,
        "student": pair.student,
        "parameters": sum(p.numel() for p in students[0].parameters()),
        "generators": shape[0],
        "students": shape[1],
        "seed": seed,
        "student_accuracy": found[0],
        "students_accuracy": found,
        "problem": problem,
        "game": config.model_dump(),
    }


def maker(name: str, image: ImageSpec) -> Callable[[], nn.Module]:
    """What builds a student with fresh weights."""
    if name == "resnet-8-half":
        size = (image.shape[0], image.num_classes)
        return lambda: ResNet(*size, (8, 16, 32), 1, "batch", project=False)
    if name == "lenet-bn-half":
        return lambda: build_model({"name": "lenet-bn", "width": 8}, image)
    return lambda: build_model({"name": name}, image)


def _predict(model: nn.Module, image: ImageSpec) -> Callable[[torch.Tensor], torch.Tensor]:
    def run_model(pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(image.normalize(pixels))
        return logits

    return run_model


def table(bench: Bench, part: str) -> str:
    """Markdown: student 0, the mean over students, seconds; mean over seeds."""
    found = cells(bench.path(part, "x").parent)
    lines = [
        "| teacher | its accuracy | student | generators x students | student 0 | mean of students "
        "| seeds | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for pair in (p for p in PAIRS if p.part == part):
        for shape in SHAPES:
            key = (pair.teacher, pair.student, *shape)
            rows = [r for r in found if _key(r) == key]
            if not rows:
                continue
            first = fmean(row["student_accuracy"] for row in rows)
            mean = fmean(fmean(row["students_accuracy"]) for row in rows)
            seconds = fmean(row["seconds"] for row in rows)
            lines.append(
                f"| {pair.teacher} | {rows[0]['teacher_accuracy']:.2f} | {pair.student} | "
                f"{shape[0]}x{shape[1]} | {first:.2f} | {mean:.2f} | {len(rows)} | {seconds:.0f} |"
            )
    return "\n".join(lines)


def _key(row: dict[str, Any]) -> tuple[str, str, int, int]:
    return row["teacher"], row["student"], row["generators"], row["students"]
