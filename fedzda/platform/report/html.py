"""The page: one HTML file with drawings, tables, style and script inside, and no way out.

The content security policy names the one style sheet and the one script by their hashes and
forbids every request, so that even a hostile client or class name could not send anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

from fedzda.platform.report import sections, verdict
from fedzda.platform.report.blocks import figure
from fedzda.platform.report.charts.base import Chart, Drawing
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, tag


def page(data: RunData, charts: list[Chart]) -> str:
    """The report of a run."""
    name = str(data.folder.config.get("name") or data.folder.path.name)
    return document(
        f"{name}: fairness report",
        sections.heading(data, name),
        [
            verdict_section(data),
            charts_section(data, charts),
            tag("div", *sections.tables(data), class_="rest"),
        ],
        sections.footer(data),
    )


def document(
    title: str, heading: Sequence[object], content: Sequence[object], footer: Sequence[object]
) -> str:
    """A whole file that needs nothing else and can send nothing."""
    style, script = template("page.css"), template("page.js")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the charts", href="#charts", class_="skip"),
        tag("header", *heading),
        tag("main", *content),
        tag("footer", tag("p", *footer)),
        tag("div", id="tip", aria_live="polite", hidden=True),
        tag("script", Markup(script)),
    )
    text = f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
    return text.encode("utf-8", "replace").decode("utf-8")


def template(name: str) -> str:
    """The style sheet ``page.css`` or the script ``page.js``, which the dashboard shares."""
    folder = resources.files("fedzda.platform.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    def digest(content: str) -> str:
        return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()

    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{digest(style)}'; script-src 'sha256-{digest(script)}'"
    )


def verdict_section(data: RunData, *, state_first: bool = True, state: str | None = None) -> Markup:
    """Who is left behind, in sentences and four figures; see :func:`verdict.sentences`."""
    first, *rest = verdict.sentences(data, state_first=state_first, state=state)
    items = tag("ul", *(tag("li", sentence) for sentence in rest)) if rest else None
    return tag(
        "section",
        tag("h2", "Who is left behind"),
        tag("p", first, class_="lead"),
        items,
        sections.tiles(data),
        class_="verdict",
    )


def charts_section(data: RunData, charts: Sequence[Drawing]) -> Markup | None:
    """All charts; the clients to look at first stand beside the narrow ones."""
    narrow = [figure(chart) for chart in charts if not chart.wide]
    wide = [figure(chart) for chart in charts if chart.wide]
    worst = sections.worst_clients(data)
    if not charts:
        return None
    return tag("section", tag("h2", "Charts"), *narrow, worst, *wide, id="charts", class_="charts")
