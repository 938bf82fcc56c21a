"""The section on how unlike the clients are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedzda.platform.report.blocks import embedded, section, table
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import DASH, count

_ROWS = (
    ("label_distance", "label_distance_even", "Label distance to all clients (0: alike, 1: apart)"),
    (
        "pixel_distance",
        "pixel_distance_even",
        "Pixel distance to all clients (grey levels, 0 to 1)",
    ),
    ("effective_classes", None, "Classes of a client (effective number)"),
    ("size_gini", None, "Gini index of the clients' sizes (0: all equal)"),
)
_OF_LABELS = ("label_distance", "effective_classes")
"""Figures that say nothing where all samples have one label."""


def part(data: RunData) -> Markup | None:
    """Figures of heterogeneity and what clients see, or None for a run of an older version."""
    found = data.heterogeneity
    if found.get("label_distance") is None:
        return None
    alike = found.get("classes") == 1
    rows = [
        [words, f"{found[key]:.3g}", DASH if floor is None else f"{found[floor]:.3g}"]
        for key, floor, words in _ROWS
        if found.get(key) is not None and not (alike and key in _OF_LABELS)
    ]
    note = (
        "Means over the clients. The last column is what chance leaves if the same samples are "
        "dealt out evenly to clients of these sizes."
    )
    content = join(
        table(["How unlike", "This run", "Dealt evenly"], rows, "Heterogeneity of the clients"),
        tag("p", note, class_="note"),
        _views(data, found.get("views") or []),
    )
    return section("How unlike the clients are", content, wide=True)


def _views(data: RunData, views: list[dict[str, Any]]) -> Markup | None:
    """A strip of training images for each of some clients or clusters."""
    shown = []
    for view in views:
        # the name alone: a path written there must not lead out of the run folder
        file = data.folder.path / "artifacts" / Path(str(view["file"])).name
        if file.is_file():
            shown.append(embedded(file, _words(view)))
    return tag("div", *shown, class_="strips") if shown else None


def _words(view: dict[str, Any]) -> str:
    alone = view["clients"] == 1
    who = (
        f"client {view['client']}"
        if alone
        else f"cluster {view['unit']} ({count(view['clients'])} clients)"
    )
    return f"{who[0].upper()}{who[1:]}: {view['says']}"
