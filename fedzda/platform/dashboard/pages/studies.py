"""Studies: the result files of a folder as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedzda.platform.dashboard import shell
from fedzda.platform.dashboard.pages.sweeps import nothing, skipped
from fedzda.platform.dashboard.results import ResultSet
from fedzda.platform.dashboard.study import StudyTable, study_table, written
from fedzda.platform.report.blocks import table
from fedzda.platform.report.markup import Markup, tag
from fedzda.platform.report.units import DASH, NBSP
from fedzda.platform.sweep.tables import Estimate

MOST_COLUMNS = 10
"""Columns of the first table; further figures stand in a second one."""


def listing(sets: Mapping[str, ResultSet], given: bool) -> str:
    """All studies, or how to get one."""
    rows = [
        [tag("a", s.name, href=shell.href("/study", results=s.name)), f"{len(s.results):,}"]
        for s in sets.values()
        if not s.sweep
    ]
    columns = ["Study", "Result files"]
    content = table(columns, rows, "Studies") if rows else nothing("study", given)
    lead = "1 study" if len(rows) == 1 else f"{len(rows):,} studies"
    return shell.document(
        "Studies", shell.heading("Studies", lead), tag("div", content, class_="narrow"),
        here="/studies",
    )  # fmt: skip


def page(found: ResultSet) -> str:
    """One study."""
    data = study_table(found.results)
    files = "1 result file" if len(found.results) == 1 else f"{len(found.results):,} result files"
    first, rest = data.columns[:MOST_COLUMNS], data.columns[MOST_COLUMNS:]
    how = (
        "A row is a file, or the files that differ in their seed alone: then numbers are means "
        "over seeds ± half the 95 % t-interval. Curves and provenance are left out."
    )
    return shell.document(
        found.name,
        shell.heading(found.name, f"{files} of a study"),
        shell.problems(skipped(found)),
        tag("section", tag("h2", "Figures"), _table(data, first, "Figures"),
            tag("p", how, class_="note")),
        _further(data, rest),
        _common(data),
        here="/studies",
        wide=True,
    )  # fmt: skip


def _table(data: StudyTable, columns: Sequence[str], title: str) -> Markup:
    rows = [
        [name, str(data.files[name]), *(_shown(found.get(key)) for key in columns)]
        for name, found in data.rows.items()
    ]
    return table(["Result", "Files", *columns], rows, title)


def _further(data: StudyTable, columns: Sequence[str]) -> Markup | None:
    if not columns:
        return None
    title = f"Further figures ({len(columns)})"
    return tag("details", tag("summary", title), _table(data, columns, title))


def _common(data: StudyTable) -> Markup | None:
    if not data.common:
        return None
    title = "Shared by all results"
    rows = [[key, value] for key, value in data.common.items()]
    return tag("section", tag("h2", title), tag("div", table(["Key", "Value"], rows, title),
               class_="words narrow"))  # fmt: skip


def _shown(value: Estimate | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or DASH
    if value.n < 2:
        return written(value.mean)
    return f"{written(value.mean)}{NBSP}±{NBSP}{written(value.half, 2)}"
