"""The section on what clients gain over training alone, and what they pay."""

from __future__ import annotations

from typing import Any

from fedzda.platform.report.blocks import section, table
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import DASH, NBSP, duration, size

_MEGABYTE = 1e6


def part(data: RunData) -> Markup | None:
    """Gain against cost, or None if no local-only run was named."""
    if data.gains is None:
        return None
    found = data.gains.figures
    seconds, moved = found["seconds"], found["bytes"]
    rows = [
        ["Cost of a client", _cost(seconds, duration), _cost(moved, size)],
        ["Gini index of the cost", _plain(seconds["gini"]), _plain(moved["gini"])],
        ["Gain per unit, all clients", *_per_unit(data, "gain_per_unit")],
        ["Gain per unit, worst tenth", *_per_unit(data, "worst10_per_unit")],
        ["Paid by clients that are worse off", _share(seconds), _share(moved)],
    ]
    worse = found["share_worse_off"]
    lead = (
        f"Against training alone the {found['n']:,} clients gain {_gain(data, found['mean_gain'])} "
        f"on average; {100 * worse:.0f}{NBSP}% of them are worse off."
    )
    note = (
        f"Alone: run {data.gains.local}. Seconds are those of this simulation; bytes are models "
        "received and sent for training."
    )
    columns = ["Benefit and cost", "Training time", "Bytes"]
    content = join(
        tag("p", lead), table(columns, rows, "Benefit against cost"), tag("p", note, class_="note")
    )
    return section("Is it worth it for everybody?", content)


def _cost(found: dict[str, Any], write: Any) -> str:
    return DASH if found["mean"] is None else f"{write(found['mean'])} on average"


def _per_unit(data: RunData, key: str) -> list[str]:
    figures = data.gains.figures if data.gains else {}
    unit = "points" if data.metric.fraction else data.metric.unit or data.metric.words
    written = []
    for cost, factor, word in (("seconds", 1.0, "s"), ("bytes", _MEGABYTE, "MB")):
        value = figures[cost][key]
        shown = DASH if value is None else f"{data.metric.scale * factor * value:+.3g}"
        shown = shown.replace("-", "−")
        written.append(shown if value is None else f"{shown}{NBSP}{unit} per {word}")
    return written


def _share(found: dict[str, Any]) -> str:
    value = found["paid_by_losers"]
    return DASH if value is None else f"{100 * value:.0f}{NBSP}% of all"


def _plain(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def _gain(data: RunData, value: float) -> str:
    if data.metric.fraction:
        return f"{data.metric.scale * value:+.1f}{NBSP}points".replace("-", "−")
    text = f"{value:+.4g}".replace("-", "−")
    return f"{text}{NBSP}{data.metric.unit}" if data.metric.unit else text
