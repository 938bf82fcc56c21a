"""Runs side by side: how they differ, how well their clients are served, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fedzda.base import UserError
from fedzda.platform.compare import Comparison, compare_runs
from fedzda.platform.dashboard import shell
from fedzda.platform.dashboard.card import RunCard
from fedzda.platform.dashboard.charts import convergence, pareto, spread
from fedzda.platform.dashboard.charts.series import MOST
from fedzda.platform.report.blocks import figure, table
from fedzda.platform.report.markup import Markup, join, tag

MAX_RUNS = 200
"""Most runs in one comparison."""


def page(cards: Sequence[RunCard], base: str, now: float) -> str:
    """The comparison.

    Args:
        cards: The runs to compare; those of one configuration that differ in the seed are a group.
        base: Id of the run whose group differences are taken to; another or none: the first.
        now: Seconds since 1970.
    """
    finished = [card for card in cards if card.state(now) == "finished"]
    said = [
        f"{card.name}, seed {card.seed}, is left out: its state is {card.state(now)}."
        for card in cards
        if card not in finished
    ]
    if len(finished) > MAX_RUNS:
        said.append(f"Only the first {MAX_RUNS} of {len(finished)} runs are compared.")
        finished = finished[:MAX_RUNS]
    finished.sort(key=lambda card: card.id != base)  # a stable sort: the others keep their order
    content: Markup
    try:
        content = _content(finished, cards) if finished else _nothing(bool(cards))
    except UserError as error:
        content = shell.note("These runs cannot be compared.")
        said += error.problems
    names = f"{len(finished)} runs" if len(finished) != 1 else "1 run"
    return shell.document(
        "Compare", shell.heading("Compare", names), shell.problems(said), content, here="/compare"
    )


def _nothing(any_cards: bool) -> Markup:
    if any_cards:
        return shell.note("None of these runs is finished, so there is nothing to compare yet.")
    return shell.note(
        "Mark runs in ", tag("a", "the list", href="/"), " and choose “Compare the marked runs”. "
        "Runs that differ in nothing but the seed become one group, with intervals over seeds.",
    )  # fmt: skip


def _content(finished: Sequence[RunCard], cards: Sequence[RunCard]) -> Markup:
    found = compare_runs([card.path for card in finished])
    ids = {card.path: card.id for card in finished}
    charts = [part.draw(found) for part in (spread, pareto, convergence)]
    drawn = [figure(chart) for chart in charts if chart is not None]
    more = None
    if len(found.labels) > MOST:
        more = tag("p", f"Charts show the first {MOST} of {len(found.labels)} groups.",
                   class_="note")  # fmt: skip
    parts = [
        tag("section", tag("h2", title), tag("div", table(head, body, title), class_=role))
        for role, title, head, body in _tables(found, ids)
    ]
    return join(
        _base(found, ids, cards),
        *parts,
        tag("p", found.unpaired, class_="note") if found.unpaired else None,
        tag("section", tag("h2", "Charts"), more, tag("div", *drawn, class_="charts")),
    )


def _base(found: Comparison, ids: dict[Path, str], cards: Sequence[RunCard]) -> Markup | None:
    """A choice of what differences are taken to."""
    if len(found.labels) < 2:
        return None
    options = [
        (ids[Path(row["paths"][0])], label)
        for label, row in zip(found.labels, found.rows, strict=True)
    ]
    return shell.form(
        "/compare",
        shell.choice("base", "Differences to", options, options[0][0]),
        tag("button", "Show"),
        label="What differences are taken to",
        keep={"run": [card.id for card in cards]},
    )


def _tables(
    found: Comparison, ids: dict[Path, str]
) -> list[tuple[str | None, str, list[str], list[list[object]]]]:
    """Role, title, headings and lines of the tables of ``fedzda compare``, with links to runs."""
    links = {
        row["run"]: tag("span", row["run"], " ", *_links(row["seeds"], row["paths"], ids))
        for row in found.rows
    }
    tables: list[tuple[str | None, str, list[str], list[list[object]]]] = []
    for number, (title, head, body) in enumerate(found.tables()):
        keys = number == 0 and bool(found.differences)
        rows: list[list[object]] = [
            [line[0] if keys else links[line[0]], *(cell.replace("\n", " ") for cell in line[1:])]
            for line in body
        ]
        tables.append(("words short" if keys else None, title, head, rows))
    return tables


def _links(seeds: Sequence[int], paths: Sequence[str], ids: dict[Path, str]) -> list[Markup]:
    made = []
    for seed, path in zip(seeds, paths, strict=True):
        address = shell.href("/run", run=ids[Path(path)])
        made.append(tag("a", f"s{seed}", href=address, class_="seed"))
    return made
