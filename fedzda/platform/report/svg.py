"""Line and point charts as inline SVG.

Colours, fonts and the dark scheme come from the page's style sheet through class names (roles), so
one drawing serves screen, dark screen and print. Lengths are in units of the view box.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fedzda.platform.report.markup import Markup, join, tag

WIDTH, HEIGHT = 600, 360
LEFT, RIGHT, TOP, BOTTOM = 80, 24, 18, 64


def ticks(low: float, high: float, most: int = 6, least_step: float = 0.0) -> list[float]:
    """At most ``most`` round values that cover ``[low, high]``, steps of 1, 2 or 5 times 10^k.

    Counts take ``least_step=1``: half a sample is no tick.
    """
    span = high - low
    if span <= 0:
        low, span = low - 0.5, 1.0
        high = low + span
    power = 10.0 ** math.floor(math.log10(span / (most - 1)))
    for factor in (1, 2, 5, 10, 20, 50):
        step = max(factor * power, least_step)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first + 1 <= most:
            digits = max(10, 2 - math.floor(math.log10(step)))
            return [round(i * step, digits) for i in range(first, last + 1)]
    raise AssertionError("the last factor always fits")


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 between where there are few, that cover ``[low, high]``."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    between = (1, 2, 5) if last - first <= 3 else (1,)
    found = [m * 10.0**k for k in range(first, last + 1) for m in between]
    start = max(i for i, value in enumerate(found) if value <= low * (1 + 1e-9))
    end = min(i for i, value in enumerate(found) if value >= high * (1 - 1e-9))
    return found[start : end + 1]


@dataclass(frozen=True)
class Axis:
    """One axis: its ticks (the outer two are its ends), its title, how a tick is written."""

    at: list[float]
    title: str
    write: Callable[[float], str] = "{:g}".format
    log: bool = False

    @property
    def low(self) -> float:
        """The low end."""
        return self.at[0]

    @property
    def high(self) -> float:
        """The high end."""
        return self.at[-1]

    def place(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high end."""
        low, high = (math.log(x) if self.log else x for x in (self.low, self.high))
        found = math.log(value) if self.log else value
        return (found - low) / (high - low) if high > low else 0.5


class Plot:
    """A chart that is drawn layer by layer; later layers lie on top."""

    def __init__(self, x: Axis, y: Axis, right: int = RIGHT) -> None:
        self.x, self.y = x, y
        self.right = WIDTH - right
        self.parts: list[Markup] = []
        self._axes()

    def px(self, value: float) -> float:
        """Horizontal position of an x value."""
        return LEFT + (self.right - LEFT) * self.x.place(value)

    def py(self, value: float) -> float:
        """Vertical position of a y value."""
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * self.y.place(value)

    def _axes(self) -> None:
        bottom = HEIGHT - BOTTOM
        for value in self.y.at:
            y = self.py(value)
            self.parts.append(tag("line", class_="grid", x1=LEFT, x2=self.right, y1=y, y2=y))
            self.write(LEFT - 10, y, self.y.write(value), "tick", anchor="end", shift="0.35em")
        for value in self.x.at:
            x = self.px(value)
            self.parts.append(tag("line", class_="grid", x1=x, x2=x, y1=TOP, y2=bottom))
            self.write(x, bottom + 10, self.x.write(value), "tick", shift="0.8em")
        self.parts.append(tag("line", class_="axis", x1=LEFT, x2=self.right, y1=bottom, y2=bottom))
        middle = (LEFT + self.right) / 2
        self.write(middle, HEIGHT - 10, self.x.title, "title")
        turned = f"rotate(-90 21 {(TOP + bottom) / 2:.0f})"
        if self.y.title:
            self.write(21, (TOP + bottom) / 2, self.y.title, "title", transform=turned)

    def write(
        self,
        x: float,
        y: float,
        words: str,
        role: str,
        *,
        anchor: str = "middle",
        shift: str | None = None,
        transform: str | None = None,
    ) -> None:
        """Text at a position of the view box, moved down by ``shift``, then transformed."""
        self.parts.append(
            tag("text", words, class_=role, x=float(x), y=float(y), text_anchor=anchor,
                dy=shift, transform=transform)
        )  # fmt: skip

    def line(self, xs: Sequence[float], ys: Sequence[float], role: str) -> None:
        """A line through points."""
        points = " ".join(f"{self.px(x):.1f},{self.py(y):.1f}" for x, y in zip(xs, ys, strict=True))
        self.parts.append(tag("polyline", class_=f"line {role}", points=points))

    def steps(self, xs: Sequence[float], ys: Sequence[float], role: str) -> None:
        """A line that keeps ``ys[i]`` from ``xs[i]`` to ``xs[i + 1]``."""
        self.line(np.repeat(xs, 2)[1:].tolist(), np.repeat(ys, 2)[:-1].tolist(), role)

    def band(self, low: float, high: float, role: str) -> None:
        """A coloured strip over the whole width between two y values."""
        top, bottom = self.py(high), self.py(low)
        self.parts.append(
            tag("rect", class_=role, x=LEFT, y=top, width=self.right - LEFT, height=bottom - top)
        )

    def upright(self, x: float, role: str) -> None:
        """A vertical line over the whole height at an x value."""
        self.parts.append(
            tag("line", class_=f"rule {role}", x1=self.px(x), x2=self.px(x),
                y1=TOP, y2=HEIGHT - BOTTOM)
        )  # fmt: skip

    def mark(self, x: float, y: float, role: str, tip: str, shape: str = "circle") -> None:
        """A point (``circle``, ``square`` or ``diamond``) with the text shown when it is met."""
        self.parts.append(marker(self.px(x), self.py(y), role, tip, shape))

    def svg(self, alt: str) -> Markup:
        """The chart."""
        return picture(WIDTH, HEIGHT, alt, self.parts)


def marker(x: float, y: float, role: str, tip: str | None, shape: str = "circle") -> Markup:
    """A point at a position of the view box."""
    name = f"mark {role}"
    if shape == "circle":
        return tag("circle", class_=name, cx=x, cy=y, r=4.5, data_tip=tip)
    turned = f"rotate(45 {x:.1f} {y:.1f})" if shape == "diamond" else None
    return tag("rect", class_=name, x=x - 4, y=y - 4, width=8, height=8,
               transform=turned, data_tip=tip)  # fmt: skip


def picture(width: int, height: int, alt: str, parts: Sequence[Markup]) -> Markup:
    """The ``svg`` element: one picture for assistive technology, described by ``alt``."""
    return tag("svg", join(*parts), role="img", aria_label=alt,
               viewBox=f"0 0 {width} {height}", width=width, height=height)  # fmt: skip
