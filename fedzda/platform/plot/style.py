"""How figures for papers look: sizes of columns, fonts, colours that everybody can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from fedzda.platform.report.figures import STYLE

Width = Literal["single", "double"]
INCHES: dict[str, float] = {"single": 3.5, "double": 7.2}
"""Widths of one and two columns: those of IEEE's journals, and close to most others' (our
choice)."""
DPI = 300
"""Of PNG files."""
PAPER: dict[Any, Any] = {
    **STYLE,
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "ps.fonttype": 42,
    "svg.fonttype": "path",  # letters as outlines: nothing to install where it is shown
    "svg.hashsalt": "fedzda",
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's (2008), without the yellow that vanishes on white."""
MARKERS = "osD^vP*X<>"
DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
QUIET = "#5b6770"
"""Of lines that only help the eye."""


def look(number: int) -> dict[str, Any]:
    """Colour, dash and marker of a series; the next one always has another dash and marker too."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[number % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
    }


def line_look(number: int) -> dict[str, Any]:
    """:func:`look` without the marker."""
    found = look(number)
    del found["marker"]
    return found


def legend_above(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """A legend above the axes, with as many columns as fit; the figure grows with its lines."""
    longest = max(map(len, labels))
    room = (figure.get_figwidth() - 0.3) / (0.055 * longest + 0.5)
    columns = max(1, min(len(labels), int(room)))
    lines = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.14 * (lines - 1))
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)
