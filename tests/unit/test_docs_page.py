"""benchmarks/docs_page.py: a table takes the place of the one before, and nothing else moves."""

import importlib.util
from pathlib import Path

import pytest

_FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "docs_page.py"
_SPEC = importlib.util.spec_from_file_location("docs_page", _FILE)
docs_page = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(docs_page)

PAGE = "# A\n<!-- one -->\n<!-- end -->\nbetween\n<!-- two -->\nold\nlines\n<!-- end -->\nlast\n"


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_an_empty_place_is_filled_and_stays_its_own(page):
    docs_page.put(page, "one", r"| \1 |")
    assert page.read_text() == PAGE.replace("<!-- one -->\n", "<!-- one -->\n| \\1 |\n")


def test_what_stood_there_goes(page):
    docs_page.put(page, "two", "new")
    docs_page.put(page, "two", "newer")
    assert page.read_text() == PAGE.replace("old\nlines", "newer")


@pytest.mark.parametrize("mark", ["three", "on"])
def test_a_page_without_the_place_is_left_alone(page, mark):
    with pytest.raises(SystemExit, match="0 places"):
        docs_page.put(page, mark, "text")
    assert page.read_text() == PAGE
