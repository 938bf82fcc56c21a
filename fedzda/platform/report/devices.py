"""The section on devices: what each class got, what it took, and how long the run was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fedzda.platform.report.blocks import section, table
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import DASH, NBSP, Metric, count, duration, size

_BY_CLASS = {"iou": "Intersection over union", "recall": "Recall"}
"""Figures by class of the data, that of the task first, and what tables call them."""
_MOST_CLASSES = 40
_LOST = (
    ("late", "came too late"),
    ("dropped", "failed on the way"),
    ("left", "went away"),
)


def part(data: RunData) -> Markup | None:
    """Devices and virtual time, or None if no virtual clock ran."""
    virtual = data.folder.summary.get("virtual") or {}
    devices = virtual.get("devices") or {}
    if not devices:
        return None
    title = f"{data.metric.title}, worst tenth"
    columns = ["Device", "Clients", data.metric.title, title, "Updates used"]
    columns += ["Time per update", "Received", "Sent"]
    lead = (
        f"The run took {duration(virtual['sec'])} of virtual time: what the devices would take, not"
        " what this simulation took."
    )
    content = join(
        tag("p", lead),
        table(columns, [_row(data, name, devices[name]) for name in devices], "Devices"),
        tag("p", _note(devices), class_="note"),
        _classes(data),
        _times(virtual.get("time_to_accuracy") or {}),
    )
    return section("Devices", content, wide=True)


def _row(data: RunData, name: str, found: dict[str, Any]) -> list[str]:
    by_device = data.folder.summary.get("by_device") or {}
    figures = (by_device.get(name) or {}).get(data.metric.name) or {}
    share = f" ({100 * found['used'] / found['asked']:.0f}{NBSP}%)" if found["asked"] else ""
    return [
        name,
        count(found["clients"]),
        data.metric.show(figures.get("mean")),
        data.metric.show(figures.get("worst10")),
        f"{count(found['used'])} of {count(found['asked'])}{share}",
        _or_dash(found["update_sec"], _short),
        _or_dash(found["update_bytes_down"], size),
        _or_dash(found["update_bytes_up"], size),
    ]


def _classes(data: RunData) -> Markup | None:
    """What every class of the data gets on each class of devices."""
    by_device = data.folder.summary.get("classes_by_device") or {}
    name = next((own for own in _BY_CLASS if any(own in found for found in by_device.values())), "")
    if not name:
        return None
    figures = {device: found.get(name, {}) for device, found in by_device.items()}
    labels = sorted({int(label) for found in figures.values() for label in found})
    note = None
    if len(labels) > _MOST_CLASSES:
        note = f"The {_MOST_CLASSES} of {len(labels)} classes in which devices differ most."
        gaps = {label: _gap(label, figures.values()) for label in labels}
        labels = sorted(sorted(labels, key=lambda own: -gaps[own])[:_MOST_CLASSES])
    shown = Metric(name, fraction=True, higher_is_better=True)
    rows = [
        [data.class_name(label), *(shown.show(found.get(str(label))) for found in figures.values())]
        for label in labels
    ]
    title = f"{_BY_CLASS[name]} by class, mean over the clients of a device"
    return join(
        tag("h3", title),
        table(["Class", *figures], rows, title),
        tag("p", note, class_="note") if note else None,
    )


def _gap(label: int, figures: Iterable[dict[str, float]]) -> float:
    values = [found[str(label)] for found in figures if str(label) in found]
    return max(values) - min(values)


def _short(sec: float) -> str:
    """Small models take fractions of a second."""
    return f"{1000 * sec:.0f}{NBSP}ms" if sec < 1 else duration(sec)


def _or_dash(value: float | None, write: Any) -> str:
    return DASH if value is None else str(write(value))


def _note(devices: dict[str, dict[str, Any]]) -> str:
    lost = {word: sum(own[key] for own in devices.values()) for key, word in _LOST}
    told = [f"{count(number)} {word}" for word, number in lost.items() if number]
    if not told:
        return "Every update that was asked for was used."
    return f"Of the updates that were asked for, {', '.join(told)}."


def _times(levels: dict[str, float | None]) -> Markup | None:
    """When the clients' mean accuracy was first as high as some levels."""
    reached = [(level, sec) for level, sec in levels.items() if sec is not None]
    if not reached:
        return None
    rows = [[f"{100 * float(level):.0f}{NBSP}%", duration(sec)] for level, sec in reached]
    return table(["Mean accuracy", "Virtual time until it was reached"], rows, "Time to accuracy")
