"""The report in a real browser: no error, no request, everything drawn, readable, reachable."""

import pytest

from fedzda.platform.report.charts import draw_all
from fedzda.platform.report.data import collect
from fedzda.platform.report.html import page

from ..unit.platform.report.make_run import CONFIG, add_findings, make_run
from .chromium import CONTRAST, NEEDED, requested, show_as

pytestmark = NEEDED


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report whose names try to break out, with all charts."""
    name = "<img src=https://example.org/x.png onerror=alert(1)>"
    folder = tmp_path_factory.mktemp("browser")
    run = add_findings(make_run(folder / "run", name=name))
    same = {"data": CONFIG["data"] | {"seed": 0}, "strategy": {"name": "local-only"}}
    alone = make_run(folder / "alone", seed=1, shift=-0.02, **same)
    data = collect(run, alone)
    path = run / "report.html"
    path.write_text(page(data, draw_all(data)), encoding="utf-8")
    return path


def look(driver, report, **how):
    show_as(driver, **how)
    driver.get(report.as_uri())


def test_no_console_error_and_no_request_leaves_the_page(driver, report):
    driver.get_log("performance")
    look(driver, report)
    assert driver.get_log("browser") == []
    urls = requested(driver, report.as_uri())
    assert report.as_uri() in urls
    assert [url for url in urls if url != report.as_uri() and not url.startswith("data:")] == []


def test_policy_stops_a_request_made_from_inside(driver, report):
    look(driver, report)
    said = driver.execute_async_script(
        "const done = arguments[0];"
        "fetch('https://example.org/').then(() => done('sent'), () => done('refused'));"
    )
    assert said == "refused"
    assert "Content Security Policy" in driver.get_log("browser")[0]["message"]


def test_every_chart_has_visible_marks(driver, report):
    look(driver, report)
    marks = driver.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('figure[id]')].map((figure) => ["
        "figure.id, [...figure.querySelectorAll('svg [data-tip]')].filter((mark) => {"
        "const box = mark.getBoundingClientRect(); return box.width > 3 && box.height > 3;"
        "}).length]))"
    )
    assert marks == {
        **{"spread": 20, "progress": 18, "size": 20, "groups": 2, "benefit": 20, "leakage": 28},
        **{"skew": 20, "recall": 200, "labels": 200, "clusters": 20},
    }


def test_a_table_with_headers_under_every_chart(driver, report):
    look(driver, report)
    heads = driver.execute_script(
        "return [...document.querySelectorAll('figure[id] details')].map((details) => {"
        "details.open = true; const table = details.querySelector('table');"
        "return [table.getBoundingClientRect().height > 50,"
        "table.querySelectorAll('thead th[scope=col]').length,"
        "table.querySelectorAll('tbody th[scope=row]').length]})"
    )
    assert heads == [
        *([True, 4, 20], [True, 5, 6], [True, 4, 20], [True, 5, 2], [True, 4, 20], [True, 4, 10]),
        *([True, 4, 20], [True, 11, 20], [True, 11, 20], [True, 11, 2]),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_contrast_and_width(driver, report, scheme, width):
    look(driver, report, scheme=scheme, width=width)
    text, marks = driver.execute_script(CONTRAST)
    assert text["checked"] > 200
    assert text["below"] == []
    assert marks["checked"] > 50
    assert marks["below"] == []
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    assert driver.execute_script(
        "return [...document.querySelectorAll('figure:not(.wide) svg text')].every((text) => {"
        "const box = text.getBoundingClientRect(), edge = text.closest('svg');"
        "const outer = edge.getBoundingClientRect();"
        "return box.left >= outer.left - 1 && box.right <= outer.right + 1})"
    )


def test_dark_scheme_and_print_change_the_page(driver, report):
    ground = "return getComputedStyle(document.body).backgroundColor"
    look(driver, report, scheme="dark")
    dark = driver.execute_script(ground)
    look(driver, report, scheme="dark", media="print")
    paper = driver.execute_script(ground)
    assert paper == "rgb(255, 255, 255)" != dark
    assert driver.execute_script(
        "return getComputedStyle(document.querySelector('details')).display === 'none'"
    )


def test_values_are_read_by_keyboard_and_pointer(driver, report):
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.common.by import By

    look(driver, report)
    tip = driver.find_element(By.ID, "tip")
    assert not tip.is_displayed()
    plot = driver.find_element(By.CSS_SELECTOR, "#spread .plot")
    driver.execute_script(
        "arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", plot
    )
    keys = ActionChains(driver)
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    assert "rank 1 of 20" in tip.text
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    assert "rank 2 of 20" in tip.text
    keys.send_keys(Keys.END).perform()
    assert "rank 20 of 20" in tip.text
    keys.send_keys(Keys.ESCAPE).perform()
    assert not tip.is_displayed()
    mark = driver.find_element(By.CSS_SELECTOR, "#size [data-tip]")
    driver.execute_async_script(  # the scroll event comes with the next frame and hides the tip
        "const done = arguments[1]; arguments[0].scrollIntoView({block: 'center'});"
        "requestAnimationFrame(() => requestAnimationFrame(() => done()));",
        mark,
    )
    ActionChains(driver).move_to_element(mark).perform()
    assert tip.text == mark.get_attribute("data-tip").replace("\u00a0", " ")


def test_arrow_keys_move_in_two_directions_on_a_map(driver, report):
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.common.by import By

    look(driver, report)
    plot = driver.find_element(By.CSS_SELECTOR, "#recall .plot")
    tips = [m.get_attribute("data-tip") for m in plot.find_elements(By.CSS_SELECTOR, "[data-tip]")]
    driver.execute_script(
        "arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", plot
    )
    for key, index in ((Keys.ARROW_RIGHT, 0), (Keys.ARROW_RIGHT, 1), (Keys.ARROW_DOWN, 21)):
        ActionChains(driver).send_keys(key).perform()
        assert driver.find_element(By.ID, "tip").text == tips[index]


def test_everything_interactive_takes_the_focus_in_order(driver, report):
    from selenium.webdriver import ActionChains, Keys

    look(driver, report)
    seen = []
    for _ in range(16):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        seen.append(
            driver.execute_script(
                "const at = document.activeElement;return at.className || at.tagName.toLowerCase()"
            )
        )
    assert seen == ["skip", *["plot", "summary"] * 7, "scroll"]
