"""What a run cost, round by round, and how the devices fared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from fedzda.platform.dashboard import shell
from fedzda.platform.dashboard.card import RunCard
from fedzda.platform.dashboard.charts import series
from fedzda.platform.dashboard.pages.run import head
from fedzda.platform.fairness import describe
from fedzda.platform.report import devices
from fedzda.platform.report.blocks import figure, table, tile_row
from fedzda.platform.report.charts.base import Drawing
from fedzda.platform.report.data import RunData, collect
from fedzda.platform.report.markup import Markup, tag
from fedzda.platform.report.sections import LOST
from fedzda.platform.report.svg import Plot
from fedzda.platform.report.units import DASH, count, duration, size

_UNITS = (("h", 3600.0), ("min", 60.0), ("s", 1.0))


def page(card: RunCard, now: float) -> str:
    """Devices, seconds and bytes. Raises :class:`UserError` if a file of the run is damaged."""
    data = collect(card.path)
    rows = [row for row in data.folder.rounds if isinstance(row.get("seconds"), dict)]
    charts = [
        chart for chart in (_seconds(rows), _bytes(data, rows), _virtual(data, rows)) if chart
    ]
    return shell.document(
        f"Devices and cost of {card.name}",
        head(card, now),
        shell.run_navigation(card.id, "/cost"),
        devices.part(data) or tag("section", tag("h2", "Devices"), _devices(data)),
        tag(
            "section",
            tag("h2", "Cost"),
            _totals(rows) if rows else shell.note("The first round has not ended yet."),
            tag("div", *(figure(chart) for chart in charts), class_="charts"),
        ),
        here="/",
    )


def _devices(data: RunData) -> Markup:
    final = data.final
    if final is None:
        return shell.note("No client has been evaluated yet.")
    rows = []
    for name in sorted(set(final.device.tolist())):
        own = final.device == name
        found = describe(final.value[own], final.num_examples[own],
                         higher_is_better=data.metric.higher_is_better)  # fmt: skip
        shown = [data.metric.show(found[key]) for key in ("mean", "worst10", "min", "max")]
        rows.append([f"device {name or DASH}", count(found["n"]), *shown])
    for name, metrics in (data.folder.summary.get("by_variant") or {}).items():
        found = metrics.get(data.metric.name) or {}
        shown = [data.metric.show(found.get(key)) for key in ("mean", "worst10", "min", "max")]
        rows.append([f"variant {name}", count(found.get("n") or 0), *shown])
    columns = ["Group", "Clients", "Mean", "Worst tenth", "Lowest", "Highest"]
    return table(columns, rows, f"{data.metric.title} by device and variant")


def _totals(rows: Sequence[dict[str, Any]]) -> Markup:
    total = sum(row["seconds"].get("total", 0.0) for row in rows)
    moved = [sum(_moved(row, way) for row in rows) for way in ("down", "up")]
    clients = [row.get("clients") or {} for row in rows]
    tiles = (
        ("Time", duration(total), f"{duration(total / len(rows))} per round"),
        ("Sent to clients", size(moved[0]), f"{size(moved[0] / len(rows))} per round"),
        ("Sent by clients", size(moved[1]), f"{size(moved[1] / len(rows))} per round"),
        ("Client trainings", count(sum(c.get("done", 0) for c in clients)),
         f"{count(sum(c.get('failed', 0) for c in clients))} {LOST}"),
    )  # fmt: skip
    return tile_row(tiles)


def _moved(row: dict[str, Any], way: str) -> float:
    return float((row.get("bytes") or {}).get(way, 0))


def _seconds(rows: Sequence[dict[str, Any]]) -> Drawing | None:
    """Time of each round and of its parts."""
    if not rows:
        return None
    parts = ["total", *(part for part in rows[-1]["seconds"] if part != "total")]
    drawn = []
    for part in parts:
        points = [(row["round"], row["seconds"].get(part, 0.0)) for row in rows]
        tips = [f"round {r}, {part}: {duration(v)}" for r, v in points]
        drawn.append(series.Series(part, [r for r, _ in points], [v for _, v in points], tips))
    drawn = [each.thinned() for each in drawn]
    x = series.rounds_axis([r for each in drawn for r in each.x])
    plot = Plot(x, series.axis([0.0, *(v for each in drawn for v in each.y)], "time (s)"))
    series.lines(plot, drawn)
    median = float(np.median([row["seconds"].get("total", 0.0) for row in rows]))
    alt = f"Lines of the time of {len(rows):,} rounds and its parts; {duration(median)} at median."
    return Drawing(
        key="seconds",
        title="Time of each round",
        alt=alt,
        caption="Wall-clock time of the simulation, and of its parts.",
        svg=series.picture(plot, drawn, alt),
        columns=["Round", *(part.capitalize() for part in parts)],
        rows=[
            [str(row["round"]), *(duration(row["seconds"].get(part, 0.0)) for part in parts)]
            for row in rows
        ],
    )


def _bytes(data: RunData, rows: Sequence[dict[str, Any]]) -> Drawing | None:
    """Mean and worst tenth against everything sent so far, both ways."""
    sums = accumulate(_moved(row, "down") + _moved(row, "up") for row in rows)
    sent = dict(zip((row["round"] for row in rows), sums, strict=True))
    return _against(
        data, "bytes", "what was sent", sent, size, ("sent both ways (MB)", 1e6),
        "Models to the clients and back, evaluation included, summed over the rounds.",
    )  # fmt: skip


def _virtual(data: RunData, rows: Sequence[dict[str, Any]]) -> Drawing | None:
    """Mean and worst tenth against the time that the devices would have taken."""
    at = {r["round"]: float(r["virtual_total_sec"]) for r in rows if "virtual_total_sec" in r}
    longest = max(at.values(), default=0.0)
    unit = next(((w, s) for w, s in _UNITS if longest > 2 * s), _UNITS[-1])
    return _against(
        data, "virtual", "virtual time", at, duration, (f"virtual time ({unit[0]})", unit[1]),
        "The time that the devices would take, not what this simulation took.",
    )  # fmt: skip


def _against(
    data: RunData,
    key: str,
    words: str,
    at: dict[int, float],
    write: Callable[[float], str],
    across: tuple[str, float],
    caption: str,
) -> Drawing | None:
    """Mean and worst tenth against a cost that grows with the rounds.

    Args:
        data: The run.
        key: Anchor of the chart.
        words: What the cost is called.
        at: Round to the cost so far.
        write: How a cost is written.
        across: Title of the axis, and how much of the cost is 1 on it.
        caption: How to read it.
    """
    points = [(at[r], f) for r, f in data.history if r in at]
    if not points or not max(at.values()):
        return None
    drawn = []
    for name, said, role in (("mean", "mean", "mean"), ("worst10", "worst tenth", "worst")):
        known = [(c, f[name]) for c, f in points if f.get(name) is not None]
        tips = [f"{write(c)}, {said}: {data.metric.show(v)}" for c, v in known]
        values = [v * data.metric.scale for _, v in known]
        drawn.append(
            series.Series(said, [c / across[1] for c, _ in known], values, tips, role).thinned()
        )
    x = series.axis([0.0, *(v for each in drawn for v in each.x)], across[0])
    plot = Plot(x, series.axis([v for e in drawn for v in e.y], f"client {data.metric.label}"))
    series.lines(plot, drawn)
    rows = [
        [write(c), data.metric.show(f["mean"]), data.metric.show(f.get("worst10"))]
        for c, f in points
    ]
    alt = (
        f"Lines of {data.metric.words} against {words}: at {rows[-1][0]} the mean is "
        f"{rows[-1][1]}, the worst tenth {rows[-1][2]}."
    )
    return Drawing(
        key=key,
        title=f"{data.metric.title} against {words}",
        alt=alt,
        caption=caption,
        svg=series.picture(plot, drawn, alt),
        columns=[words.capitalize(), "Mean", "Worst tenth"],
        rows=rows,
    )
