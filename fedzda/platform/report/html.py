"""The page: one HTML file with drawings, tables, style and script inside, and no way out.

The content security policy names the one style sheet and the one script by their hashes and
forbids every request, so that even a hostile client or class name could not send anything.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from importlib import resources

from fedzda.platform.report import sections, verdict
from fedzda.platform.report.blocks import table
from fedzda.platform.report.charts.base import Chart
from fedzda.platform.report.data import RunData
from fedzda.platform.report.markup import Markup, tag


def page(data: RunData, charts: list[Chart]) -> str:
    """The whole document."""
    style, script = _template("page.css"), _template("page.js")
    name = str(data.folder.config.get("name") or data.folder.path.name)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{name}: fairness report"),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the charts", href="#charts", class_="skip"),
        tag("header", *sections.heading(data, name)),
        tag(
            "main",
            _verdict(data),
            _charts(data, charts),
            tag("div", *sections.tables(data), class_="rest"),
        ),
        tag("footer", tag("p", *sections.footer(data))),
        tag("div", id="tip", aria_live="polite", hidden=True),
        tag("script", Markup(script)),
    )
    document = f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
    return document.encode("utf-8", "replace").decode("utf-8")


def _template(name: str) -> str:
    folder = resources.files("fedzda.platform.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    def digest(content: str) -> str:
        return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()

    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{digest(style)}'; script-src 'sha256-{digest(script)}'"
    )


def _verdict(data: RunData) -> Markup:
    first, *rest = verdict.sentences(data)
    items = tag("ul", *(tag("li", sentence) for sentence in rest)) if rest else None
    return tag(
        "section",
        tag("h2", "Who is left behind"),
        tag("p", first, class_="lead"),
        items,
        sections.tiles(data),
        class_="verdict",
    )


def _charts(data: RunData, charts: list[Chart]) -> Markup | None:
    """All charts; the clients to look at first stand beside the narrow ones."""
    narrow = [_figure(chart) for chart in charts if not chart.wide]
    wide = [_figure(chart) for chart in charts if chart.wide]
    worst = sections.worst_clients(data)
    if not charts:
        return None
    return tag("section", tag("h2", "Charts"), *narrow, worst, *wide, id="charts", class_="charts")


def _figure(chart: Chart) -> Markup:
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


def _csv(chart: Chart) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerows([chart.columns, *chart.rows])
    return base64.b64encode(written.getvalue().encode("utf-8", "replace")).decode()
