"""The page of a life in a real browser, by itself and in the dashboard."""

import pytest
from axe_core_python.selenium import Axe

from fedzda.platform.report.life.build import build_life

from ..e2e.dashboard_server import dashboard
from ..unit.platform.report.test_life import make_life
from .chromium import NEEDED, requested, show_as

pytestmark = NEEDED
EVIL = "<img src=https://example.org/x.png onerror=alert(1)>"
PAGES = ("report", "/life?life=mine", "/lives")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Where each page lies; the life has names that try to break out."""
    root = tmp_path_factory.mktemp("lives")
    path = make_life(root / "mine", evil=EVIL)
    with dashboard(root) as (address, _):
        own = {page: address.rstrip("/") + page for page in PAGES[1:]}
        yield {"report": build_life(path).as_uri(), **own}


@pytest.mark.parametrize("page", PAGES)
def test_no_error_no_request_elsewhere_and_nothing_that_axe_finds(driver, places, page):
    driver.get_log("performance"), driver.get_log("browser")
    show_as(driver)
    driver.get(places[page])
    assert driver.get_log("browser") == []
    home = places[page].removesuffix(page)  # of the report itself: all of its address
    urls = requested(driver, places[page])
    assert [url for url in urls if not url.startswith((home, "data:"))] == []
    said = [violation["id"] for violation in Axe().run(driver)["violations"]]
    assert said == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screens_scroll_no_page(driver, places, page, scheme):
    show_as(driver, width=400, scheme=scheme)
    driver.get(places[page])
    width = driver.execute_script("return document.documentElement.scrollWidth")
    assert width <= 400
