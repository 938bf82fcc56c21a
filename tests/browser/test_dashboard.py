"""The dashboard in a real browser: readable, reachable, quiet, and true while a run goes on.

With FEDZDA_SCREENSHOTS=FOLDER the pages are kept as pictures, as in docs/images.
"""

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from axe_core_python.selenium import Axe

from ..e2e.dashboard_server import dashboard
from ..unit.platform.report.make_run import add_findings, make_run, unfinish
from .chromium import CONTRAST, NEEDED, requested, show_as

pytestmark = NEEDED

SHOTS = os.environ.get("FEDZDA_SCREENSHOTS")
EVIL = "<img src=x onerror=alert(1)>"
RUNS = {
    "fed-zdac-s0": {"seed": 0},
    "fed-zdac-s1": {"seed": 1},
    "fed-zdac-s2": {"seed": 2},
    "fed-avg-s0": {"seed": 0, "shift": -0.12},
    "fed-avg-s1": {"seed": 1, "shift": -0.1},
    "fed-avg-s2": {"seed": 2, "shift": -0.15},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dashboard") / "runs"
    for number, (name, how) in enumerate(RUNS.items()):
        strategy = {"name": name.rpartition("-")[0], "clients_per_round": 10}
        run = make_run(folder / name, name=f"{strategy['name']}-digits", strategy=strategy, **how)
        meta = {"started": f"2026-01-0{number + 1}T10:00:00+00:00"}
        (run / "meta.json").write_text(json.dumps(meta))
    add_findings(folder / "fed-zdac-s0")
    unfinish(make_run(folder / "stopped", name="early-end", seed=5))
    unfinish(make_run(folder / EVIL, name=EVIL, seed=6), EVIL)
    tags = {"fed-zdac-s0": ["paper", EVIL], "fed-avg-s0": ["baseline"]}
    (folder / "tags.json").write_text(json.dumps(tags))
    results = folder / "results"
    for arm, level in (("fed-avg", 0.6), ("fed-prox", 0.63), ("fed-zdac", 0.8)):
        for data, down in (("two-classes", 0.0), ("dirichlet", 0.07), ("even", -0.1)):
            for seed in range(3):
                mean = level - down + 0.01 * seed
                figures = {"mean": mean, "worst10": mean - 0.3, "variance_pp2": 90 * (1 - mean)}
                cell = {"cell": {"split": data, "arm": arm}, "seed": seed, "cpu_seconds": 30}
                cell |= {"figures": {"global": figures}, "bytes": {"down": 1e8, "up": 1e8}}
                path = results / "sweep" / data / f"{arm}-s{seed}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(cell))
                study = results / "study" / f"{arm}-{data}-s{seed}.json"
                study.parent.mkdir(exist_ok=True)
                study.write_text(json.dumps({"arm": arm, "data": data, "seed": seed, "psnr": mean}))
    return folder


@pytest.fixture(scope="module")
def address(root):
    with dashboard(root, "--results", str(root / "results")) as (found, _):
        yield found.rstrip("/")


_SOME = urlencode([("run", name) for name in RUNS])
PAGES = {
    "runs": "/",
    "runs-filtered": "/?tag=paper&sort=mean",
    "run": "/run?run=fed-zdac-s0",
    "run-hostile": f"/run?run={quote(EVIL)}",
    "clients": "/clients?run=fed-zdac-s0&client=7",
    "images": "/images?run=fed-zdac-s0",
    "images-none": f"/images?run={quote(EVIL)}",
    "cost": "/cost?run=fed-zdac-s0",
    "compare": f"/compare?{_SOME}",
    "compare-none": "/compare",
    "sweeps": "/sweeps",
    "sweep": "/sweep?results=results/sweep",
    "studies": "/studies",
    "study": "/study?results=results/study",
    "missing": "/nothing-here",
}


def look(driver, address, name, **how):
    show_as(driver, **how)
    driver.get(address + PAGES[name])


@pytest.mark.parametrize("name", PAGES)
def test_no_error_and_no_request_elsewhere(driver, address, name):
    driver.get_log("performance"), driver.get_log("browser")
    look(driver, address, name)
    status = "the server responded with a status of 404"
    said = [e["message"] for e in driver.get_log("browser") if status not in e["message"]]
    assert said == []
    urls = requested(driver, address)
    assert f"{address}/static/dashboard.css" in urls
    assert [u for u in urls if not u.startswith((f"{address}/", "data:"))] == []
    assert driver.execute_script("return document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(driver, address, name):
    look(driver, address, name)
    # the policy of the page forbids eval, not scripts that the browser's owner injects
    found = Axe().run(driver)
    said = [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in found["violations"]]
    assert said == []
    assert len(found["passes"]) > 10


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_contrast_and_width(driver, address, name, scheme, width):
    look(driver, address, name, scheme=scheme, width=width)
    keep(driver, f"{name}-{scheme}-{width}", width)
    text, marks = driver.execute_script(CONTRAST)
    assert text["checked"] > 5
    assert text["below"] == []
    assert marks["below"] == []
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def keep(driver, name, width):
    """A picture of the whole page, if they are asked for."""
    if SHOTS is None:
        return
    height = driver.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, 4000), "scale": 1}
    options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", options)
    Path(SHOTS).mkdir(parents=True, exist_ok=True)
    (Path(SHOTS) / f"dashboard-{name}.png").write_bytes(base64.b64decode(shot["data"]))


def test_the_policy_stops_a_request_made_from_inside(driver, address):
    look(driver, address, "runs")
    driver.get_log("browser")
    said = driver.execute_async_script(
        "const done = arguments[0];"
        "fetch('https://example.org/').then(() => done('sent'), () => done('refused'));"
    )
    assert said == "refused"
    assert "Content Security Policy" in driver.get_log("browser")[0]["message"]


def test_the_keyboard_reaches_everything_in_order(driver, address):
    from selenium.webdriver import ActionChains, Keys

    look(driver, address, "runs-filtered")
    seen = []
    for _ in range(10):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        at = "const at = document.activeElement; return at.className || at.name || at.textContent"
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        assert driver.execute_script(outline) != "none"
        seen.append(driver.execute_script(at))
    links = ["skip", "brand", "Runs", "Lives", "Compare", "Sweeps", "Studies"]
    assert seen == [*links, "q", "state", "strategy"]
    ActionChains(driver).key_down(Keys.SHIFT).send_keys(Keys.TAB * 9).key_up(Keys.SHIFT).perform()
    ActionChains(driver).send_keys(Keys.ENTER).perform()
    assert driver.execute_script("return document.activeElement.id") == "main"


def test_runs_are_marked_and_compared_without_a_mouse(driver, address):
    from selenium.webdriver import Keys
    from selenium.webdriver.common.by import By

    look(driver, address, "runs")
    for name in ("fed-avg-s0", "fed-zdac-s0"):
        driver.find_element(By.CSS_SELECTOR, f"[data-run='{name}'] input").send_keys(Keys.SPACE)
    driver.find_element(By.CSS_SELECTOR, ".actions button").send_keys(Keys.ENTER)
    wait(lambda: "/compare" in driver.current_url)
    assert driver.find_elements(By.ID, "cdf")


def test_print_leaves_out_what_paper_cannot_do(driver, address):
    look(driver, address, "run", media="print")
    gone = driver.execute_script(
        "return ['.top', '.tabs', '.tags'].map((each) => "
        "getComputedStyle(document.querySelector(each)).display)"
    )
    assert gone == ["none"] * 3
    ground = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"


def test_tags_are_saved_by_the_form(driver, address):
    from selenium.webdriver.common.by import By

    show_as(driver)
    driver.get(f"{address}/run?run=fed-avg-s1")
    field = driver.find_element(By.NAME, "tags")
    field.send_keys("checked, twice")
    field.submit()
    value = "return document.querySelector('[name=tags]')?.value"  # None between two pages
    wait(lambda: driver.execute_script(value) == "checked, twice")
    driver.get(f"{address}/?tag=twice")
    assert len(driver.find_elements(By.CSS_SELECTOR, "[data-run]")) == 1


def wait(known, seconds=120):
    """Until something holds."""
    deadline = time.time() + seconds
    while not known():
        assert time.time() < deadline
        time.sleep(0.1)


def test_a_real_run_is_shown_while_it_goes_on(driver, tmp_path):
    """Its list and its page are loaded once and stay true by themselves to the end."""
    from selenium.webdriver.common.by import By

    show_as(driver)
    command = [sys.executable, "-m", "fedzda", "run", "quickstart", "-q", "rounds=25"]
    command += ["strategy.synthesizer.steps=5", "engine.name=inline", f"output={tmp_path}"]
    with dashboard(tmp_path) as (address, _):
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait(lambda: list(tmp_path.glob("*/rounds.jsonl")))
        driver.get(address)
        cell = driver.find_element(By.CSS_SELECTOR, "[data-run] .round")
        before = cell.text
        wait(lambda: cell.text != before)
        driver.find_element(By.CSS_SELECTOR, "[data-run] a").click()
        wait(lambda: driver.find_elements(By.ID, "bar"))
        charts = "return document.querySelectorAll('#progress svg .mark').length"
        first = driver.execute_script(charts)
        # found and clicked in one go: the page may replace it in between
        folded = "const found = document.querySelector('#progress summary'); found?.click()"
        opened = driver.execute_script(f"{folded}; return Boolean(found)")
        wait(lambda: driver.execute_script(charts) > first)
        if opened:
            details = "return document.querySelector('#progress details').open"
            assert driver.execute_script(details)
        keep(driver, "run-live-light-1280", 1280)
        wait(lambda: driver.find_element(By.ID, "sentence").text.startswith("The run is finished"))
        wait(lambda: driver.find_elements(By.ID, "recall"))
        assert "25 of 25 rounds" in driver.find_element(By.ID, "rounds").text
        assert driver.find_element(By.CSS_SELECTOR, "#state .badge").text == "finished"
        plot = driver.find_element(By.CSS_SELECTOR, "#spread .plot")  # new, and read by keys
        driver.execute_script("arguments[0].focus()", plot)
        plot.send_keys("\ue014")  # the right arrow
        assert "rank 1 of 20" in driver.find_element(By.ID, "tip").text
        assert driver.get_log("browser") == []
        run.wait(60)
        name = next(tmp_path.glob("*/config.yaml")).parent.name
        for path in ("run", "clients", "images", "cost", "compare"):
            driver.get(f"{address}{path}?run={name}")
            assert Axe().run(driver)["violations"] == [], path
            assert driver.get_log("browser") == []
        driver.get(f"{address}images?run={name}")
        assert driver.execute_script(
            "return [...document.images].length > 0 && "
            "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"
        )
