"""Maps of clients (columns) by classes (rows), coloured with cividis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fedzda.platform.report.charts.base import Chart
from fedzda.platform.report.load import Floats
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.svg import picture
from fedzda.platform.report.units import DASH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RAMP = (
    *("#00224e", "#002e6a", "#1a386f", "#32436d", "#434e6c", "#535a6d", "#61656f", "#6f7073"),
    *("#7d7c78", "#8c8878", "#9b9476", "#aba072", "#bcae6c", "#cdbb63", "#dec958", "#f0d846"),
    "#fee838",
)
"""Cividis (Nuñez, Anderton, Renslow 2018) at 0, 1/16, 2/16, … 1."""
TOP, BOTTOM, GAP = 34, 86, 1
MISSING, HATCH = "#eceff1", "#aab3ba"


@dataclass(frozen=True)
class Grid:
    """The numbers of a map.

    Attributes:
        value: ``(classes, clients)`` in [0, 1], NaN where there is nothing.
        classes: Row names.
        clients: Column names.
        tip: Text for a cell from (row, column).
        cell: Short text inside a wide cell from (row, column).
        legend: What the colour says, with its unit.
        missing: What a cell without a value says.
        hatched: Whether such a cell is hatched (unknown) or blank (nothing there).
        column: What a column is.
        order: The same for paper, with the order of the columns.
    """

    value: Floats
    classes: list[str]
    clients: list[str]
    tip: Callable[[int, int], str]
    cell: Callable[[int, int], str]
    legend: str
    missing: str
    hatched: bool = True
    column: str = "client"
    order: str = "client, worst first"


def colour(share: float) -> str:
    """Cividis at ``share`` in [0, 1], linear between its stops."""
    at = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    low = min(int(at), len(RAMP) - 2)
    pair = [[int(RAMP[i][k : k + 2], 16) for k in (1, 3, 5)] for i in (low, low + 1)]
    mixed = (round(a + (b - a) * (at - low)) for a, b in zip(*pair, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def chart(
    grid: Grid,
    *,
    key: str,
    title: str,
    alt: str,
    caption: str,
    inches: tuple[float, float] = (7.2, 3.4),
) -> Chart:
    """The map with its table, for screen and paper."""
    columns, rows = _table(grid)
    return Chart(
        key=key,
        title=title,
        alt=alt,
        caption=caption,
        svg=_draw(grid, alt),
        columns=columns,
        rows=rows,
        wide=True,
        paint=partial(_paint, grid),
        inches=inches,
    )


def _draw(grid: Grid, alt: str) -> Markup:
    """The map as SVG, in its natural size."""
    num_classes, num_clients = grid.value.shape
    dx = min(48, max(11, 1000 // num_clients))
    dy = 26 if num_classes <= 30 else 12
    longest = max(len(_clip(name)) for name in grid.classes)
    left = 46 + 8 * longest
    words = max(12 * len(RAMP) + 10 + 7.5 * len(grid.legend), 24 + 7.5 * len(grid.missing))
    width = max(left + num_clients * dx, left + round(words)) + 16
    height = TOP + num_classes * dy + BOTTOM
    # one map of a page at most is hatched, so that the pattern's id stands once
    parts = [*([_hatch()] if grid.hatched else []), *_names(grid, left, dx, dy)]
    for i in range(num_classes):
        for j in range(num_clients):
            parts += _cell(grid, i, j, (left + j * dx, TOP + i * dy, dx, dy), written=dx >= 34)
    parts.append(_legend(grid, left, TOP + num_classes * dy + 44))
    return picture(width, height, alt, parts)


def _clip(name: str) -> str:
    return name if len(name) <= 14 else f"{name[:13]}…"


def _hatch() -> Markup:
    stroke = tag("path", d="M0 6L6 0", class_="hatch-line")
    ground = tag("rect", width=6, height=6, class_="hatch-ground")
    inside = join(ground, stroke)
    return tag(
        "defs",
        tag("pattern", inside, id="hatch", width=6, height=6, patternUnits="userSpaceOnUse"),
    )


def _cell(
    grid: Grid, i: int, j: int, box: tuple[int, int, int, int], *, written: bool
) -> list[Markup]:
    x, y, dx, dy = box
    share = float(grid.value[i, j])
    empty = np.isnan(share)
    found = [
        tag("rect", class_=_empty(grid) if empty else "cell", x=x, y=y, width=dx - GAP,
            height=dy - GAP, fill=None if empty else colour(share),
            data_row=i, data_tip=grid.tip(i, j))
    ]  # fmt: skip
    if written and not empty:
        ink = "#ffffff" if share < 0.45 else "#000000"
        found.append(
            tag("text", grid.cell(i, j), class_="inside", x=x + (dx - GAP) / 2,
                y=y + dy / 2, dy="0.35em", text_anchor="middle", fill=ink)
        )  # fmt: skip
    return found


def _empty(grid: Grid) -> str:
    return "cell hatched" if grid.hatched else "cell blank"


def _names(grid: Grid, left: int, dx: int, dy: int) -> list[Markup]:
    found = [tag("text", "class", class_="title", x=left - 10, y=TOP - 24, text_anchor="end")]
    every = max(1, -(-14 // dy))
    for i, name in enumerate(grid.classes):
        if i % every == 0:
            found.append(
                tag("text", _clip(name), class_="tick", x=left - 10, y=TOP + (i + 0.5) * dy,
                    dy="0.35em", text_anchor="end")
            )  # fmt: skip
    longest = max(len(name) for name in grid.clients)
    every = max(1, -(-(longest * 9 + 6) // dx))
    found.append(tag("text", grid.column, class_="title", x=left, y=TOP - 24, text_anchor="start"))
    for j, name in enumerate(grid.clients):
        if j % every == 0:
            found.append(
                tag("text", name, class_="tick", x=left + (j + 0.5) * dx, y=TOP - 7,
                    text_anchor="middle")
            )  # fmt: skip
    return found


def _legend(grid: Grid, left: int, y: int) -> Markup:
    steps = [
        tag("rect", x=left + 12 * i, y=y - 14, width=12, height=14, fill=tone)
        for i, tone in enumerate(RAMP)
    ]
    end = left + 12 * len(RAMP)
    words = [
        tag("text", "0", class_="tick", x=left, y=y + 17),
        tag("text", "100", class_="tick", x=end, y=y + 17, text_anchor="end"),
        tag("text", grid.legend, class_="tick", x=end + 10, y=y - 3),
        tag("rect", x=left, y=y + 24, width=16, height=12, class_=_empty(grid)),
        tag("text", grid.missing, class_="tick", x=left + 24, y=y + 34),
    ]
    return join(*steps, *words)


def _table(grid: Grid) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: one row per client (or cluster), one column per class."""
    rows = [
        [name, *(DASH if np.isnan(v) else grid.cell(i, j) for i, v in enumerate(grid.value[:, j]))]
        for j, name in enumerate(grid.clients)
    ]
    return [grid.column.capitalize(), *grid.classes], rows


def _paint(grid: Grid, axes: Axes) -> None:
    """The map on paper; hatching marks what is missing."""
    axes.set_facecolor(MISSING)
    axes.patch.set(hatch="////" if grid.hatched else "", edgecolor=HATCH)
    shown = axes.imshow(
        np.ma.masked_invalid(100 * grid.value), cmap="cividis", vmin=0, vmax=100, aspect="auto"
    )
    axes.set(xlabel=grid.order, ylabel="class")
    for axis, names, most in ((axes.xaxis, grid.clients, 25), (axes.yaxis, grid.classes, 20)):
        stride = -(-len(names) // most)
        axis.set_ticks(list(range(0, len(names), stride)), names[::stride])
    axes.get_figure().colorbar(shown, ax=axes, label=grid.legend)  # type: ignore[union-attr]
