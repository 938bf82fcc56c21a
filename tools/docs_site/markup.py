"""Markdown as it stands in the repository, made fit for the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

MARK = re.compile(r"^<!-- (needs|tested-by|file): (.+?) -->\n(?=```)", flags=re.M)
"""The line before a block that says what its commands need, which test runs them, or which file its
text is. Commands in a block without a mark are run by ``tests/e2e/test_docs_commands.py``."""
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)(#[^)\s]*)?(?=\))")


def with_marks(markdown: str) -> str:
    """Marks of command blocks as a small line that readers see."""
    return MARK.sub(lambda found: _visible(found[1], found[2]), markdown)


def _visible(kind: str, text: str) -> str:
    said = {
        "needs": f"Needs {text}.",
        "tested-by": f"Tested by <code>{text}</code>.",
        "file": f"<code>{text}</code>",
    }
    return f'<p class="mark">{said[kind]}</p>\n\n'


def with_links(markdown: str, home: str, uri: str, moved: Mapping[str, str]) -> str:
    """Links between files of the repository as links between pages of the site.

    Args:
        markdown: The text of a page.
        home: Its file, relative to the repository.
        uri: Its place in the site.
        moved: Files and folders outside ``docs/`` that are pages, and their places in the site.
    """

    def page_link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(home), found[1]))
        place = moved.get(target, target.removeprefix("docs/"))
        return posixpath.relpath(place, posixpath.dirname(uri) or ".") + (found[2] or "")

    return _LINK.sub(page_link, markdown)


def cell(text: str) -> str:
    """Text as it can stand in a table: a bar outside of code would begin a new cell."""
    parts = text.split("`")
    return "`".join(
        part if index % 2 else part.replace("|", "\\|") for index, part in enumerate(parts)
    )
