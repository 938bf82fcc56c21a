"""The parts of the page that are words and tables."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import yaml

from fedzda.platform.fairness import BOOTSTRAP_LIMIT, tail_size
from fedzda.platform.report import (
    benefit,
    devices,
    groups,
    leakage,
    load,
    phases,
    predictions,
    skew,
    variants,
)
from fedzda.platform.report.blocks import embedded, section, table, tile_row
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import DASH, count, duration, metric, names, size

MAX_IMAGES = 6
"""Most sample images in a report."""
_PRIVATE = {"source_folder"}  # a path of the user's machine has no place in a page to be shared
MAX_WORST = 10
"""Most clients in the table of the worst."""


def heading(data: RunData, name: str) -> list[Markup]:
    """Title and what was run."""
    config, folder = data.folder.config, data.folder
    words = [
        _named(config.get("strategy"), "strategy"),
        _named(config.get("data"), "data"),
        _named(config.get("model"), "model"),
        f"{folder.done} of {config['rounds']} rounds" if "rounds" in config else None,
        f"seed {config['seed']}" if "seed" in config else None,
    ]
    items = [tag("li", word) for word in words if word]
    state = tag(
        "li", folder.state, class_=f"state {'done' if folder.state == 'finished' else 'open'}"
    )
    return [
        tag("p", "fairness report", class_="kicker"),
        tag("h1", name),
        tag("ul", *items, state, class_="facts"),
    ]


def _named(block: Any, word: str) -> str | None:
    found = (block.get("name") or block.get("target")) if isinstance(block, dict) else None
    return f"{word} {found}" if found else None


_SQUARES = {"pp²": "squared percentage points", "dB²": "squared decibels", "": "over clients"}
"""What the units of variances mean."""


def tiles(data: RunData) -> Markup | None:
    """The four figures to remember."""
    figures, shown = data.figures, data.metric
    if not figures.get("n"):
        return None
    tail = f"Worst tenth ({count(tail_size(figures['n']))} of {count(figures['n'])})"
    gap = shown.gap(figures["mean"] - figures["worst10"])
    low_high = shown.interval([figures["min"], figures["max"]])
    variance = shown.variance(figures["variance_pp2"], unit=True)
    return tile_row(
        (
            (f"Mean {shown.words}", shown.show(figures["mean"]),
             f"95 % interval {shown.interval(figures.get('mean_ci95'))}", "mean"),
            (tail, shown.show(figures["worst10"]),
             f"95 % interval {shown.interval(figures.get('worst10_ci95'))}", "worst"),
            ("Gap to the mean", gap, f"range {low_high}", "gap"),
            ("Variance", variance, _SQUARES[shown.variance_unit], "gap"),
        )
    )  # fmt: skip


def tables(data: RunData) -> list[Markup]:
    """All sections after the charts; a section without content is left out."""
    sides = join(
        groups.part(data),
        benefit.part(data),
        section("By device and variant", _groups(data)),
        section("Cost", _cost(data)),
    )
    parts = (
        section("All fairness figures", _figures(data), wide=len(_metrics(data)) > _NARROW),
        phases.part(data),
        devices.part(data),
        variants.part(data),
        tag("div", sides) if sides else None,
        predictions.part(data),
        section("Sample synthetic images", _images(data), wide=True),
        leakage.part(data),
        skew.part(data),
        section("Configuration", _code(_yaml(data.folder.config), "Configuration")),
        section("Provenance", _provenance(data)),
    )
    return [part for part in parts if part is not None]


def worst_clients(data: RunData) -> Markup | None:
    """The clients to look at first, with what they hold."""
    if data.final is None or data.ranking.size < 2:
        return None
    at = data.ranking[:MAX_WORST]
    what, sizes = data.sizes
    several = len(set(data.final.device.tolist())) > 1
    mean = data.figures["mean"]
    columns = ["Client", data.metric.title, "Below the mean", what.capitalize()]
    held = _classes_of(data, len(at))
    rows = []
    for rank, i in enumerate(at):
        value = float(data.final.value[i])
        below = (mean - value) * (1 if data.metric.higher_is_better else -1)
        gap = data.metric.gap(below) if below > 0 else DASH
        row = [data.final.client[i], data.metric.show(value), gap, count(sizes[i])]
        row += [held[rank]] if held else []
        rows.append(row + ([data.final.device[i]] if several else []))
    columns += ["Classes it holds"] if held else []
    columns += ["Device"] if several else []
    title = "Clients to look at first"
    note = f"The {len(rows)} worst of {count(data.ranking.size)} clients."
    return tag(
        "section",
        tag("h3", title),
        table(columns, rows, title),
        tag("p", note, class_="note"),
        class_="card",
    )


def _classes_of(data: RunData, first: int) -> list[str]:
    """Classes that the first of the ranked clients (the worst) train on, if that is known."""
    clients = data.ranked_clients[:first]
    counts = load.label_counts(data.folder.path, clients, data.all_classes)
    if counts is None or len(data.classes) < 2:
        return []
    word = [data.class_name(label) for label in data.all_classes]
    return [
        names([word[i] for i in np.flatnonzero(counts[:, j])], limit=6) or DASH
        for j in range(clients.size)
    ]


_ROWS = (
    ("mean", "Mean over clients", "value"),
    ("mean_ci95", "95 % interval", "pair"),
    ("weighted_mean", "Mean weighted by test samples", "value"),
    ("last10_mean", "Mean of the last ten evaluated rounds", "value"),
    ("worst10", "Worst tenth", "value"),
    ("worst10_ci95", "95 % interval of the worst tenth", "pair"),
    ("best10", "Best tenth", "value"),
    ("min", "Lowest client", "value"),
    ("max", "Highest client", "value"),
    ("variance_pp2", "Variance over clients", "variance"),
    ("std", "Standard deviation over clients", "value"),
    ("gini", "Gini index (0: all equal)", "plain"),
    ("jain", "Jain index (1: all equal)", "plain"),
    ("entropy", "Entropy (nat)", "plain"),
    ("entropy_normalised", "Entropy divided by its maximum (1: all equal)", "plain"),
)


_NARROW = 2
"""A table of up to this many metrics leaves room for another one beside it."""


def _metrics(data: RunData) -> dict[str, dict[str, Any]]:
    """Figures of every metric, the one that the report is about first."""
    stored = data.folder.summary.get("metrics") or {}
    aside = _means_only(data)
    columns = {n: found for n, found in stored.items() if "/" not in n and n not in aside}
    return {data.metric.name: data.figures} | columns if data.figures.get("n") else columns


def _means_only(data: RunData) -> list[str]:
    """Metrics that do not say how well a client is served, as the run's task says."""
    found = data.folder.summary.get("means_only")
    return [n for n in found if n != data.metric.name] if isinstance(found, list) else []


def _aside(data: RunData) -> Markup | None:
    """The means of those metrics, in one sentence."""
    stored = data.folder.summary.get("metrics") or {}
    told = [
        f"{metric(name).words} {metric(name).show((stored.get(name) or {}).get('mean'))}"
        for name in _means_only(data)
        if name in stored
    ]
    if not told:
        return None
    why = "Means over clients of what does not say how well a client is served"
    return tag("p", f"{why}: {', '.join(told)}.", class_="note")


def _figures(data: RunData) -> Markup | None:
    columns = _metrics(data)
    if not columns:
        return None
    rows = [["Clients counted", *(f"{c.get('n', DASH)}" for c in columns.values())]]
    rows.append(
        ["Clients without a value", *(f"{c.get('excluded', DASH)}" for c in columns.values())]
    )
    for key, words, kind in _ROWS:
        rows.append([words, *(_cell(name, found, key, kind) for name, found in columns.items())])
    how = (
        "Intervals are over clients: a bootstrap with 2000 resamples"
        f" (above {BOOTSTRAP_LIMIT:,} clients the normal approximation). They say how far the"
        " figures depend on which clients take part, not on the seed."
    )
    heads = ["Figure", *(metric(name).words for name in columns)]
    figures = table(heads, rows, "Fairness figures")
    return join(figures, _aside(data), tag("p", how, class_="note"))


def _cell(name: str, found: dict[str, Any], key: str, kind: str) -> str:
    value = found.get(key)
    if kind == "pair":
        return metric(name).interval(value)
    if kind == "variance":
        return metric(name).variance(value, unit=True)
    if kind == "value" or value is None:
        return metric(name).show(value)
    return f"{value:.4g}"


def _groups(data: RunData) -> Markup | None:
    rows = []
    for title in ("device", "variant"):
        groups = data.folder.summary.get(f"by_{title}") or {}
        if len(groups) < 2:
            continue
        for name, metrics in groups.items():
            found = metrics.get(data.metric.name) or {}
            shown = [data.metric.show(found.get(key)) for key in ("mean", "worst10")]
            rows.append([f"{title} {name}", found.get("n", DASH), *shown])
    columns = ["Group", "Clients", "Mean", "Worst tenth"]
    return table(columns, rows, "Figures by device and variant") if rows else None


def _images(data: RunData) -> Markup | None:
    files = sorted((data.folder.path / "artifacts").glob("samples-round-*.png"))
    if not files:
        return None
    if len(files) > MAX_IMAGES:
        last = len(files) - 1
        files = [files[round(i * last / (MAX_IMAGES - 1))] for i in range(MAX_IMAGES)]
    shown = []
    for file in files:
        shown.append(embedded(file, sheet_title(data, file.stem)))
    return join(tag("p", sheet_words(data), class_="note"), tag("div", *shown, class_="images"))


def sheet_title(data: RunData, stem: str) -> str:
    """What a sheet of synthetic images is called: who made it, and when."""
    number = int(stem.removeprefix("samples-round-"))
    maker = _named(data.folder.config.get("strategy"), " of strategy") or ""
    return f"Synthetic images{maker}, round {number}"


def sheet_words(data: RunData) -> str:
    """How to read the sheets, and what a good one looks like."""
    return (
        f"{_rows_of(data)} In a good sheet the rows differ, and so do the images of a row: rows "
        "that look alike are classes that the generator confuses, images that look alike all that "
        "it can make of a class. They need not look real."
    )


def _rows_of(data: RunData) -> str:
    """Which row of the pictures is which class."""
    if data.phases:
        return "A row is a class, from top to bottom in the order of learning."
    if not data.class_names:
        return "A row is a class, from top to bottom by number."
    return f"A row is a class, from top to bottom: {names(data.class_names, limit=20)}."


LOST = "lost to errors"
_REPLIES = {
    "retried": "Replies tried again after an error",
    "lost": f"Replies {LOST}",
}
"""Errors on this machine; clients that a simulated device loses stand under Devices."""


def _cost(data: RunData) -> Markup | None:
    summary = data.folder.summary
    seconds, moved = summary.get("seconds") or {}, summary.get("bytes") or {}
    failures = summary.get("failures") or {}
    rows = [[f"Time, {part}", duration(float(value))] for part, value in seconds.items()]
    rows += [[f"Sent {way}", size(float(value))] for way, value in moved.items()]
    rows += [[_REPLIES.get(k, k), count(float(value))] for k, value in failures.items()]
    return table(["What", "How much"], rows, "Cost of the run") if rows else None


def _provenance(data: RunData) -> Markup | None:
    meta = {key: value for key, value in data.folder.meta.items() if key not in _PRIVATE}
    flat = [
        (key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for key, value in _flat(meta)
        if value is not None  # the report is written before the run has ended
    ]
    if not flat:
        return None
    return tag("div", table(["Key", "Value"], flat, "Provenance of the run"), class_="words")


def _flat(block: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in block.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{before}{key}.")
        else:
            found.append((f"{before}{key}", value))
    return found


def _yaml(block: dict[str, Any]) -> str:
    return yaml.safe_dump(block, sort_keys=False, allow_unicode=True) if block else ""


def _code(words: str, label: str) -> Markup | None:
    if not words:
        return None
    return tag("pre", tag("code", words), class_="scroll", tabindex="0", role="region",
               aria_label=label)  # fmt: skip


def footer(data: RunData) -> list[object]:
    """Where the page came from."""
    return [
        "Made from the files in ", tag("code", data.folder.path.resolve().name), ". The charts as "
        "PNG and PDF: ", tag("code", "figures/"), ". This page works offline and sends nothing.",
    ]  # fmt: skip
