"""Quantized accuracy by teacher, bits and source of images; the same procedure for all sources."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from data_free_cases.bench import Bench, cells
from data_free_cases.budget import BITS, SOURCES, budget_of, name_of
from data_free_cases.images import stored
from fedzda.base import torch_rng
from fedzda.compression import quantize

PARTS: dict[str, dict[str, Any]] = {
    "quant-mnist": {
        "teachers": ("mnist-resnet-8", "mnist-lenet-bn"),
        "bits": ((4, 4), (8, 8), (4, 8), (3, 3)),
        "sources": SOURCES,
        "seeds": (0, 1, 2),
    },
    "quant-cifar10": {
        "teachers": ("cifar10-resnet-20",),
        "bits": ((4, 4), (8, 8)),
        "sources": ("real", "zs-cgan", "noise"),
        "seeds": (0,),
    },
}
_EIGHT_LOSS, _FOUR_LOSS = 0.2, {"quant-mnist": 0.5, "quant-cifar10": 2.0}


def run(bench: Bench, part: str, seeds: Sequence[int] | None) -> None:
    """All cells that are missing, seed by seed, four bits first."""
    axes = PARTS[part]
    if bench.full:
        axes = {**axes, "bits": BITS, "sources": SOURCES, "seeds": (0, 1, 2)}
    for seed in axes["seeds"] if seeds is None else seeds:
        for teacher in axes["teachers"]:
            for bits in axes["bits"]:
                for source in axes["sources"]:
                    run_cell(bench, part, teacher, bits, source, seed)


def run_cell(
    bench: Bench, part: str, teacher: str, bits: tuple[int, int], source: str, seed: int
) -> None:
    """One quantization."""
    cell = f"{teacher}_{name_of(bits).lower()}_{source}_s{seed}"
    bench.keep(part, cell, lambda: measure(bench, teacher, bits, source, seed))


def measure(
    bench: Bench, name: str, bits: tuple[int, int], source: str, seed: int
) -> dict[str, Any]:
    """Calibrate, test, train, test."""
    teacher, budget = bench.teacher(name), budget_of(name, bench.full, bench.steps)
    block = budget.synthesizers.get(source)
    images, figures = stored(bench, teacher, source, seed, budget.images, block)
    config = budget.quantization(bits)
    rng = torch_rng(seed, "data-free-quantize")
    ptq = config.model_copy(update={"stage": "ptq"})
    calibrated = quantize(teacher.model, teacher.image, ptq, images, rng)
    before = teacher.tested(calibrated)
    rng = torch_rng(seed, "data-free-quantize")
    done = quantize(teacher.model, teacher.image, config, images, rng)
    tail = done.losses[-50:]
    return {
        "teacher": name,
        "teacher_accuracy": teacher.accuracy,
        "fingerprint": teacher.fingerprint,
        "bits": name_of(bits),
        "source": source,
        "seed": seed,
        "accuracy": teacher.tested(done),
        "calibrated": before,
        "first_loss": done.losses[0],
        "last_losses": fmean(tail),
        "images": budget.images,
        "synthesizer": block,
        "quality": figures,
        "training": budget.training.model_dump(),
    }


def table(bench: Bench, part: str) -> str:
    """Markdown: accuracy after training (after calibration alone), mean over seeds, and bars."""
    found = cells(bench.path(part, "x").parent)
    lines = []
    for teacher in dict.fromkeys(row["teacher"] for row in found):
        rows = [row for row in found if row["teacher"] == teacher]
        lines += [*_one_table(teacher, rows), "", *_bars(part, rows), ""]
    return "\n".join(lines)


def _one_table(teacher: str, rows: list[dict[str, Any]]) -> list[str]:
    names = [name_of(bits) for bits in BITS if any(r["bits"] == name_of(bits) for r in rows)]
    accuracy = rows[0]["teacher_accuracy"]
    head = f"| {teacher} | float | " + " | ".join(names) + " | judge agrees |"
    lines = [head, "|---" * (len(names) + 3) + "|"]
    for source in SOURCES:
        mine = [row for row in rows if row["source"] == source]
        if not mine:
            continue
        values = [_cell([row for row in mine if row["bits"] == name]) for name in names]
        judged = [row["quality"].get("judge_agreement") for row in mine]
        known = [100 * value for value in judged if value is not None]
        seen = f"{fmean(known):.0f} %" if known else "–"
        lines.append(f"| {source} | {accuracy:.2f} | " + " | ".join(values) + f" | {seen} |")
    return lines


def _cell(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "–"
    after = [row["accuracy"] for row in rows]
    said = f"{fmean(after):.2f}"
    if len(after) > 1:
        said += f" [{min(after):.2f}, {max(after):.2f}]"
    return f"{said} ({fmean(row['calibrated'] for row in rows):.2f})"


def _bars(part: str, rows: list[dict[str, Any]]) -> list[str]:
    """The issue's bars, on means over the seeds that both sides have."""
    lines = []
    accuracy = rows[0]["teacher_accuracy"]
    for source in SOURCES[:-1]:
        mine = [r["accuracy"] for r in rows if (r["bits"], r["source"]) == ("W8A8", source)]
        if mine and part == "quant-mnist":
            loss = accuracy - fmean(mine)
            lines.append(_bar(f"W8A8, {source}: {loss:+.2f} points lost", loss, _EIGHT_LOSS))
    wide = ("W4A4",) if part == "quant-mnist" else ("W8A8", "W4A4")
    for bits in wide:
        sides = [
            {r["seed"]: r["accuracy"] for r in rows if (r["bits"], r["source"]) == (bits, source)}
            for source in ("real", "zs-cgan")
        ]
        both = sorted(sides[0].keys() & sides[1].keys())
        if both:
            gap = fmean(sides[0][seed] - sides[1][seed] for seed in both)
            said = f"{bits}, zs-cgan: {gap:+.2f} points below real data ({len(both)} seeds)"
            lines.append(_bar(said, gap, _FOUR_LOSS[part]))
    return lines


def _bar(said: str, value: float, limit: float) -> str:
    return f"- {said}; at most {limit}: {'met' if value <= limit + 1e-9 else 'missed'}"
