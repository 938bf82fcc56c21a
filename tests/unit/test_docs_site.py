"""The documentation site: it is built without a warning, holds together, and asks nobody."""

import re
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from .. import once

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ("mkdocs", "material", "mkdocstrings"))),
    reason="needs mkdocs-material and mkdocstrings: pip install -e '.[docs]'",
)
ROOT = Path(__file__).resolve().parents[2]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """What a page links to, what it loads by itself, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.loads, self.anchors, self.headings = path, [], [], set(), 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found.get("id"), found.get("name")}
        self.headings += tag == "h1"
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") != "canonical":
            self.loads.append(found.get("href", ""))
        self.loads.append(found.get(LOADED.get(tag, ""), ""))
        self.loads.append(found.get("data") if tag == "object" else "")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return once.site(tmp_path_factory)


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_page_of_docs_is_there_with_one_heading(site, pages):
    for path in (ROOT / "docs").rglob("*.md"):
        made = site / path.relative_to(ROOT / "docs").with_suffix(".html")
        assert made in pages
        assert pages[made].headings == 1, f"{path.name} needs one heading of the first level"


def test_every_page_is_in_the_navigation(site, pages):
    start = (site / "index.html").resolve()
    linked = {start} | {(site / urlsplit(link).path).resolve() for link in pages[start].links}
    assert sorted(path for path in pages if path.resolve() not in linked) == []


def test_internal_links_hold(site, pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            anchors = pages[target].anchors if target in pages else {parts.fragment}
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                broken.append((path.relative_to(site).as_posix(), link))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        outside = [url for url in page.loads if url and urlsplit(url).netloc]
        assert outside == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//", path.read_text("utf-8")), path


def test_references_are_made_of_the_code(site):
    local = (site / "reference" / "configuration" / "index.html").read_text("utf-8")
    assert "Samples per gradient step" in local
    assert "whole number, at least 1" in local
    strategies = (site / "reference" / "configuration" / "strategies.html").read_text("utf-8")
    assert "<code>fed-zdac</code>" in strategies
    assert "gate_agreement" in strategies
    commands = (site / "reference" / "commands.html").read_text("utf-8")
    assert "A YAML file, or a shipped simulation." in commands
    for name in ("fedzda run", "fedzda export records", "fedzda hypercon"):
        assert f"<code>{name}</code>" in commands
    api = (site / "reference" / "api" / "fedzda.generators.html").read_text("utf-8")
    assert "fedzda.generators.zs_cgan.ZSCGAN.fit" in api
