"""Building blocks of the page: tables, sections, pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

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
