"""The section on group fairness."""

from __future__ import annotations

from typing import Any

from fedzda.platform.report.blocks import section, table
from fedzda.platform.report.charts.groups import word
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import DASH, NBSP

_GAPS = (
    ("accuracy", "Accuracy"),
    ("equal_opportunity", "Recall (equal opportunity)"),
    ("demographic_parity", "Share predicted (demographic parity)"),
)


def part(data: RunData) -> Markup | None:
    """The gaps between groups, or None if groups were not compared."""
    gaps = data.groups.get("gaps") or {}
    if not gaps:
        return None
    several = bool(gaps["accuracy"]["local_clients"])
    rows = []
    for key, words in _GAPS:
        found = gaps[key]
        of = "" if found.get("class") is None else f" of {_class(found['class'])}"
        ratio = DASH if found["ratio"] is None else f"{found['ratio']:.2f}"
        local = [_points(found[name]) for name in ("local_difference", "local_worst")]
        row = [f"{words}{of}", _points(found["difference"]), ratio]
        rows.append(row + (local if several else []))
    columns = ["Widest gap between groups", "Global", "Ratio"]
    columns += ["Local, mean", "Local, worst"] if several else []
    content = join(
        table(columns, rows, "Gaps between groups"), tag("p", _note(data, gaps), class_="note")
    )
    return section(f"Groups by {word(data)}", content)


def _class(name: str) -> str:
    return f"class {name}" if name.isdigit() else f"class '{name}'"


def _points(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f}{NBSP}points"


def _note(data: RunData, gaps: dict[str, Any]) -> str:
    clients = int(gaps["accuracy"]["local_clients"])
    inside = (
        f"local: inside each of the {clients:,} clients that hold several groups"
        if clients
        else "every client belongs to one group, so there are no local gaps"
    )
    which = (
        f"The favourable class is {data.groups['positive']}."
        if data.groups.get("positive") is not None
        else "Of all classes the one with the widest gap is shown."
    )
    return (
        f"Global: all samples of a group together; {inside}. {which} Demographic parity between "
        "groups that hold different labels is no aim in itself: a perfect model breaks it."
    )
