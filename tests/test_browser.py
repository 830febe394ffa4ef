"""Every page of the book in headless Chromium without network: what a reader sees, by key and on a phone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline_tools import ROOT, browser, html

# ruff: isort: split
from layout import Layout

__all__ = ["browser", "html"]
FIRST = f"{Layout(ROOT).pages()[0]}.html"
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1500)]

CONTRASTS = """
const parts = (text) => [...text.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
const over = ([r, g, b, a], below) => [r, g, b].map((value, i) => value * a + below[i] * (1 - a));
const ground = (element) => element
  ? over(parts(getComputedStyle(element).backgroundColor), ground(element.parentElement))
  : [255, 255, 255];
const light = (colour) => {
  const [r, g, b] = colour.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
const seen = (element) => {
  const below = ground(element);
  return contrast(light(over(parts(getComputedStyle(element).color), below)), light(below));
};
return {
  page: light(ground(document.querySelector("article.bd-article") ?? document.body)),
  texts: [...document.querySelectorAll("article :is(p, li, td, th, h2, pre, caption, summary)")]
    .filter((element) => element.offsetParent && element.textContent.trim())
    .map((element) => [seen(element), element.textContent.trim().slice(0, 40)]),
};
"""


def pages(html: Path) -> list[str]:
    """All pages, as paths below the folder of the HTML."""
    found = [path.relative_to(html) for path in html.rglob("*.html")]
    return sorted(str(path) for path in found if path.parts[0] not in ("_static", "_modules"))


@pytest.fixture(scope="module")
def address(html: Path):
    """The book, served from this machine."""
    from browser import served

    with served(html) as address:
        yield address


@pytest.fixture(scope="module")
def visits(html: Path, address: str, browser) -> dict:
    """One visit to every page at the width of a desktop: page -> what happened."""
    return {page: browser.visit(address + page) for page in pages(html)}


def report(visits: dict, problem: Callable) -> dict:
    """The pages for which there is a problem, with the problem."""
    return {page: found for page, visit in visits.items() if (found := problem(visit))}


def test_the_book_has_its_pages(visits: dict) -> None:
    assert {f"{page}.html" for page in Layout(ROOT).pages()} <= set(visits)
    assert "api/mdepth.metrics.html" in visits


def test_the_console_is_clean(visits: dict) -> None:
    assert report(visits, lambda visit: visit.console) == {}


def test_nothing_is_requested_from_elsewhere(visits: dict, address: str) -> None:
    own = (address, "data:", "blob:", "chrome://")  # the last: the browser's own first page
    assert report(visits, lambda visit: [url for url in visit.requests if not url.startswith(own)]) == {}


def test_formulas_figures_and_pictures_are_there(visits: dict) -> None:
    assert report(visits, lambda visit: not visit.settled) == {}
    assert report(visits, lambda visit: visit.facts["broken_images"]) == {}
    assert report(visits, lambda visit: visit.facts["formulas_broken"]) == {}
    for kind in ("formulas", "plots"):
        wrong = report(
            visits,
            lambda visit, kind=kind: visit.facts[kind] != visit.facts[f"{kind}_wanted"] and visit.facts,
        )
        assert wrong == {}
        assert sum(visit.facts[kind] for visit in visits.values()) > 0


def test_links_anchors_and_pictures_hold(html: Path) -> None:
    from check import problems

    assert problems(html) == []


def test_it_works_from_files_too(html: Path, browser) -> None:
    for page in ("index.html", "executed/metrics.html"):
        visit = browser.visit((html / page).as_uri())
        assert visit.console == []
        assert visit.facts["formulas"] == visit.facts["formulas_wanted"]
        assert visit.facts["plots"] == visit.facts["plots_wanted"]
        assert all(url.startswith(("file:", "data:", "blob:")) for url in visit.requests)


def test_a_phone_never_scrolls_sideways(html: Path, address: str, browser) -> None:
    browser.resize(420)
    try:
        widths = {page: browser.visit(address + page).facts["width"] for page in pages(html)}
    finally:
        browser.resize(1200)
    assert {page: width for page, width in widths.items() if width > 420} == {}


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_stands_out_in_dark_and_light(visits: dict, address: str, browser, scheme: str) -> None:
    browser.prefer(scheme)
    try:
        for page in [page for page in visits if not page.startswith("api/")]:
            browser.visit(address + page)
            found = browser.script(CONTRASTS)
            assert (found["page"] < 0.2) == (scheme == "dark"), page
            assert [text for contrast, text in found["texts"] if contrast < 4.5] == [], page
    finally:
        browser.prefer("light")


def test_the_keyboard_is_enough(address: str, browser) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.visit(address + FIRST)
    focused = []
    for _ in range(12):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        at = browser.driver.switch_to.active_element
        told = at.get_attribute("textContent").strip() or at.get_attribute("aria-label")
        focused.append(f"{at.tag_name} {told}")
        assert at.tag_name != "body", focused
    assert "skip" in focused[0].lower()
    assert len(set(focused)) > 8


def test_the_search_opens_by_a_key_and_finds(address: str, browser) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    browser.visit(address + FIRST)
    browser.driver.find_element("tag name", "body").send_keys(Keys.CONTROL + "k")
    box = browser.driver.switch_to.active_element
    assert box.get_attribute("type") == "search"
    box.send_keys("disparity" + Keys.ENTER)
    listed = "return document.querySelectorAll('#search-results li').length"
    WebDriverWait(browser.driver, 20).until(lambda driver: driver.execute_script(listed) > 0)
    assert "search.html" in browser.driver.current_url


def test_this_builds_facts_are_shown_by_script_alone(html: Path, address: str, browser) -> None:
    browser.visit(address + "executed/metrics.html")
    shown = "return document.querySelector('.build-info').textContent"
    assert "This page ran for" in browser.script(shown)
    assert "This page ran for" not in (html / "executed" / "metrics.html").read_text()
