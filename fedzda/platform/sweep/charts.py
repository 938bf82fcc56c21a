"""Charts of a sweep: mean against variance, and accuracy over rounds with bands over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from fedzda.platform.files import replacing
from fedzda.platform.report.figures import STYLE
from fedzda.platform.report.units import Metric
from fedzda.platform.sweep.point_labels import name_points
from fedzda.platform.sweep.tables import Setting, estimate

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's, without the yellow that vanishes on white."""
_MARKERS = "osD^vP*X<>ph"
_DASHES = ("-", "--", "-.", ":")
_VARIANCES = (0, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
"""Marks on the axis of variances, linear up to 10 and logarithmic beyond."""


def pareto(setting: Setting, arms: Sequence[str], path: Path) -> None:
    """Write an SVG: a named point per arm, mean of the clients against variance, bars of 95 % over
    seeds.

    Left is more even, and up is better, or down for a metric of which less is better.
    """
    shown = setting.metric

    def paint(axes: Any) -> None:
        points = {}
        for number, arm in enumerate(arms):
            scale = shown.variance_scale
            variance = estimate(scale * v for v in setting.figure(arm, "variance_pp2").values())
            mean = estimate(shown.scale * v for v in setting.figure(arm, "mean").values())
            if variance is None or mean is None:
                continue
            bars = [None if np.isnan(e.half) else e.half for e in (variance, mean)]
            colour, marker = _look(number)[:2]
            at = (variance.mean, mean.mean)
            axes.errorbar(*at, bars[1], bars[0], fmt="none", ecolor=colour, elinewidth=1, alpha=0.3)
            axes.plot(*at, marker, color=colour, markersize=5)
            points[arm] = (*at, colour)
        if shown.fraction:
            axes.set_xscale("symlog", linthresh=10)
            axes.xaxis.set(major_locator=FixedLocator(_VARIANCES), minor_locator=NullLocator())
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter("{x:g}")  # the default writes TeX, which SVG text shows raw
        axes.set_xlabel(shown.variance_of(f"variance of the clients' {shown.words}"))
        axes.set_ylabel(_with_unit(f"mean {shown.words} of the clients", shown))
        axes.set_title(setting.title)
        axes.figure.draw_without_rendering()
        name_points(axes, points)

    _save(path, paint, inches=(7.0, 5.0))


def convergence(setting: Setting, arms: Sequence[str], path: Path) -> None:
    """Write an SVG: mean and worst tenth over rounds; the bands reach from the lowest seed to the
    highest."""
    metric = setting.metric
    shown = (
        ("mean", _with_unit(f"mean {metric.words}", metric)),
        ("worst10", _with_unit("worst 10 % of the clients", metric)),
    )

    def paint(mean_axes: Any, worst_axes: Any) -> None:
        for axes, (figure, title) in zip((mean_axes, worst_axes), shown, strict=True):
            for number, arm in enumerate(arms):
                _band(axes, setting, arm, figure, number)
            axes.set_xlabel("round")
            axes.set_ylabel(title)
        mean_axes.set_title(setting.title)

    _save(path, paint, inches=(10.0, 4.2), columns=2)


def _band(axes: Any, setting: Setting, arm: str, figure: str, number: int) -> None:
    results = [r for r in setting.arms.get(arm, {}).values() if "global" in r.data["curves"]]
    if not results:
        return
    # A rule of stop: may have ended the seeds in different rounds.
    each = [dict(zip(r.data["evaluated"], r.data["curves"]["global"][figure], strict=True))
            for r in results]  # fmt: skip
    rounds = sorted(set.intersection(*map(set, each)))
    stored = [[own[round_] for round_ in rounds] for own in each]
    curves = setting.metric.scale * np.array(stored, dtype=np.float64)
    colour, _, dash = _look(number)
    axes.plot(rounds, curves.mean(axis=0), dash, color=colour, label=arm, linewidth=1.5)
    axes.fill_between(rounds, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.12,
                      linewidth=0)  # fmt: skip


def _with_unit(words: str, shown: Metric) -> str:
    return f"{words} ({shown.unit})" if shown.unit else words


def _look(number: int) -> tuple[str, str, str]:
    """Colour, marker and dash; no two arms share all, so that colour alone never decides."""
    return (
        _COLOURS[number % len(_COLOURS)],
        _MARKERS[number % len(_MARKERS)],
        _DASHES[number // len(_COLOURS) % len(_DASHES)],
    )


def _save(
    path: Path, paint: Callable[..., None], inches: tuple[float, float], columns: int = 1
) -> None:
    """Draw and write without a date, so that equal charts are equal files."""
    style = {**STYLE, "svg.fonttype": "none", "svg.hashsalt": path.stem}
    with mpl.rc_context(style):
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasSVG(figure)
        made = figure.subplots(1, columns, squeeze=False)[0]
        paint(*made)
        handles, labels = made[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside right upper")
        with replacing(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
