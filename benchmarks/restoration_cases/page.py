"""What docs/methods/restoration.md shows of the studies: tables, and dB against training hours."""

from __future__ import annotations

import json

import docs_page

from restoration_cases import study

PAGE = study.ROOT / "docs" / "methods" / "restoration.md"
_STYLES = (
    ("#000000", "-"),
    ("#D55E00", "--"),
    ("#0072B2", "-."),
    ("#009E73", ":"),
    ("#CC79A7", "-"),
    ("#56B4E9", "--"),
)
"""Colours that all readers tell apart, and lines that tell them apart without colour."""


def update(name: str) -> str:
    """The table of a study into its place, and its picture; returns the table."""
    text = study.table(name)
    docs_page.put(PAGE, f"table {name}", text)
    draw(name)
    return text


def draw(name: str) -> None:
    """``docs/images/restoration/NAME-hours.svg``: PSNR while training, on the images that are
    tested at every checkpoint, seed 0."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "fedzda"  # equal figures are equal files
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7, 3.6))
    paths = sorted((study.RESULTS / name).glob("*-s0.json"))
    for path, (colour, style) in zip(paths, _STYLES[: len(paths)], strict=True):
        cell = json.loads(path.read_text())
        quick = "quick_" + next(iter(cell["figures"]))
        points = [(point["seconds"] / 3600, point[quick]) for point in cell["curve"]]
        axis.plot(*zip(*points, strict=True), style, color=colour, label=cell["arm"])
        axis.plot(*points[-1], "o", color=colour, ms=4)
    best = max(line.get_ydata()[-1] for line in axis.lines) if paths else 0.0
    axis.set(xlabel="hours of training, one thread", ylabel="PSNR, dB", ylim=(best - 3, best + 0.2))
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="lower right")
    figure.tight_layout()
    figure.savefig(study.PICTURES / f"{name}-hours.svg", metadata={"Date": None})
