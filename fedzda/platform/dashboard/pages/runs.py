"""The list of all runs: filtered, sorted, with tags and live states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fedzda.platform.dashboard import shell
from fedzda.platform.dashboard.card import RunCard
from fedzda.platform.report.markup import Markup, tag
from fedzda.platform.report.units import DASH, metric

PER_PAGE = 100
"""Runs on one page of the list."""
COLUMNS = (
    ("name", "Run"),
    ("state", "State"),
    ("strategy", "Strategy"),
    ("data", "Data"),
    ("seed", "Seed"),
    ("round", "Round"),
    ("mean", "Mean"),
    ("worst10", "Worst tenth"),
    ("variance_pp2", "Variance"),
    ("started", "Started"),
)
"""Key to sort by and heading of each column."""
_FALLING = ("mean", "worst10", "started", "round")
"""Columns whose largest values come first when they are chosen."""


@dataclass(frozen=True)
class Wanted:
    """What the reader asked for.

    Attributes:
        words: Every one must occur in name, folder, strategy, data, model or tags.
        state: Only this state.
        strategy: Only this strategy.
        tag: Only runs with this tag.
        sort: Key of the column to sort by.
        falling: Whether the largest come first.
        page: Page of the list, from 1.
    """

    words: str = ""
    state: str = ""
    strategy: str = ""
    tag: str = ""
    sort: str = "started"
    falling: bool = True
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wanted:
        """What an address asks for; nonsense counts as nothing."""
        sort = query.get("sort", "started")
        sort = sort if sort in dict(COLUMNS) else "started"
        order = query.get("order") or ("falling" if sort in _FALLING else "rising")
        page = query.get("page", "1")
        return cls(
            words=query.get("q", "").strip(),
            state=query.get("state", ""),
            strategy=query.get("strategy", ""),
            tag=query.get("tag", ""),
            sort=sort,
            falling=order == "falling",
            page=max(1, int(page)) if page.isdecimal() and len(page) < 9 else 1,
        )

    def href(self) -> str:
        """The address that asks for this."""
        order = "falling" if self.falling else "rising"
        return shell.href("/", q=self.words, state=self.state, strategy=self.strategy, tag=self.tag,
                          sort=self.sort, order=order,
                          page=self.page if self.page > 1 else None)  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """A run with what the list needs beside its card."""

    card: RunCard
    state: str
    tags: list[str]

    def key(self, column: str) -> float | str | None:
        """What the run is sorted by; None where it has nothing there."""
        card = self.card
        if column in ("mean", "worst10", "variance_pp2"):
            value = card.figures.get(column)
            return float(value) if isinstance(value, int | float) else None
        found: dict[str, float | str | None] = {
            "name": card.name.lower(),
            "state": self.state,
            "seed": card.seed,
            "round": card.rounds[0],
            "started": card.started or None,
        }
        return found[column] if column in found else card.head.get(column)

    def matches(self, wanted: Wanted) -> bool:
        """Whether the reader asked for it."""
        head = self.card.head
        text = " ".join([self.card.id, *head.values(), *self.tags]).lower()
        return (
            all(word in text for word in wanted.words.lower().split())
            and wanted.state in ("", self.state)
            and wanted.strategy in ("", head.get("strategy"))
            and (not wanted.tag or wanted.tag in self.tags)
        )


def select(runs: Sequence[Listed], wanted: Wanted) -> list[Listed]:
    """The runs asked for, in the order asked for; those without a value come last."""
    kept = [run for run in runs if run.matches(wanted)]
    keyed = [(run.key(wanted.sort), run) for run in kept]
    known = [pair for pair in keyed if pair[0] is not None]
    known.sort(key=lambda pair: pair[1].card.id)  # ties in one order, whatever the direction
    known.sort(key=lambda pair: pair[0], reverse=wanted.falling)  # type: ignore[arg-type, return-value]
    return [run for _, run in known] + [run for key, run in keyed if key is None]


def page(
    cards: Sequence[RunCard],
    tags: Mapping[str, list[str]],
    wanted: Wanted,
    now: float,
    *,
    outside: int = 0,
    problems: Sequence[str] = (),
) -> str:
    """The list.

    Args:
        cards: All runs.
        tags: Tags by run id.
        wanted: What the reader asked for.
        now: Seconds since 1970.
        outside: Folders left out because they are links to outside.
        problems: What could not be read.
    """
    runs = [Listed(card, card.state(now), tags.get(card.id, [])) for card in cards]
    found = select(runs, wanted)
    pages = max(1, -(-len(found) // PER_PAGE))
    wanted = replace(wanted, page=min(wanted.page, pages))
    shown = found[(wanted.page - 1) * PER_PAGE : wanted.page * PER_PAGE]
    live = [run for run in runs if run.state in ("starting", "running")]
    lead = f"{_runs(len(runs))}, {len(live)} running" if runs else "no runs"
    if outside:
        lead += f", {outside} left out: links to outside this folder"
    return shell.document(
        "Runs",
        shell.heading("Runs", lead),
        shell.problems(problems),
        _filters(runs, wanted) if runs else None,
        _table(shown, wanted, len(found)) if shown else _nothing(bool(runs)),
        _pages(wanted, pages),
        tag("p", role="status", class_="note", id="news", data_live_list="/events"),
        here="/",
        wide=True,
    )


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number:,} runs"


def _nothing(any_runs: bool) -> Markup:
    if any_runs:
        return shell.note("No run matches. ", tag("a", "Show all runs", href="/"), ".")
    return shell.note(
        "There are no runs in this folder yet. Make one with ",
        tag("code", "fedzda run quickstart"),
        "; it appears here as soon as it starts.",
    )


def _filters(runs: Sequence[Listed], wanted: Wanted) -> Markup:
    def options(values: set[str]) -> list[tuple[str, str]]:
        return [("", "all"), *((value, value) for value in sorted(values))]

    search = tag(
        "label",
        tag("span", "Search"),
        tag("input", type="search", name="q", value=wanted.words, placeholder="name, data, tag …"),
    )
    return shell.form(
        "/",
        search,
        shell.choice("state", "State", options({r.state for r in runs}), wanted.state),
        shell.choice(
            "strategy",
            "Strategy",
            options({r.card.head.get("strategy", "") for r in runs} - {""}),
            wanted.strategy,
        ),
        shell.choice("tag", "Tag", options({t for r in runs for t in r.tags}), wanted.tag),
        tag("button", "Filter"),
        label="Filter the runs",
        keep={"sort": wanted.sort, "order": "falling" if wanted.falling else "rising"},
    )


def _table(shown: Sequence[Listed], wanted: Wanted, total: int) -> Markup:
    metrics = {run.card.metric for run in shown if run.card.figures}
    head = tag(
        "tr",
        tag("th", tag("span", "Compare", class_="hidden"), scope="col", class_="pick"),
        *(_column(key, words, wanted) for key, words in COLUMNS),
    )
    body = (_row(run, several=len(metrics) > 1) for run in shown)
    caption = f"{_runs(total)}, sorted by {dict(COLUMNS)[wanted.sort].lower()}"
    inside = tag("table", tag("caption", caption, class_="hidden"), tag("thead", head),
                 tag("tbody", *body))  # fmt: skip
    return tag(
        "form",
        tag("div", inside, class_="scroll list", tabindex="0", role="region", aria_label=caption),
        tag("p", tag("button", "Compare the marked runs"), class_="actions"),
        method="get",
        action="/compare",
        aria_label="Runs to compare",
    )


def _column(key: str, words: str, wanted: Wanted) -> Markup:
    here = key == wanted.sort
    falling = not wanted.falling if here else key in _FALLING
    arrow = (" ↓" if wanted.falling else " ↑") if here else ""
    link = tag(
        "a",
        words,
        tag("span", arrow, aria_hidden="true"),
        href=replace(wanted, sort=key, falling=falling, page=1).href(),
    )
    order = ("descending" if wanted.falling else "ascending") if here else None
    return tag("th", link, scope="col", aria_sort=order)


def _row(run: Listed, *, several: bool) -> Markup:
    card = run.card
    words = f"Compare {card.name}, seed {card.seed}" if card.seed is not None else card.name
    name: list[object] = [tag("a", card.name, href=shell.href("/run", run=card.id), title=card.id)]
    name += [part for each in run.tags for part in (" ", _tag(each))]
    if card.problem:
        name.append(tag("p", card.problem, class_="note"))
    named = tag("small", " ", card.metric) if several and card.figures else None
    cells = [
        tag("td", shell.state_badge(run.state), class_="state"),
        tag("td", card.head.get("strategy", DASH), class_="word"),
        tag("td", card.head.get("data", DASH), class_="word"),
        tag("td", DASH if card.seed is None else card.seed),
        tag("td", _rounds(card), class_="round"),
        tag("td", tag("span", _figure(card, "mean"), class_="mean"), named),
        tag("td", _figure(card, "worst10"), class_="worst10"),
        tag("td", _variance(card), class_="variance_pp2"),
        tag("td", shell.moment(card.started), class_="started"),
    ]  # fmt: skip
    box = tag("input", type="checkbox", name="run", value=card.id, aria_label=words)
    return tag(
        "tr",
        tag("td", box, class_="pick"),
        tag("th", *name, scope="row"),
        *cells,
        data_run=card.id,
    )


def _figure(card: RunCard, key: str) -> str:
    value = card.figures.get(key)
    return metric(card.metric).show(value if isinstance(value, int | float) else None)


def _variance(card: RunCard) -> str:
    value = card.figures.get("variance_pp2")
    stored = value if isinstance(value, int | float) else None
    return metric(card.metric).variance(stored, unit=True)


def _rounds(card: RunCard) -> str:
    done, planned = card.rounds
    return f"{done:,}" if planned is None else f"{done:,} of {planned:,}"


def _tag(words: str) -> Markup:
    return tag("a", words, href=shell.href("/", tag=words), class_="tag")


def _pages(wanted: Wanted, pages: int) -> Markup | None:
    if pages == 1:
        return None
    links = []
    for step, words in ((-1, "Previous page"), (1, "Next page")):
        if 1 <= wanted.page + step <= pages:
            there = replace(wanted, page=wanted.page + step).href()
            links.append(tag("a", words, href=there))
    place = tag("span", f"Page {wanted.page} of {pages}")
    return tag("nav", place, *links, aria_label="Pages of the list", class_="pager")


def changes(cards: Sequence[RunCard], now: float) -> dict[str, Any]:
    """What a list that is open must change to be true: texts of cells, by run id."""
    return {
        card.id: {
            "state": card.state(now),
            "round": _rounds(card),
            "mean": _figure(card, "mean"),
            "worst10": _figure(card, "worst10"),
        }
        for card in cards
    }
