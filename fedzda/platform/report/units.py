"""How numbers are written: fractions as per cent, differences of fractions as points."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedzda.platform.fairness.direction import core, higher_is_better, is_share

NBSP = "\u00a0"
"""Keeps a number and its unit on one line."""
DASH = "–"
"""An undefined figure."""


_SPELT = {"psnr": "PSNR", "ssim": "SSIM", "miou": "mIoU", "iou": "IoU"}
_ACRONYMS = re.compile(rf"\b({'|'.join(_SPELT)})\b")
"""Metrics that are written otherwise than they are called in tables and files."""
_DECIBELS = re.compile(r".*psnr|gain_over_(noisy|filters|bicubic)|fidelity(_framewise)?")


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
    def unit(self) -> str:
        """Unit of shown values; empty where the metric has none."""
        if self.fraction:
            return "%"
        return "dB" if _DECIBELS.fullmatch(core(self.name)) else ""

    @property
    def words(self) -> str:
        """The name in a sentence: ``noise error``, ``PSNR``."""
        spoken = " ".join(self.name.split("_"))
        return _ACRONYMS.sub(lambda found: _SPELT[found[0]], spoken)

    @property
    def title(self) -> str:
        """The name at the head of a column or a title."""
        return self.words if self.words[:2] == "mI" else self.words[:1].upper() + self.words[1:]

    @property
    def label(self) -> str:
        """Axis label with its unit."""
        return f"{self.words} ({self.unit})" if self.unit else self.words

    def show(self, value: float | None) -> str:
        """A value with its unit, a dash where undefined."""
        if value is None or not math.isfinite(value):
            return DASH
        text = f"{100 * value:.1f}" if self.fraction else f"{value:.4g}"
        return f"{text}{NBSP}{self.unit}" if self.unit else text

    def gap(self, value: float | None) -> str:
        """The size of a difference, in points for fractions."""
        if value is None or not math.isfinite(value):
            return DASH
        if self.fraction:
            return f"{100 * abs(value):.1f}{NBSP}points"
        return f"{abs(value):.4g}{NBSP}{self.unit}" if self.unit else f"{abs(value):.4g}"

    @property
    def variance_unit(self) -> str:
        """Unit of shown variances; empty where the metric has none."""
        return "pp²" if self.fraction else f"{self.unit}²" if self.unit else ""

    @property
    def variance_scale(self) -> float:
        """Factor from the stored ``variance_pp2``, which is ``1e4 * var``, to shown variances."""
        return 1.0 if self.fraction else 1e-4

    def variance_of(self, words: str) -> str:
        """A heading or label with the unit of variances: ``variance (pp²)``."""
        return f"{words} ({self.variance_unit})" if self.variance_unit else words

    def variance(self, stored: float | None, *, unit: bool = False) -> str:
        """A stored ``variance_pp2`` as it is shown, a dash where undefined."""
        if stored is None or not math.isfinite(stored):
            return DASH
        shown = self.variance_scale * stored
        text = f"{shown:.1f}" if self.fraction else f"{shown:.4g}"
        return f"{text}{NBSP}{self.variance_unit}" if unit and self.variance_unit else text

    def interval(self, pair: list[float] | None) -> str:
        """``88.0 to 94.0 %``, a dash where undefined."""
        if not pair:
            return DASH
        low, high = (self.show(x) for x in pair)
        return f"{low.removesuffix(NBSP + self.unit)}{NBSP}to{NBSP}{high}"


def metric(name: str, better: Mapping[str, bool] | None = None) -> Metric:
    """The metric of a name.

    Args:
        name: Its name; some are shares, and of losses and errors less is better.
        better: Whether higher is better, by metric, where a run says so; else the name tells.
    """
    known = (better or {}).get(name)
    upwards = known if isinstance(known, bool) else higher_is_better(core(name))
    return Metric(name, is_share(name), upwards)


def metric_of(content: Mapping[str, Any]) -> Metric:
    """What the figures of a sweep's result file are of."""
    better = content.get("higher_is_better")
    known = better if isinstance(better, Mapping) else None
    return metric(str(content.get("metric") or "accuracy"), known)


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
