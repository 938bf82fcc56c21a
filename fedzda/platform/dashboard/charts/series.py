"""Charts of several runs or parts over each other, with the report's axes and marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedzda.platform.report.charts.base import MAX_POINTS
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.svg import Axis, Plot, marker, ticks

MOST = 8
"""Series with a look of their own: six colours, three marks and four dashes, no pair alike."""
_SHAPES = ("circle", "square", "diamond")
_ROLE_SHAPES = {"worst": "square", "client": "square", "best": "diamond"}
MARKED, STEPS_MARKED = 40, 20
"""Up to this many points of a line each has a mark; above, evenly spaced ones have."""


@dataclass(frozen=True)
class Series:
    """One line or cloud.

    Attributes:
        label: Its name in the legend.
        x: Positions, ascending for a line.
        y: Heights.
        tips: Text for each point.
        role: One of the report's roles (``mean``, ``worst``, ``client``), for what has a fixed
            look; left out: the look of its number.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    tips: Sequence[str]
    role: str = ""

    def thinned(self) -> Series:
        """At most :data:`MAX_POINTS` points, the first and the last among them."""
        if len(self.x) <= MAX_POINTS:
            return self
        kept = np.linspace(0, len(self.x) - 1, MAX_POINTS).round().astype(int)
        return replace(
            self,
            x=[self.x[i] for i in kept],
            y=[self.y[i] for i in kept],
            tips=[self.tips[i] for i in kept],
        )


def look(number: int, role: str = "") -> tuple[str, str]:
    """Class of the style sheet (colour and dash) and mark of a series."""
    if role:
        return role, _ROLE_SHAPES.get(role, "circle")
    return f"s{number % MOST}", _SHAPES[number % len(_SHAPES)]


def rounds_axis(rounds: Sequence[float]) -> Axis:
    """An axis of rounds that ends where the rounds do."""
    low, high = min(rounds), max(rounds)
    between = [t for t in ticks(low, high, least_step=1) if low < t < high]
    step = between[1] - between[0] if len(between) > 1 else high - low
    kept = [t for t in between if min(t - low, high - t) >= step / 2]
    return Axis(sorted({low, *kept, high}), "round", "{:,.0f}".format)


def axis(values: Sequence[float], title: str) -> Axis:
    """An axis that covers all values."""
    return Axis(ticks(min(values), max(values)), title, "{:,g}".format)


def lines(plot: Plot, series: Sequence[Series], *, steps: bool = False) -> None:
    """Draw a line for each series, with marks that can be read one by one.

    With ``steps`` a line rises at each point, as a distribution does.
    """
    for number, each in enumerate(series):
        role, _ = look(number, each.role)
        if steps:
            plot.steps([each.x[0], *each.x], [0, *each.y], role)
        else:
            plot.line(each.x, each.y, role)
    for number, each in enumerate(series):
        role, shape = look(number, each.role)
        stride = -(-len(each.x) // (STEPS_MARKED if steps else MARKED))
        for x, y, tip in list(zip(each.x, each.y, each.tips, strict=True))[::-1][::stride][::-1]:
            plot.mark(x, y, role, tip, shape)


def picture(plot: Plot, series: Sequence[Series], alt: str, *, dots: bool = False) -> Markup:
    """The drawing with its legend beneath."""
    items = (
        tag("li", _sample(look(number, each.role), dots), tag("span", each.label))
        for number, each in enumerate(series)
    )
    return join(plot.svg(alt), tag("ul", *items, class_="legend"))


def _sample(shown: tuple[str, str], dots: bool) -> Markup:
    role, shape = shown
    line = tag("line", class_=f"line {role}", x1=0, x2=34, y1=8, y2=8)
    mark = marker(17, 8, role, None, shape)
    inside = mark if dots else join(line, mark)
    return tag("svg", inside, viewBox="0 0 34 16", width=34, height=16, aria_hidden="true")
