"""The documentation site in a real browser: what axe-core asks of a page, in both schemes."""

import pytest
from axe_core_python.selenium import Axe

from .. import once
from .chromium import NEEDED, show_as

pytest.importorskip("material", reason="needs mkdocs-material: pip install -e '.[docs]'")
pytestmark = [*NEEDED, pytest.mark.timeout(900)]  # the site is built first
PAGES = [
    "index.html",
    "tutorial.html",
    "guides/deployment.html",
    "methods/fed-zda.html",
    "reference/commands.html",
    "reference/api/fedzda.clients.uplink.html",
]
"""One of each kind: start, tutorial with results, guide with commands, method with tables and
figures, generated references."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return once.site(tmp_path_factory)


def broken(driver):
    """Every rule that is broken, with some of the places."""
    found = Axe().run(driver)
    assert len(found["passes"]) > 10
    return [(v["id"], [node["html"][:150] for node in v["nodes"]][:3]) for v in found["violations"]]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(driver, site, page, scheme):
    show_as(driver, scheme=scheme)
    driver.get((site / page).as_uri())
    assert broken(driver) == []
