"""The parts of the page of a life."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fedzda.platform.report import phases
from fedzda.platform.report.blocks import embedded, figure, section, table, tile_row
from fedzda.platform.report.charts import phases as phases_chart
from fedzda.platform.report.charts.base import Drawing
from fedzda.platform.report.life import chart
from fedzda.platform.report.life.data import LifeData, StageData
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import DASH, NBSP, count, duration, names, size

Link = Callable[[StageData], str | None]
"""Where the page of a stage lies; None: it has none."""


def no_link(stage: StageData) -> None:
    """A stage of a page that stands alone."""


def heading(data: LifeData) -> list[Markup]:
    """Name and state."""
    state = "done" if data.state == "finished" else "open"
    facts = [tag("li", f"seed {data.seed}"), tag("li", f"{len(data.stages)} stages")]
    facts.append(tag("li", data.state, class_=f"state {state}"))
    return [
        tag("p", "the life of a model", class_="kicker"),
        tag("h1", data.name),
        tag("ul", *facts, class_="facts"),
    ]


def content(data: LifeData, link: Link = no_link) -> list[Markup]:
    """All sections that the life has figures for."""
    parts = [
        _overview(data, link),
        _charts(data),
        _devices(data),
        _quantized(data),
        *(_phases(stage) for stage in data.stages),
        _images(data),
    ]
    return [part for part in parts if part is not None]


def _overview(data: LifeData, link: Link) -> Markup:
    """Figures of the whole life, and its stages in their order."""
    columns = ["Stage", "What happens", "State", "Time", "Sent", "Mean", "Worst tenth"]
    rows = [_row(stage, link(stage)) for stage in data.stages]
    runs = [[stage.name, tag("code", stage.what)] for stage in data.stages]
    note = (
        "Mean and worst tenth: over the clients' own test samples at the end of the stage, each on "
        "the form of the model that its device runs. Sent: both directions together."
    )
    return tag(
        "section",
        tag("h2", "Figures of the whole life", class_="hidden"),
        tag("div", _tiles(data), class_="first"),
        tag("h2", "Stages"),
        tag("div", table(columns, rows, "Stages"), class_="told"),
        tag("p", note, class_="note"),
        tag(
            "details",
            tag("summary", "What was run in every stage"),
            tag("div", table(["Stage", "Run as"], runs, "What was run"), class_="words"),
        ),
    )


def _tiles(data: LifeData) -> Markup:
    tested = chart.tested(data)
    tiles: list[tuple[str, ...]] = [
        ("Stages done", f"{data.done} of {len(data.stages)}", f"in {duration(data.seconds)}"),
        ("Sent", size(sum(_sent(stage) for stage in data.stages)), "by simulated clients"),
    ]
    if tested and tested[-1].run is not None:
        run, last = tested[-1].run, tested[-1]
        shown = [run.metric.show(run.figures.get(key)) for key in ("mean", "worst10")]
        tiles.append((run.metric.title, shown[0], f"mean over clients, {last.name}", "mean"))
        tiles.append((f"{run.metric.title}, worst tenth", shown[1], f"after {last.name}", "worst"))
    return tile_row(tiles)


def _row(stage: StageData, href: str | None) -> list[object]:
    name = f"{stage.number}. {stage.name}"
    figures = {} if stage.run is None else stage.run.figures
    show = str if stage.run is None else stage.run.metric.show
    sent = _sent(stage)
    return [
        name if href is None else tag("a", name, href=href),
        stage.about or DASH,
        stage.state,
        duration(stage.seconds) if stage.seconds else DASH,
        size(sent) if sent else DASH,
        show(figures.get("mean")) if figures else DASH,
        show(figures.get("worst10")) if figures else DASH,
    ]


def _sent(stage: StageData) -> float:
    moved = {} if stage.run is None else stage.run.folder.summary.get("bytes") or {}
    return float(sum(moved.values()))


def _charts(data: LifeData) -> Markup | None:
    drawings: list[Drawing | None] = [chart.draw(data)]
    for stage in data.stages:
        drawn = None if stage.run is None else phases_chart.draw(stage.run)
        if drawn is not None:
            title = f"{stage.name}: {drawn.title[:1].lower()}{drawn.title[1:]}"
            drawings.append(replace(drawn, key=f"phases-{stage.name}", title=title))
    shown = [figure(drawing) for drawing in drawings if drawing is not None]
    if not shown:
        return None
    return tag("section", tag("h2", "Charts"), *shown, id="charts", class_="charts")


def _devices(data: LifeData) -> Markup | None:
    """Every class of devices in every stage that tested it."""
    tested = chart.tested(data)
    rows = []
    for device in dict.fromkeys(name for stage in tested for name in stage.devices):
        for stage in tested:
            own = stage.devices.get(device)
            if own is None or stage.run is None:
                continue
            metric = stage.run.metric
            model = DASH if own.size is None else size(own.size)
            figures = [metric.show(own.mean), metric.show(own.worst10)]
            rows.append([device, stage.name, own.variant, model, count(own.clients), *figures])
    if not rows:
        return None
    note = (
        "A device that is excluded cannot run the full model: it takes no part in training, and "
        "the figure is what the full model would give it. Size: of the form as it is deployed."
    )
    columns = ["Devices", "Stage", "Form of the model", "Size", "Clients", "Mean", "Worst tenth"]
    found = join(table(columns, rows, "Devices"), tag("p", note, class_="note"))
    return section("What every class of devices got", found)


def _quantized(data: LifeData) -> Markup | None:
    """What commands report on models with fewer bits."""
    rows = []
    for stage in data.stages:
        config, accuracy = stage.report.get("config") or {}, stage.report.get("accuracy") or {}
        if "bytes" not in stage.report or "weights" not in config:
            continue
        sizes = stage.report["bytes"]
        bits = f"W{config['weights']['bits']}A{config['activations']['bits']}"
        shown = [_percent(accuracy.get(key)) for key in ("float", "quantized", "onnxruntime")]
        noise = stage.report.get("logits_sqnr_db")
        rows.append(
            [stage.name, bits, str(config["stage"]), *shown,
             DASH if noise is None else f"{noise:.1f}{NBSP}dB", size(sizes["float32"]),
             size(sizes["packed"]), size(sizes["file_int8"]) if "file_int8" in sizes else DASH]
        )  # fmt: skip
    if not rows:
        return None
    columns = ["Stage", "Bits", "Method", "Floats", "Quantized", "In ONNX Runtime"]
    columns += ["Signal to noise", "As floats", "Packed", "ONNX file"]
    note = (
        "Accuracy on the global test set, which no client holds. Signal to noise: of the outputs. "
        "An ONNX file stores fewer than 8 bits in containers of 8; packed is what the weights take "
        "where a device can store them tightly."
    )
    found = join(table(columns, rows, "Models with fewer bits"), tag("p", note, class_="note"))
    return section("Models with fewer bits", found)


def _phases(stage: StageData) -> Markup | None:
    return None if stage.run is None else phases.part(stage.run)


def _images(data: LifeData) -> Markup | None:
    """The last sheet of every stage that made images; equal ones are shown once."""
    found: dict[bytes, list[StageData]] = {}
    for stage in data.stages:
        if stage.sheet is not None:
            found.setdefault(stage.sheet.read_bytes(), []).append(stage)
    shown = [
        embedded(own[0].sheet, f"A generator's images, in {names([stage.name for stage in own])}")
        for own in found.values()
        if own[0].sheet is not None
    ]
    return section("Images without data", tag("div", *shown, class_="images") if shown else None)


def _percent(value: Any) -> str:
    return DASH if value is None else f"{100 * value:.1f}{NBSP}%"
