"""Sweeps: a heat map of two axes, and a table with intervals and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fedzda.platform.dashboard import shell
from fedzda.platform.dashboard.cells import (
    ARM,
    FIGURES,
    Combination,
    axes,
    combinations,
    scale_of,
    unit_of,
)
from fedzda.platform.dashboard.results import ResultSet
from fedzda.platform.report.blocks import table
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import DASH, NBSP, Metric, metric_of
from fedzda.platform.sweep.tables import Estimate, estimate

TONES = 17
"""Steps of the colours of a heat map, classes ``h0`` (lowest) to ``h16`` of the style sheet."""
_BASES = ("fed-avg", "flwr-fed-avg")
"""Arms that differences are taken to where the reader names none."""


def listing(sets: Mapping[str, ResultSet], given: bool) -> str:
    """All sweeps, or how to get one."""
    rows = []
    for found in sets.values():
        if found.sweep:
            own = combinations(found.results)
            name = tag("a", found.name, href=shell.href("/sweep", results=found.name))
            several = ", ".join(f"{a} ({len(v)})" for a, v in axes(own).items())
            rows.append([name, f"{len(found.results):,}", several])
    columns = ["Sweep", "Finished cells", "Axes"]
    content = table(columns, rows, "Sweeps") if rows else nothing("sweep", given)
    return shell.document("Sweeps", shell.heading("Sweeps", _many(len(rows), "sweep")),
                          tag("div", content, class_="words"), here="/sweeps")  # fmt: skip


def _many(number: int, word: str) -> str:
    plural = {"study": "studies"}.get(word, f"{word}s")
    return f"1 {word}" if number == 1 else f"{number:,} {plural}"


def nothing(word: str, given: bool) -> Markup:
    """How to get sweeps or studies to see."""
    if given:
        return shell.note(f"The folders given with --results hold no results of a {word}.")
    return shell.note(
        f"Name the folder of a {word}'s result files when you start the dashboard: ",
        tag("code", "fedzda dashboard runs --results docs/studies/results"),
        ". In the file of a sweep, its key is ",
        tag("code", "results"),
        ".",
    )


def skipped(found: ResultSet) -> list[str]:
    """How many files are missing from what is shown; nothing if none is."""
    if not found.skipped:
        return []
    files = "1 file is" if found.skipped == 1 else f"{found.skipped} files are"
    return [f"{files} no readable JSON and left out."]


def page(found: ResultSet, query: Mapping[str, str]) -> str:
    """One sweep. ``query`` chooses axes, figure, fixed values (``at.AXIS``) and baseline."""
    rows = combinations(found.results)
    known = axes(rows)
    shown = metric_of(next(iter(found.results.values())))
    figure = query.get("figure", "mean")
    figure = figure if figure in FIGURES else "mean"
    down, across = _chosen_axes(known, query)
    fixed = {
        axis: query.get(f"at.{axis}", values[0]) if query.get(f"at.{axis}") in values else values[0]
        for axis, values in known.items()
        if axis not in (down, across, "seed")
    }
    lead = f"{_many(len(found.results), 'finished cell')} of a sweep"
    return shell.document(
        found.name,
        shell.heading(found.name, lead),
        shell.problems(skipped(found)),
        _choices(found, known, query, figure, down, across, fixed),
        _heat(rows, shown, known, figure, down, across, fixed) if down != across else None,
        _intervals(rows, shown, known, query.get("base", "")),
        here="/sweeps",
        wide=True,
    )


def _chosen_axes(known: dict[str, list[str]], query: Mapping[str, str]) -> tuple[str, str]:
    """Axes down and across: the arm and the first other one, unless the reader says otherwise."""
    order = sorted(known, key=lambda axis: (axis == "seed", axis != ARM))
    down = query.get("down", "")
    down = down if down in known else order[0]
    others = [axis for axis in order if axis != down]
    across = query.get("across", "")
    return down, across if across in others else (others[0] if others else down)


def _choices(
    found: ResultSet,
    known: dict[str, list[str]],
    query: Mapping[str, str],
    figure: str,
    down: str,
    across: str,
    fixed: dict[str, str],
) -> Markup:
    named = [(axis, axis) for axis in known]
    fields = [
        shell.choice("figure", "Figure", list(FIGURES.items()), figure),
        shell.choice("down", "Down", named, down),
        shell.choice("across", "Across", named, across),
    ]
    fields += [
        shell.choice(f"at.{axis}", axis, [(v, v) for v in known[axis]], value)
        for axis, value in fixed.items()
    ]
    bases = [("", "fed-avg, or the first"), *((arm, arm) for arm in known.get(ARM, []))]
    if len(bases) > 1:
        fields.append(shell.choice("base", "Differences to", bases, query.get("base", "")))
    return shell.form("/sweep", *fields, tag("button", "Show"), label="What to show",
                      keep={"results": found.name})  # fmt: skip


def _heat(
    rows: Sequence[Combination],
    shown: Metric,
    known: dict[str, list[str]],
    figure: str,
    down: str,
    across: str,
    fixed: dict[str, str],
) -> Markup:
    """A table whose cells are coloured by value; the numbers stand in them."""
    kept = [r for r in rows if all(r.labels.get(a, v) == v for a, v in fixed.items())]
    means = {
        (d, a): _mean(kept, figure, {down: d, across: a})
        for d in known[down]
        for a in known[across]
    }
    values = [v for v in means.values() if v is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    words, scale, unit = FIGURES[figure], scale_of(figure, shown), unit_of(figure, shown)
    lower = figure in ("variance_pp2", "gini") or not shown.higher_is_better
    form = ".3f" if figure == "gini" else _form(shown)

    def cell(value: float | None) -> Markup:
        if value is None:
            return tag("td", DASH, class_="blank-cell")
        share = (value - low) / (high - low) if high > low else 1.0
        return tag("td", f"{scale * value:{form}}",
                   class_=f"h{round((1 - share if lower else share) * (TONES - 1))}")  # fmt: skip

    head = tag("tr", tag("th", f"{down} / {across}", scope="col"),
               *(tag("th", value, scope="col") for value in known[across]))  # fmt: skip
    body = (
        tag("tr", tag("th", d, scope="row"), *(cell(means[d, a]) for a in known[across]))
        for d in known[down]
    )
    words += "" if shown.name == "accuracy" else f" of {shown.words}"
    title = f"{words} by {down} and {across}" + (f" ({unit})" if unit else "")
    inside = tag("table", tag("caption", title, class_="hidden"), tag("thead", head),
                 tag("tbody", *body), class_="heat")  # fmt: skip
    over = "" if "seed" in (down, across) else " Means over the seeds."
    said = "".join(f" {axis}: {value}." for axis, value in fixed.items())
    how = f"Brighter is better.{over}{said} A dash: no finished cell."
    return tag(
        "section",
        tag("h2", title),
        tag("div", inside, class_="scroll fit", tabindex="0", role="region", aria_label=title),
        tag("p", how, class_="note"),
    )


def _mean(rows: Sequence[Combination], figure: str, labels: dict[str, str]) -> float | None:
    """Mean over the seeds, or the value of one seed, of the rows with some labels."""
    seed = labels.get("seed")
    wanted = {axis: value for axis, value in labels.items() if axis != "seed"}
    found = [
        value
        for row in rows
        if all(row.labels.get(axis) == value for axis, value in wanted.items())
        for own, value in row.figures.get(figure, {}).items()
        if seed is None or str(own) == seed
    ]
    return float(np.mean(found)) if found else None


def _intervals(
    rows: Sequence[Combination], shown: Metric, known: dict[str, list[str]], base: str
) -> Markup:
    """Every combination with 95 % intervals over seeds, and differences paired by seed."""
    named = [axis for axis in known if axis != "seed"]
    arms = known.get(ARM, [])
    base = base if base in arms else next((b for b in _BASES if b in arms), "")
    columns = [" · ".join(named) or "cell", "Seeds", "Mean", "Worst tenth"]
    columns += [shown.variance_of("Variance")]
    columns += [f"Δ mean to {base}", "Δ worst tenth"] if base else []
    columns += ["Processor time (s)", "Sent (MB)"]
    lines = []
    for row in rows:
        label = " · ".join(row.labels.get(axis, DASH) for axis in named) or "all"
        seeds = max((len(v) for v in row.figures.values()), default=0)
        line = [label, str(seeds)]
        line += [_shown(row.figure(k), k, shown) for k in ("mean", "worst10", "variance_pp2")]
        if base:
            other = _baseline(rows, row, base)
            gaps = [None if other is None else row.gap(other, k) for k in ("mean", "worst10")]
            line += [_signed(gap, shown) for gap in gaps]
        line += [_plain(row, "cpu_seconds", 1.0), _plain(row, "bytes", 1e-6)]
        lines.append(line)
    title = "All combinations"
    how = (
        "Averages over the last evaluated rounds, then over seeds, ± half the 95 % t-interval; "
        f"{_units(shown)}, paired by seed. No ±: a single seed."
    )
    return join(
        tag("section", tag("h2", title), table(columns, lines, title)), tag("p", how, class_="note")
    )


def _baseline(rows: Sequence[Combination], row: Combination, base: str) -> Combination | None:
    """The combination that differs from a row in the arm alone; None for the baseline itself."""
    wanted = row.labels | {ARM: base}
    if wanted == row.labels:
        return None
    return next((other for other in rows if other.labels == wanted), None)


def _units(shown: Metric) -> str:
    """What the numbers of the table are, in words."""
    if shown.fraction:
        return "means in per cent, differences in points"
    return f"{shown.words}{f' in {shown.unit}' if shown.unit else ''}, differences"


def _form(shown: Metric) -> str:
    return ".1f" if shown.fraction else ".4g"


def _shown(found: Estimate | None, figure: str, shown: Metric) -> str:
    if found is None:
        return DASH
    scale, form = scale_of(figure, shown), _form(shown)
    text = f"{scale * found.mean:{form}}"
    return text if found.n < 2 else f"{text}{NBSP}±{NBSP}{scale * found.half:{form}}"


def _signed(found: Estimate | None, shown: Metric) -> str:
    if found is None:
        return DASH
    form = ".1f" if shown.fraction else ".3g"
    text = f"{shown.scale * found.mean:+{form}}".replace("-", "−")
    return text if found.n < 2 else f"{text}{NBSP}±{NBSP}{shown.scale * found.half:{form}}"


def _plain(row: Combination, name: str, scale: float) -> str:
    found = estimate(row.cost.get(name, {}).values())
    return DASH if found is None else f"{scale * found.mean:,.1f}"
