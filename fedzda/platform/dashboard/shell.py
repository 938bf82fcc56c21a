"""What all pages share: the frame around them, addresses, and small parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlencode

from fedzda.platform.report.markup import Markup, join, tag
from fedzda.platform.report.units import duration

_NAVIGATION = (
    ("/", "Runs"),
    ("/lives", "Lives"),
    ("/compare", "Compare"),
    ("/sweeps", "Sweeps"),
    ("/studies", "Studies"),
)
_RUN_PAGES = (
    ("/run", "Overview"),
    ("/clients", "Clients"),
    ("/images", "Images"),
    ("/cost", "Devices and cost"),
)


def href(path: str, **parameters: object) -> str:
    """An address of the dashboard; parameters that are None or empty are left out."""
    pairs: list[tuple[str, object]] = []
    for name, value in parameters.items():
        pairs += [(name, each) for each in (value if isinstance(value, list | tuple) else [value])]
    kept = [(name.rstrip("_"), str(value)) for name, value in pairs if value not in (None, "")]
    return f"{path}?{urlencode(kept)}" if kept else path


def document(title: str, *content: object, here: str = "", wide: bool = False) -> str:
    """A whole page.

    Args:
        title: Its name, for the tab of the browser.
        content: What stands in ``main``.
        here: Path of the navigation's entry that the page belongs to.
        wide: Whether it takes the whole width of the window.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · fedzda"),
        tag("link", rel="icon", href="/static/icon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/static/page.css"),
        tag("link", rel="stylesheet", href="/static/dashboard.css"),
        tag("script", src="/static/page.js", defer=True),
        tag("script", src="/static/dashboard.js", defer=True),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#main", class_="skip"),
        tag(
            "header", tag("a", "fedzda", href="/", class_="brand"), _navigation(here), class_="top"
        ),
        tag("main", *content, id="main", tabindex="-1"),
        tag("div", id="tip", aria_live="polite", hidden=True),
        class_="app wide-page" if wide else "app",
    )
    text = f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
    return text.encode("utf-8", "replace").decode("utf-8")


def _navigation(here: str) -> Markup:
    return tag("nav", _links(_NAVIGATION, here), aria_label="Pages")


def _links(pages: Sequence[tuple[str, str]], here: str, run: str | None = None) -> Markup:
    items = (
        tag("li", tag("a", words, href=href(path, run=run),
                      aria_current="page" if path == here else None))
        for path, words in pages
    )  # fmt: skip
    return tag("ul", *items)


def run_navigation(run: str, here: str) -> Markup:
    """Links between the pages of one run."""
    return tag("nav", _links(_RUN_PAGES, here, run), aria_label="Pages of this run", class_="tabs")


def heading(title: str, kicker: str, *below: object) -> Markup:
    """The head of a page."""
    return tag("div", tag("p", kicker, class_="kicker"), tag("h1", title), *below, class_="head")


def note(*words: object) -> Markup:
    """A sentence in place of what a page has no data for."""
    return tag("p", *words, class_="empty")


def problems(sentences: Sequence[str]) -> Markup | None:
    """What was wrong with the input, a paragraph each; None if nothing was."""
    if not sentences:
        return None
    return tag("div", *(tag("p", each) for each in sentences), class_="problem", role="alert")


def choice(name: str, label: str, options: Sequence[tuple[str, str]], chosen: str) -> Markup:
    """A labelled list to choose from: ``(value, words)`` each."""
    listed = (
        tag("option", words, value=value, selected=value == chosen) for value, words in options
    )
    return tag("label", tag("span", label), tag("select", *listed, name=name))


def state_badge(state: str) -> Markup:
    """The state of a run: a shape and a word, so that colour says nothing alone."""
    role = {"finished": "done", "running": "live", "starting": "live"}.get(state, "open")
    return tag("span", tag("span", aria_hidden="true", class_="dot"), state, class_=f"badge {role}")


def moment(iso: str) -> Markup | str:
    """A time in the reader's eye: day and minute of this machine's clock."""
    try:
        found = datetime.fromisoformat(iso).astimezone()
    except ValueError:
        return "–"
    return tag("time", f"{found:%Y-%m-%d %H:%M}", datetime=found.isoformat(timespec="seconds"))


def left(seconds: float | None) -> str:
    """``about 2 min 5 s left``, or nothing."""
    return "" if seconds is None else f"about {duration(seconds)} left"


def form(path: str, *fields: object, label: str, keep: dict[str, object] | None = None) -> Markup:
    """A form that leads to a page with its fields as parameters; ``keep`` travels along."""
    kept: list[tuple[str, object]] = []
    for name, value in (keep or {}).items():
        kept += [(name, each) for each in (value if isinstance(value, list | tuple) else [value])]
    hidden = [
        tag("input", type="hidden", name=name, value=value)
        for name, value in kept
        if value not in (None, "")
    ]
    return tag("form", join(*hidden), *fields, method="get", action=path, class_="fields",
               aria_label=label)  # fmt: skip
