"""A sweep's page as a person sees it, in the system's Chromium when there is one."""

import shutil

import pytest
from parabola import Parabola
from searching import search

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
TWO = {"log_return": "maximize", "max_drawdown": "minimize"}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """Pages of a search with pruned and failed trials, and of one with two objectives, 12 trials each."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    search(one, Parabola(fails=(3,)), n_trials=12, pruner="median", startup_trials=4, warm_up_looks=1)
    search(two, n_trials=12, sampler="nsga2", population=6, objectives=TWO)
    return [(folder / "sweep.html").as_uri() for folder in (one, two)]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_drawn_without_error_and_without_sideways_scroll(browser, addresses, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: request.url in addresses or problems.append(request.url))
    for address, n_drawings in zip(addresses, (3, 4), strict=True):
        page.goto(address)
        assert page.locator("svg").count() == n_drawings
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        places = page.locator("svg [points], svg circle, svg path").evaluate_all(
            "all => all.map(e => e.outerHTML.split('<title>')[0])"
        )
        assert len(places) > 12  # a mark for each trial, and lines
        assert not [place for place in places if "nan" in place.lower()]
        # Whatever is drawn lies inside its drawing; wider ones scroll inside their card.
        outside = page.locator("svg").evaluate_all(
            """all => all.flatMap(svg => [...svg.querySelectorAll("text, circle, rect, polyline")].filter(e => {
              const a = svg.getBoundingClientRect(), b = e.getBoundingClientRect();
              return b.left < a.left - 1 || b.right > a.right + 1 || b.top < a.top - 1 || b.bottom > a.bottom + 1;
            }).map(e => e.outerHTML))"""
        )
        assert outside == []
        sizes = page.locator("svg text").evaluate_all("all => all.map(t => t.getBoundingClientRect().height)")
        assert min(sizes) >= 10.0
        assert page.locator("tbody tr").count() == 12
    page.close()
    assert problems == []


def test_the_ground_is_dark_where_the_person_wants_it_dark(browser, addresses):
    grounds = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(addresses[0])
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()
    assert grounds == ["rgb(250, 250, 247)", "rgb(18, 20, 23)"]
