"""Accuracy of every class of devices, each on its own form of the model, from stage to stage."""

from __future__ import annotations

from fedzda.platform.report.charts.base import Drawing
from fedzda.platform.report.life.data import LifeData, StageData
from fedzda.platform.report.svg import Axis, Plot, ticks
from fedzda.platform.report.units import DASH, Metric, names

_LOOKS = (("worst", "square"), ("best", "diamond"), ("mean", "circle"), ("client", "square"))
"""Colour and shape of each class in turn; from the fifth on they repeat, the names do not."""
_SPACING = 22
_MARGIN = 130


def draw(data: LifeData) -> Drawing | None:
    """A line for each class, or None before two stages have tested clients on one metric."""
    stages = tested(data)
    if len(stages) < 2:
        return None
    assert stages[0].run is not None
    metric = stages[0].run.metric
    classes = list(dict.fromkeys(name for stage in stages for name in stage.devices))
    series = {
        name: [
            (float(place), metric.scale * own.mean)
            for place, stage in enumerate(stages)
            if (own := stage.devices.get(name)) is not None and own.mean is not None
        ]
        for name in classes
    }
    alt = (
        f"{metric.title} of {names(classes)} in the stages "
        f"{names([stage.name for stage in stages])}; the table has the values."
    )
    return Drawing(
        key="life-devices",
        title=f"{metric.title} by class of devices, from stage to stage",
        alt=alt,
        caption="Mean over the clients of a class, each tested on its own samples with the form of "
        "the model that its device runs in that stage. Stages may test different classes of "
        "images: what happens in them is said above.",
        svg=_plot(stages, series, metric).svg(alt),
        columns=["Devices", *(stage.name for stage in stages)],
        rows=[
            [name, *(_told(stage, name, metric) for stage in stages)]
            for name in classes
        ],
    )  # fmt: skip


def tested(data: LifeData) -> list[StageData]:
    """The stages that tested clients, by the metric of the first that did."""
    found = [stage for stage in data.stages if stage.devices and stage.run is not None]
    first = found[0].run if found else None
    return [s for s in found if s.run is not None and first and s.run.metric == first.metric]


def _told(stage: StageData, name: str, metric: Metric) -> str:
    own = stage.devices.get(name)
    return DASH if own is None else f"{metric.show(own.mean)} ({own.variant})"


def _plot(
    stages: list[StageData], series: dict[str, list[tuple[float, float]]], metric: Metric
) -> Plot:
    ys = [y for points in series.values() for _, y in points] or [0.0]
    plot = Plot(
        Axis([float(n) for n in range(len(stages))], "stage", lambda x: stages[round(x)].name),
        Axis(ticks(min(ys), max(ys)), metric.label),
        right=_MARGIN,
    )
    looks = {name: _LOOKS[i % len(_LOOKS)] for i, name in enumerate(series)}
    drawn = [(name, points) for name, points in series.items() if points]
    lowest = -100.0
    for name, points in sorted(drawn, key=lambda each: plot.py(each[1][-1][1])):
        role, shape = looks[name]
        plot.line([x for x, _ in points], [y for _, y in points], role)
        for x, y in points:
            plot.mark(x, y, role, f"{name}, {stages[round(x)].name}: {y:.1f}", shape)
        lowest = max(plot.py(points[-1][1]), lowest + _SPACING)
        plot.write(
            plot.px(points[-1][0]) + 11, lowest, name, f"label {role}", anchor="start",
            shift="0.35em",
        )  # fmt: skip
    return plot
