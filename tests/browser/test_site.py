"""The documentation site in a real browser: what axe-core asks of a page, in both schemes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from axe_core_python.selenium import Axe

from .chromium import NEEDED, show_as

pytest.importorskip("material", reason="needs mkdocs-material: pip install -e '.[docs]'")
pytestmark = [*NEEDED, pytest.mark.timeout(900)]  # the site is built first
ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "index.html",
    "tutorial.html",
    "guides/deployment.html",
    "methods/fed-zda.html",
    "reference/commands.html",
    "reference/api/fedzda.clients.hooks.html",
]
"""One of each kind: start, tutorial with results, guide with commands, method with tables and
figures, generated references."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return folder


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
