"""Distances to the BatchNorm statistics, at equal budget: what images do they lead to?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_free_cases.bench import Bench, cells
from data_free_cases.budget import budget_of, name_of, shortened
from data_free_cases.images import stored
from fedzda.base import torch_rng
from fedzda.compression import quantize

PART = "bn-distance"
DISTANCES = ("kl_gen_bn", "kl_bn_gen", "l2norm", "mse", "std_mse")
WEIGHTS = (0.5, 5.0, 50.0)
"""All are shown: distances have different units, so that no single weight is fair to all."""
BITS = ((4, 4), (3, 3))
_TEACHER = "mnist-lenet-bn"
_STEPS = 500


def run(bench: Bench, seeds: Sequence[int] | None) -> None:
    """All cells that are missing."""
    for seed in (0,) if seeds is None else seeds:
        for weight in (5.0, 0.5, 50.0):
            for distance in DISTANCES:
                run_cell(bench, distance, weight, seed)


def run_cell(bench: Bench, distance: str, weight: float, seed: int) -> None:
    """One synthesizer."""
    cell = f"{_TEACHER}_{distance}_{weight:g}_s{seed}"
    bench.keep(PART, cell, lambda: measure(bench, distance, weight, seed))


def measure(bench: Bench, distance: str, weight: float, seed: int) -> dict[str, Any]:
    """Make images, judge them, quantize with them."""
    teacher, budget = bench.teacher(_TEACHER), budget_of(_TEACHER, bench.full, bench.steps)
    block: dict[str, Any] = {**budget.synthesizers["zs-cgan"], "bn_weight": weight}
    block["bn"] = {"distance": distance, "reduction": "mean"}
    if not bench.full:
        block = {**block, "steps": _STEPS} if bench.steps is None else shortened(block, bench.steps)
    name = f"zs-cgan-{distance}-{weight:g}"
    images, figures = stored(bench, teacher, name, seed, budget.images, block)
    accuracy = {}
    for bits in BITS:
        config, rng = budget.quantization(bits), torch_rng(seed, "data-free-quantize")
        done = quantize(teacher.model, teacher.image, config, images, rng)
        accuracy[name_of(bits)] = teacher.tested(done)
    return {
        "teacher": _TEACHER,
        "teacher_accuracy": teacher.accuracy,
        "fingerprint": teacher.fingerprint,
        "distance": distance,
        "weight": weight,
        "seed": seed,
        "accuracy": accuracy,
        "quality": figures,
        "synthesizer": block,
        "training": budget.training.model_dump(),
    }


def table(bench: Bench) -> str:
    """Markdown: one row per distance and weight; first seed."""
    found = cells(bench.path(PART, "x").parent)
    lines = [
        "| distance (mean) | weight | teacher | judge agrees | Fréchet | coverage | "
        + " | ".join(map(name_of, BITS))
        + " | seed |",
        "|---" * (7 + len(BITS)) + "|",
    ]
    order = {name: place for place, name in enumerate(DISTANCES)}
    for row in sorted(found, key=lambda r: (order[r["distance"]], r["weight"], r["seed"])):
        quality = row["quality"]
        accuracy = " | ".join(f"{value:.2f}" for value in row["accuracy"].values())
        lines.append(
            f"| {row['distance']} | {row['weight']:g} | {row['teacher_accuracy']:.2f} | "
            f"{100 * quality['judge_agreement']:.1f} % | {quality['judge_frechet']:.1f} | "
            f"{quality['judge_coverage']:.2f} | {accuracy} | {row['seed']} |"
        )
    return "\n".join(lines)
