"""Building blocks of pages: tables, sections, pictures, charts."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from fedzda.platform.report.charts.base import Drawing
from fedzda.platform.report.markup import Markup, tag

MAX_IMAGE_BYTES = 1_000_000
"""Larger pictures are named, not embedded."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> Markup:
    """A table whose first column names the row, in a region that scrolls and takes the focus."""
    head = tag("tr", *(tag("th", column, scope="col") for column in columns))
    body = (
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:]))
        for row in rows
    )
    inside = tag(
        "table",
        tag("caption", caption, class_="hidden"),
        tag("thead", head),
        tag("tbody", *body),
    )
    return tag("div", inside, class_="scroll", tabindex="0", role="region", aria_label=caption)


def tile_row(tiles: Iterable[tuple[str, ...]]) -> Markup:
    """Figures side by side: name, value, a note, and for some the role that marks it."""
    return tag(
        "dl",
        *(
            tag(
                "div",
                tag("dt", name),
                tag("dd", value, class_="value"),
                tag("dd", note),
                class_=" ".join(["tile", *role]),
            )
            for name, value, note, *role in tiles
        ),
        class_="tiles",
    )


def section(title: str, content: Markup | None, *, wide: bool = False) -> Markup | None:
    """A section with a heading; None if it has no content."""
    if not content:
        return None
    return tag("section", tag("h2", title), content, class_="wide" if wide else None)


def embedded(file: Path, words: str) -> Markup:
    """A PNG of the run's artifacts inside the page; one that is damaged or too large is named."""
    content = file.read_bytes()
    if not content.startswith(b"\x89PNG") or len(content) > MAX_IMAGE_BYTES:
        return tag("figure", tag("figcaption", f"{words}: see artifacts/{file.name}"))
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return tag("figure", tag("img", src=source, alt=words), tag("figcaption", words))


def figure(chart: Drawing) -> Markup:
    """A chart with its heading, its caption, and its numbers as a table and as a CSV file."""
    plot = tag(
        "div",
        chart.svg,
        class_="plot",
        tabindex="0",
        role="group",
        aria_label=f"{chart.title}. Arrow keys read the values one by one.",
    )
    download = tag(
        "a",
        "Download as CSV",
        href=f"data:text/csv;charset=utf-8;base64,{_csv(chart)}",
        download=f"{chart.key}.csv",
    )
    return tag(
        "figure",
        tag("h3", chart.title),
        plot,
        tag("figcaption", chart.caption),
        tag(
            "details",
            tag("summary", f"Table: {chart.title}"),
            tag("p", download),
            table(chart.columns, chart.rows, caption=chart.title),
        ),
        id=chart.key,
        class_="wide" if chart.wide else None,
    )


def _csv(chart: Drawing) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerows([chart.columns, *chart.rows])
    return base64.b64encode(written.getvalue().encode("utf-8", "replace")).decode()
