"""Tables and the plot of the docs page, from the results that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import docs_page
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "methods" / "diffusion.md"
PLOT = ROOT / "docs" / "images"
Cells = list[dict[str, Any]]


def update_page(kind: str, name: str, results: Path) -> None:
    """Put a table between its marks in the page; the first study gets its plot as well."""
    if kind == "frdiff":
        arms = _arms(results, name)
        made = frdiff_table(arms, results, name)
        plot(arms, name)
    else:
        made = tdq_table(results, name) if kind == "tdq" else both_table(results, name)
    docs_page.put(PAGE, f"table {kind}-{name}", made)
    print(made)


def frdiff_table(arms: dict[str, Cells], results: Path, name: str) -> str:
    """One row per arm, dearest first; floor and provenance below."""
    whole = arms["ddim-50"][0]["flops"]
    columns = ["sampler", "seeds", "MFLOP", "fewer", "time", "RMSE x1000", "PSNR dB"]
    columns += ["Fréchet", "2nd judge", "MMD x1000", "density", "coverage"]
    lines = _head(columns)
    for arm, cells in sorted(arms.items(), key=lambda item: -item[1][0]["flops"]):
        cost = cells[0]["flops"]
        ratios = [c["wall_ratio"] for c in cells if "wall_ratio" in c]
        row = [arm, str(len(cells)), f"{cost / 1e6:.0f}", f"{whole / cost:.2f}"]
        row += [f"{ratios[0]:.2f}" if ratios else "–"]
        row += [_mean(cells, "rmse", 1000, 1)]
        row += ["–" if arm == "ddim-50" else _mean(cells, "psnr", 1, 1)]
        row += [_mean(cells, "frechet", 1, 3), _mean(cells, "frechet_judge_2", 1, 3)]
        row += [_mean(cells, "kernel_mmd", 1000, 1), _mean(cells, "density", 1, 3)]
        lines.append(_row([*row, _mean(cells, "coverage", 1, 3)]))
    low = json.loads((results / f"{name}-floor.json").read_text())
    note = (
        f"Real against real ({low['images']} held-out images, so not comparable with rows of other "
        f"sizes): Fréchet {low['frechet']:.3f}, density {low['density']:.3f}, coverage "
        f"{low['coverage']:.3f}. Each row: {arms['ddim-50'][0]['images']} images per seed. "
    )
    lines += ["", note + _provenance([c for r in arms.values() for c in r]), ""]
    return "\n".join(lines + _single_steps(results, name))


def _single_steps(results: Path, name: str) -> list[str]:
    """Errors of one reuse step, in percent of the output."""
    found = json.loads((results / f"{name}-single-steps.json").read_text())
    lines = _head(["reused in one step, error %", *[f"step {i}" for i in found["steps"]]])
    for kind, errors in found["errors"].items():
        lines.append(_row([kind, *[f"{100 * error:.2f}" for error in errors]]))
    return lines


def tdq_table(results: Path, name: str) -> str:
    """One row per form, bits and method; a column per number of sampling steps."""
    groups: dict[tuple[str, str, str], Cells] = {}
    for path in sorted(results.glob(f"{name}-tdq-*.json")):
        cell = json.loads(path.read_text())
        bits = "W{}A{}".format(*cell["bits"])
        form = "trained" if "-tdq-qat-" in path.name else "post-training"
        groups.setdefault((form, bits, cell["method"]), []).append(cell)
    columns = ["form", "bits", "method", "seeds", "noise error x1000"]
    columns += [f"RMSE x1000 at {n}" for n in (100, 20, 10)]
    columns += [f"Fréchet at {n}" for n in (100, 20, 10)]
    lines = _head([*columns, "kB"])
    for (form, bits, method), cells in groups.items():
        row = [form, bits, method, str(len(cells))]
        row.append(f"{np.mean([np.mean(c['noise_error']) for c in cells]) * 1000:.1f}")
        for figure, factor, digits in (("rmse", 1000, 1), ("frechet", 1, 3)):
            for steps in ("100", "20", "10"):
                values = [c["steps"][steps][figure] * factor for c in cells]
                row.append(_interval(values, digits))
        lines.append(_row([*row, f"{cells[0]['kilobytes']:.0f}"]))
    found = [c for cells in groups.values() for c in cells]
    images = found[0]["steps"]["100"]["images"] if found else 0
    note = f"{images} images per cell, paired with the float model at the same steps. "
    return "\n".join([*lines, "", note + _provenance(found)])


def both_table(results: Path, name: str) -> str:
    """Quantized, and quantized with reuse, at 50 steps."""
    lines = _head(["bits", "sampler", "seeds", "RMSE x1000", "Fréchet", "coverage"])
    cells = [json.loads(p.read_text()) for p in sorted(results.glob(f"{name}-both-*.json"))]
    for bits in sorted({tuple(c["bits"]) for c in cells}, reverse=True):
        own = [c for c in cells if tuple(c["bits"]) == bits]
        for arm in own[0]["arms"]:
            rows = [c["arms"][arm] for c in own]
            row = ["W{}A{}".format(*bits), arm, str(len(own)), _mean(rows, "rmse", 1000, 1)]
            row += [_mean(rows, "frechet", 1, 3), _mean(rows, "coverage", 1, 3)]
            lines.append(_row(row))
    return "\n".join([*lines, "", _provenance(cells)])


def plot(arms: dict[str, Cells], name: str) -> None:
    """Quality against counted cost, ``docs/images/diffusion-NAME.svg``."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "fedzda"  # equal figures are equal files
    from matplotlib import pyplot

    kinds = {
        "ddim": ("DDIM, fewer steps", "#000000", "o-"),
        "mixed": ("FRDiff, mixed", "#D55E00", "s--"),
        "pure": ("FRDiff, no mixing", "#E69F00", "D--"),
        "jump": ("whole output", "#009E73", "^:"),
        "deepcache": ("DeepCache", "#0072B2", "v-."),
        "auto": ("Auto-FR", "#CC79A7", "*"),
    }
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6))
    for axis, key, label in zip(
        axes, ("rmse", "frechet"), ("RMSE to 50 steps, per pixel", "Fréchet distance"), strict=True
    ):
        for kind, (title, colour, style) in kinds.items():
            points = sorted(
                (cells[0]["flops"] / 1e6, float(np.mean([c[key] for c in cells])))
                for arm, cells in arms.items()
                if arm.startswith(kind) or arm.endswith(kind)
            )
            if points:
                axis.plot(*zip(*points, strict=True), style, color=colour, label=title, ms=5)
        axis.set(xlabel="MFLOP per image (counted)", ylabel=label)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(PLOT / f"diffusion-{name}.svg", metadata={"Date": None})


def _arms(results: Path, name: str) -> dict[str, Cells]:
    found: dict[str, Cells] = {}
    for path in sorted(results.glob(f"{name}-frdiff-*-s*.json")):
        arm = path.stem.removeprefix(f"{name}-frdiff-").rsplit("-s", 1)[0]
        found.setdefault(arm, []).append(json.loads(path.read_text()))
    return found


def _mean(cells: Cells, key: str, factor: float, digits: int) -> str:
    return _interval([cell[key] * factor for cell in cells], digits)


def _interval(values: list[float], digits: int) -> str:
    """Mean and, with several seeds, the half width of the 95 % t-interval."""
    mean = f"{np.mean(values):.{digits}f}"
    if len(values) < 2:
        return mean
    from scipy import stats

    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{mean} ± {half:.{digits}f}"


def _head(columns: list[str]) -> list[str]:
    return [_row(columns), "|" + "---|" * len(columns)]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _provenance(cells: Cells) -> str:
    seeds = sorted({cell["seed"] for cell in cells})
    dates = sorted({cell["date"] for cell in cells})
    span = dates[0] if len(set(dates)) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"Seeds {', '.join(map(str, seeds))}; {cells[0]['machine']}, {span}."
