"""Lives of models: a list, and all stages of one on a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fedzda.base import UserError
from fedzda.platform.dashboard import shell
from fedzda.platform.report.blocks import table
from fedzda.platform.report.life.data import StageData, collect_life
from fedzda.platform.report.life.sections import content
from fedzda.platform.report.markup import Markup, tag
from fedzda.platform.report.units import duration


def listing(lives: Mapping[str, Path | None]) -> str:
    """All lives, or how to get one; None in the place of a folder that must not be read."""
    rows = [_row(id_, path) for id_, path in sorted(lives.items())]
    lead = "1 life of a model" if len(rows) == 1 else f"{len(rows):,} lives of models"
    columns = ["Life", "State", "Stages done", "Time", "Started"]
    found = table(columns, rows, "Lives") if rows else _nothing()
    return shell.document(
        "Lives", shell.heading("Lives", lead), tag("div", found, class_="words"), here="/lives"
    )


def _row(id_: str, path: Path | None) -> list[object]:
    link = tag("a", id_, href=shell.href("/life", life=id_))
    try:
        data = None if path is None else collect_life(path)
    except UserError:
        data = None
    if data is None:
        return [link, shell.state_badge("unreadable"), "", "", ""]
    done = f"{data.done} of {len(data.stages)}"
    state = shell.state_badge(data.state)
    return [link, state, done, duration(data.seconds), shell.moment(data.started)]


def _nothing() -> Markup:
    return shell.note(
        "There is no life of a model in this folder. Make one with ",
        tag("code", "fedzda run lifecycle"),
        ".",
    )


def page(id_: str, path: Path) -> str:
    """One life; its stages lead to the pages of their runs.

    Raises:
        UserError: One of its files is damaged.
    """
    data = collect_life(path)

    def link(stage: StageData) -> str | None:
        known = (stage.path / "config.yaml").is_file()
        return shell.href("/run", run=f"{id_}/{stage.name}") if known else None

    facts = [
        tag("li", shell.state_badge(data.state), class_="bare"),
        tag("li", f"seed {data.seed}"),
        tag("li", f"{data.done} of {len(data.stages)} stages done"),
    ]
    head = shell.heading(
        data.name,
        "the life of a model",
        tag("p", tag("code", id_), class_="note"),
        tag("ul", *facts, class_="facts"),
    )
    return shell.document(data.name, head, *content(data, link), here="/lives")
