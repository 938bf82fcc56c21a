"""Makes ``report.html`` of the folder of a life, from its files alone."""

from __future__ import annotations

from pathlib import Path

from fedzda.platform.files import write_text
from fedzda.platform.report import html
from fedzda.platform.report.life.data import collect_life
from fedzda.platform.report.life.sections import content, heading


def build_life(path: Path) -> Path:
    """Write the page of a life, finished or not; an older page is replaced.

    Returns:
        The path of ``report.html``, one file that needs nothing else.

    Raises:
        UserError: It is no folder of a life, or one of its files is damaged.
    """
    data = collect_life(path)
    footer = ["Made from the files of the stages; each has a page of its own in its folder."]
    text = html.document(f"{data.name}: the life of a model", heading(data), content(data), footer)
    target = path / "report.html"
    write_text(target, text)
    return target
