"""One run: while it goes on its course so far, afterwards everything that its report shows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from fedzda.platform.dashboard import shell
from fedzda.platform.dashboard.card import LIVE, RunCard
from fedzda.platform.report import sections
from fedzda.platform.report.charts import draw_all, progress, spread
from fedzda.platform.report.data import RunData, collect
from fedzda.platform.report.html import charts_section, verdict_section
from fedzda.platform.report.markup import Markup, join, tag


def page(
    card: RunCard, tags: Sequence[str], content: Markup, now: float, problems: Sequence[str] = ()
) -> str:
    """The page of a run.

    Args:
        card: The run.
        tags: Its tags.
        content: :func:`panel` of it, or what stands in its place.
        now: Seconds since 1970.
        problems: What was wrong with the form that led here.
    """
    live = card.state(now) in LIVE
    return shell.document(
        card.name,
        head(card, now),
        shell.run_navigation(card.id, "/run"),
        shell.problems(problems),
        _progress(card, now) if live else None,
        tag(
            "div",
            content,
            id="panel",
            data_panel=shell.href("/run/panel", run=card.id) if live else None,
        ),
        _tags(card, tags),
        here="/",
    )


def head(card: RunCard, now: float) -> Markup:
    """Name and facts of a run, for the head of each of its pages."""
    done, planned = card.rounds
    words = [f"{key} {card.head[key]}" for key in ("strategy", "data", "model") if key in card.head]
    words += [] if card.seed is None else [f"seed {card.seed}"]
    words.append(f"{done:,} rounds" if planned is None else f"{done:,} of {planned:,} rounds")
    items = [tag("li", word) for word in words]
    items[-1] = tag("li", words[-1], id="rounds")
    badge = tag("span", shell.state_badge(card.state(now)), id="state", role="status")
    state = tag("li", badge, class_="bare")
    facts = tag("ul", state, *items, class_="facts")
    return shell.heading(card.name, "run", tag("p", tag("code", card.id), class_="note"), facts)


def _progress(card: RunCard, now: float) -> Markup:
    """Where a live run stands; the script keeps it true."""
    state = stand(card, now)
    return tag(
        "section",
        tag("h2", "Where it stands", class_="hidden"),
        tag("label", tag("span", "Rounds done", class_="hidden"),
            tag("progress", max=state["planned"] or 1, value=state["round"], id="bar")),
        tag("p", tag("strong", state["sentence"], id="sentence"), " ", tag("span", state["left"],
            id="left")),
        class_="card live",
        data_live_run=shell.href("/run/events", run=card.id),
    )  # fmt: skip


def stand(card: RunCard, now: float) -> dict[str, Any]:
    """Where a run stands, as its live page shows it and its stream of events sends it."""
    done, planned = card.rounds
    state = card.state(now)
    of = "" if planned is None else f" of {planned:,}"
    sentence = f"Round {done:,}{of} is done." if done else "The first round has not ended yet."
    if state not in LIVE:
        sentence = f"The run is {state} after round {done:,}{of}."
        if state != "finished":
            sentence += f" Go on with: fedzda resume {card.path}"
    return {
        "state": state,
        "round": done,
        "planned": planned,
        "sentence": sentence,
        "rounds": f"{done:,}{of} rounds",
        "left": shell.left(card.left_sec(now)) if state in LIVE else "",
    }


def panel(card: RunCard, now: float | None = None) -> Markup:
    """The figures of a run: of a live one the few that change, else the whole report.

    Raises:
        UserError: One of its files is damaged.
    """
    data = collect(card.path)
    state = card.state(time.time() if now is None else now)
    if state in LIVE:
        drawn = [chart for chart in (spread.draw(data), progress.draw(data)) if chart is not None]
        if not drawn:
            return _early(data)
        return join(verdict_section(data, state_first=False), charts_section(data, drawn))
    return join(
        verdict_section(data, state=state),
        charts_section(data, draw_all(data)),
        tag("div", *sections.tables(data), class_="rest"),
    )


def _early(data: RunData) -> Markup:
    if data.folder.rounds:
        return shell.note("No client has been evaluated yet: key 'evaluate.every' says when.")
    return shell.note("The first round has not ended yet. Charts appear here by themselves.")


def _tags(card: RunCard, tags: Sequence[str]) -> Markup:
    field = tag(
        "label",
        tag("span", "Tags, separated by commas"),
        tag("input", name="tags", value=", ".join(tags), autocomplete="off"),
    )
    return tag(
        "section",
        tag("h2", "Tags"),
        tag("form", tag("input", type="hidden", name="run", value=card.id), field,
            tag("button", "Save"), method="post", action="/tags", class_="fields",
            aria_label="Tags of this run"),
        tag("p", "Tags lie in tags.json beside the runs; the run itself is not changed.",
            class_="note"),
        class_="tags",
    )  # fmt: skip
