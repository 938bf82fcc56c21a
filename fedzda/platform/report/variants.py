"""The section on forms of the model: what each takes, and what the clients that run it got."""

from __future__ import annotations

from typing import Any

from fedzda.platform.report.blocks import section, table
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import count, size

_LEAD = (
    "Every client is tested on the form of the model that its device runs. Size is that of the "
    "form as it is deployed; multiply-adds are those of a forward pass on one sample."
)
_EXCLUDED = (
    "Clients that are excluded could not train any form; they are tested on the full model, which "
    "their devices could not run."
)


def part(data: RunData) -> Markup | None:
    """Forms of the model, or None where all clients run the full one."""
    variants = data.folder.summary.get("variants") or {}
    if not variants:
        return None
    columns = ["Variant", "Clients", data.metric.title, f"{data.metric.title}, worst tenth"]
    columns += ["Parameters", "Size", "Multiply-adds", "Trains"]
    rows = [_row(data, name, found) for name, found in variants.items()]
    content = join(
        tag("p", _LEAD),
        table(columns, rows, "Variants of the model"),
        tag("p", _EXCLUDED, class_="note") if "excluded" in variants else None,
    )
    return section("Variants of the model", content, wide=True)


def _row(data: RunData, name: str, found: dict[str, Any]) -> list[str]:
    by_variant = data.folder.summary.get("by_variant") or {}
    figures = (by_variant.get(name) or {}).get(data.metric.name) or {}
    return [
        name,
        count(found["clients"]),
        data.metric.show(figures.get("mean")),
        data.metric.show(figures.get("worst10")),
        count(found["parameters"]),
        size(found["bytes"]),
        count(found["macs"]),
        "yes" if found["trains"] else "no",
    ]
