"""How numbers are written: fractions as per cent, differences of fractions as points."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

NBSP = "\u00a0"
"""Keeps a number and its unit on one line."""
DASH = "–"
"""An undefined figure."""


@dataclass(frozen=True)
class Metric:
    """A metric of the client table and how to show it.

    Attributes:
        name: Name in the table.
        fraction: Whether it is a share in [0, 1], shown in per cent.
        higher_is_better: Whether clients with low values are the worst.
    """

    name: str
    fraction: bool
    higher_is_better: bool

    @property
    def scale(self) -> float:
        """Factor from stored to shown values."""
        return 100.0 if self.fraction else 1.0

    @property
    def title(self) -> str:
        """The name at the head of a column or a title."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def label(self) -> str:
        """Axis label with its unit."""
        return f"{self.name} (%)" if self.fraction else self.name

    def show(self, value: float | None) -> str:
        """A value with its unit, a dash where undefined."""
        if value is None or not math.isfinite(value):
            return DASH
        return f"{100 * value:.1f}{NBSP}%" if self.fraction else f"{value:.4g}"

    def gap(self, value: float | None) -> str:
        """The size of a difference, in points for fractions."""
        if value is None or not math.isfinite(value):
            return DASH
        return f"{100 * abs(value):.1f}{NBSP}points" if self.fraction else f"{abs(value):.4g}"

    def interval(self, pair: list[float] | None) -> str:
        """``88.0 to 94.0 %``, a dash where undefined."""
        if not pair:
            return DASH
        low, high = (self.show(x) for x in pair)
        return f"{low.removesuffix(NBSP + '%')}{NBSP}to{NBSP}{high}"


_PREFIX = re.compile(r"^(eval|test|val|valid|train)[_-]")
"""What the metrics of Flower apps begin with."""
_SHARES = ("accuracy", "recall", "miou", "iou", "pixel_accuracy", "class_accuracy", "boundary_f")


def metric(name: str) -> Metric:
    """The metric of a name; some names are shares, and of losses and errors less is better."""
    core = _PREFIX.sub("", name)
    share = core == "acc" or core.startswith(_SHARES)
    lower = core.startswith(("loss", "error", "mse", "mae", "rmse"))
    return Metric(name, fraction=share, higher_is_better=not lower)


def count(number: float) -> str:
    """A whole number with thousands separators."""
    return f"{number:,.0f}"


def size(num_bytes: float) -> str:
    """A number of bytes with a decimal unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(num_bytes) < 1000:
            return f"{num_bytes:.0f}{NBSP}B" if unit == "B" else f"{num_bytes:.1f}{NBSP}{unit}"
        num_bytes /= 1000
    return f"{num_bytes:,.1f}{NBSP}TB"


def duration(seconds: float) -> str:
    """Seconds below a minute, else minutes or hours with what is left over."""
    if seconds < 60:
        return f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{NBSP}min {whole % 60}{NBSP}s"
    return f"{whole // 3600}{NBSP}h {whole % 3600 // 60}{NBSP}min"


def names(items: list[str], limit: int = 5) -> str:
    """``3, 7 and 9``; beyond ``limit`` items ``3, 7, 9, 11, 12 and 15 more``."""
    if len(items) <= 1:
        return "".join(items)
    if len(items) <= limit:
        return f"{', '.join(items[:-1])} and {items[-1]}"
    return f"{', '.join(items[:limit])} and {count(len(items) - limit)} more"
