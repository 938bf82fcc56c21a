"""The client explorer: all clients from the worst to the best, and everything about one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedzda.platform.dashboard import shell
from fedzda.platform.dashboard.card import RunCard
from fedzda.platform.dashboard.charts import series
from fedzda.platform.dashboard.client import ClientStory, client_story
from fedzda.platform.dashboard.pages.run import head
from fedzda.platform.report import load
from fedzda.platform.report.blocks import figure, table, tile_row
from fedzda.platform.report.charts.base import Drawing
from fedzda.platform.report.data import RunData, collect
from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.svg import Plot
from fedzda.platform.report.units import DASH, count, duration, size

PER_PAGE = 50
"""Clients on one page of the list."""
_BAR = 120
_STAGES = {"global": "global model", "personalised": "its own model"}


def page(card: RunCard, now: float, client: int | None = None, place: int = 1) -> str:
    """The explorer.

    Args:
        card: The run.
        now: Seconds since 1970.
        client: The client to show; left out: the worst.
        place: Page of the list of clients, from 1.

    Raises:
        UserError: A file of the run is damaged.
    """
    data = collect(card.path)
    everyone = data.ranked_clients
    if client is None and everyone.size:
        client = int(everyone[0])
    if client is None:
        content = shell.note("No client has been evaluated yet, so there is none to look at.")
    elif client not in set(everyone.tolist()) | set(load.clients_with_labels(card.path).tolist()):
        content = shell.note(f"This run knows no client {client}: choose one from the list.")
    else:
        content = join(_picker(card, data, client), _story(card, data, client))
    return shell.document(
        f"Clients of {card.name}",
        head(card, now),
        shell.run_navigation(card.id, "/clients"),
        content,
        _everyone(card, data, place) if everyone.size else None,
        here="/",
    )


def _rank(data: RunData, client: int) -> int | None:
    """Position among the evaluated clients, 0 is the worst."""
    if data.final is None:
        return None
    found = np.flatnonzero(data.final.client[data.ranking] == client)
    return int(found[0]) if found.size else None


def _picker(card: RunCard, data: RunData, client: int) -> Markup:
    number = tag(
        "label",
        tag("span", "Client"),
        tag("input", type="number", name="client", value=client, min=0, inputmode="numeric"),
    )
    links = []
    rank = _rank(data, client)
    if rank is not None:
        for step, words in ((-1, "Next worse"), (1, "Next better")):
            if 0 <= rank + step < data.ranking.size:
                other = int(data.ranked_clients[rank + step])
                address = shell.href("/clients", run=card.id, client=other)
                links.append(tag("a", f"{words}: client {other}", href=address))
    asked = shell.form("/clients", number, tag("button", "Show"), label="Choose a client",
                       keep={"run": card.id})  # fmt: skip
    return tag("div", asked, tag("p", *_spaced(links), class_="pager"), class_="picker")


def _spaced(links: Sequence[Markup]) -> list[object]:
    return [part for link in links for part in (link, " ")]


def _story(card: RunCard, data: RunData, client: int) -> Markup:
    story = client_story(card.path, client, data.metric.name)
    history = _history(data, client, story)
    return tag(
        "section",
        tag("h2", f"Client {client}"),
        _facts(data, client, story),
        tag(
            "div",
            figure(history) if history else shell.note("It was never evaluated."),
            _classes(data, story),
            class_="charts",
        ),
    )


def _facts(data: RunData, client: int, story: ClientStory) -> Markup:
    rank = _rank(data, client)
    value = DASH
    if rank is not None and data.final is not None:
        value = data.metric.show(float(data.final.value[data.ranking[rank]]))
    place = DASH if rank is None else f"{rank + 1:,} of {data.ranking.size:,}, 1 is the worst"
    costs = list(story.trained.values())
    held = story.labels.get("train")
    tested = story.labels.get("test")
    tiles = (
        (data.metric.title, value, f"rank {place}"),
        ("Training samples", DASH if held is None else count(sum(held.values())),
         f"{count(sum(tested.values()))} for its test" if tested else ""),
        ("Rounds trained", f"{len(costs):,} of {data.folder.done:,}",
         duration(sum(c[0] for c in costs)) + " in all"),
        ("Received and sent", size(sum(c[1] for c in costs)),
         f"{size(sum(c[2] for c in costs))} sent"),
        ("Device", story.device or DASH, f"variant {story.variant}" if story.variant else ""),
    )  # fmt: skip
    return tile_row(tiles)


def _history(data: RunData, client: int, story: ClientStory) -> Drawing | None:
    """The client's value by round, beside the mean over all clients."""
    metric = data.metric
    if not story.history:
        return None
    drawn = _lines(data, client, story)
    if not drawn:
        return None
    x = series.rounds_axis([r for each in drawn for r in each.x])
    plot = Plot(x, series.axis([v for e in drawn for v in e.y], f"client {metric.label}"))
    series.lines(plot, drawn)
    ends = ", ".join(f"{e.label} ends at {metric.show(e.y[-1] / metric.scale)}" for e in drawn)
    alt = f"Lines of {metric.words} by round: {ends}."
    means = {round_: figures["mean"] for round_, figures in data.history}
    first = next(iter(story.history.values()))
    return Drawing(
        key="history",
        title=f"{metric.title} of client {client} by round",
        alt=alt,
        caption="On its own test samples, after each evaluated round.",
        svg=series.picture(plot, drawn, alt),
        columns=["Round", metric.title, "Mean of all clients", "Trained for"],
        rows=[
            [str(r), metric.show(v), metric.show(means.get(r)), _participation(story, r)]
            for r, v in first.items()
        ],
    )


def _lines(data: RunData, client: int, story: ClientStory) -> list[series.Series]:
    """One line for each of its models that was evaluated, and the mean over all clients."""
    scale, drawn = data.metric.scale, []
    for number, (stage, values) in enumerate(story.history.items()):
        known = {r: v for r, v in values.items() if np.isfinite(v)}
        tips = [_tip(r, data.metric.show(v), r in story.trained) for r, v in known.items()]
        label = f"client {client}, {_STAGES.get(stage, stage)}"
        role = "client" if number == 0 else "best"
        drawn.append(
            series.Series(label, list(known), [v * scale for v in known.values()], tips, role)
        )
    means = [(r, figures["mean"]) for r, figures in data.history]
    tips = [f"round {r}, mean of all clients: {data.metric.show(v)}" for r, v in means]
    label, shown = "mean of all clients", [v * scale for _, v in means]
    drawn.append(series.Series(label, [r for r, _ in means], shown, tips, "mean"))
    return [each.thinned() for each in drawn if each.x]


def _tip(round_: int, value: str, trained: bool) -> str:
    return f"round {round_}: {value}" + (" (it trained in this round)" if trained else "")


def _participation(story: ClientStory, round_: int) -> str:
    found = story.trained.get(round_)
    return DASH if found is None else duration(found[0])


def _classes(data: RunData, story: ClientStory) -> Markup:
    """What the client holds, class by class, and how well each is recognised."""
    train, test = story.labels.get("train", {}), story.labels.get("test", {})
    labels = sorted({*train, *test, *story.recalls})
    if not labels:
        return shell.note(
            "What this client holds is not known: the run kept no label counts of it "
            "(beyond 10,000 clients only the first are kept)."
        )
    most = max(train.values(), default=1)
    rows = [
        [
            data.class_name(label),
            join(_bar(train.get(label, 0) / most), count(train.get(label, 0))),
            count(test.get(label, 0)),
            f"{100 * story.recalls[label]:.0f}\u00a0%" if label in story.recalls else DASH,
        ]
        for label in labels
    ]
    title = "What it holds"
    return tag(
        "section",
        tag("h3", title),
        table(["Class", "Training samples", "Test samples", "Recall"], rows, title),
        tag("p", "Recall on its test samples in the last evaluated round.", class_="note"),
        class_="card",
    )


def _bar(share: float) -> Markup:
    whole = tag("rect", class_="bar-whole", width=_BAR, height=10)
    part = tag("rect", class_="bar-part", width=_BAR * share, height=10)
    return tag("svg", whole, part, width=_BAR, height=10, viewBox=f"0 0 {_BAR} 10", class_="bar",
               aria_hidden="true")  # fmt: skip


def _everyone(card: RunCard, data: RunData, place: int) -> Markup:
    """All clients, the worst first."""
    ids = data.ranked_clients
    pages = max(1, -(-ids.size // PER_PAGE))
    place = min(max(place, 1), pages)
    start = (place - 1) * PER_PAGE
    _, sizes = data.sizes
    rows = []
    for rank, client in enumerate(ids[start : start + PER_PAGE].tolist(), start):
        address = shell.href("/clients", run=card.id, client=client)
        name = tag("a", f"client {client}", href=address, class_="whole")
        row: list[object] = [name]
        if data.final is not None and data.ranking.size:
            at = data.ranking[rank]
            device = str(data.final.device[at]) or DASH
            row += [data.metric.show(float(data.final.value[at])), count(sizes[at]), device]
        rows.append(row)
    columns = ["Client", data.metric.title, data.sizes[0].capitalize(), "Device"]
    ranked = data.ranking.size > 0 and ids.size > 1
    title = f"All {ids.size:,} clients, the worst first" if ranked else "All clients"
    return tag(
        "section",
        tag("h2", title),
        table(columns[: len(rows[0])], rows, title),
        _pages(card, place, pages),
    )


def _pages(card: RunCard, place: int, pages: int) -> Markup | None:
    if pages == 1:
        return None
    links = [
        tag("a", words, href=shell.href("/clients", run=card.id, page=place + step))
        for step, words in ((-1, "Previous page"), (1, "Next page"))
        if 1 <= place + step <= pages
    ]
    here = tag("span", f"Page {place} of {pages}")
    return tag("nav", here, *links, aria_label="Pages of the list", class_="pager")
