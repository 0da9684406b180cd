"""The report as a person sees it, in the system's Chromium when there is one."""

import re
import shutil

import pytest
from page_examples import compared, health, walked
from report_example import example_report

from regimegym.evaluate.report.build import write_report
from regimegym.evaluate.report.compare import render_comparison
from regimegym.evaluate.report.monitor_page import render_health
from regimegym.evaluate.report.walked import render_walk_forward

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHARTS = ("equity", "drawdown", "price", "exposure", "costs")
TEXTS = (
    "h1",
    ".facts li",
    "nav a",
    ".stamp",
    ".places li",
    ".sentences li",
    ".sentences .iv",
    ".q",
    ".checks li",
    ".checks .iv",
    ".key-figures .l",
    ".key-figures .s",
    ".mk",
    ".how",
    ".note",
    ".legend button",
    ".legend b",
    ".tag",
    "thead th",
    "td",
    "td small",
    ".grp td",
    "dt",
    "dd",
    ".weak li",
    "summary",
    "pre",
    "footer",
)

# Contrast of the first match against the nearest opaque background, by WCAG 2.
CONTRAST = """selector => [...document.querySelectorAll(selector)].filter(e => e.offsetParent).map(e => {
  const read = text => { const c = document.createElement("canvas").getContext("2d");
    c.fillStyle = text; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data]; };
  const layers = [];
  for (let p = e; p; p = p.parentElement) layers.push(read(getComputedStyle(p).backgroundColor));
  let ground = [255, 255, 255];
  for (const [r, g, b, a] of layers.reverse())
    ground = [r, g, b].map((v, i) => v * a / 255 + ground[i] * (1 - a / 255));
  const linear = v => v / 255 <= .03928 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = c => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
  const [high, low] = [light(read(getComputedStyle(e).color)), light(ground)].sort((p, q) => q - p);
  return (high + .05) / (low + .05);
})"""


@pytest.fixture(scope="module")
def report():
    return example_report(800)


@pytest.fixture(scope="module")
def address(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(report, path)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, address):
    """Open the report; every console message and page error is collected in `page.problems`."""
    contexts = []

    def open_page(width=1280, scheme="light", javascript=True, url=address):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=javascript
        )
        contexts.append(context)
        page = context.new_page()
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("request", lambda request: request.url == url or page.problems.append(request.url))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_all_charts_are_drawn_without_error_and_without_sideways_scroll(visit, width, scheme):
    page = visit(width, scheme)
    for name in CHARTS:
        paths = page.locator(f"#chart-{name} svg path").evaluate_all("all => all.map(p => p.getAttribute('d'))")
        assert paths, name
        assert all(paths), name
        assert not [d for d in paths if "NaN" in d or "undefined" in d], name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        "w => [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > w + 1).length",
        width,
    )
    assert wide == 0
    assert page.problems == []


@pytest.mark.parametrize("width", [1280, 390])
def test_charts_are_drawn_at_true_width(visit, width):
    page = visit(width)
    drawn = page.locator("#chart-equity svg").evaluate(
        "s => [s.viewBox.baseVal.width, s.getBoundingClientRect().width]"
    )
    assert drawn[0] == pytest.approx(drawn[1], abs=1)
    sizes = page.locator("svg.c text").evaluate_all("all => all.map(t => parseFloat(getComputedStyle(t).fontSize))")
    assert len(sizes) > 30
    assert min(sizes) >= 12.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_text_stands_out_from_its_ground(visit, width, scheme):
    page = visit(width, scheme)
    contrasts = {selector: page.evaluate(CONTRAST, selector) for selector in TEXTS}
    shown = {selector: min(values) for selector, values in contrasts.items() if values}
    assert len(shown) >= len(TEXTS) - 2  # the list of stamps and table heads are left out on a phone
    assert {selector: value for selector, value in shown.items() if value < 4.5} == {}


def test_the_chart_ends_on_the_value_of_the_table(visit, report):
    page = visit()
    ends = {}
    for policy in report["policies"]:
        key = policy["key"]
        table = page.locator(f'[data-metric="{key}.total_return"]').inner_text()
        legend = page.locator(f"[data-legend=equity] [data-key={key}] b").inner_text()
        assert legend == table
        assert page.locator("#chart-equity text", has_text=table).count() >= 1
        d = page.locator(f"#chart-equity [data-line={key}]").get_attribute("d")
        ends[key] = float(d.split("L")[-1].split()[1])
    by_value = sorted(report["policies"], key=lambda policy: -policy["metrics"]["total_return"])
    assert sorted(ends, key=ends.__getitem__) == [policy["key"] for policy in by_value]


def test_dragging_zooms_all_time_charts_and_a_double_click_resets(visit):
    page = visit()

    def paths():
        return [page.locator(f"#chart-{name} path[data-line]").last.get_attribute("d") for name in CHARTS]

    page.locator("#chart-equity").scroll_into_view_if_needed()
    whole = paths()
    box = page.locator("#chart-equity svg").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 450, box["y"] + 110, steps=3)
    page.mouse.up()
    changed = [now != before for now, before in zip(paths(), whole, strict=True)]
    assert changed == [True, True, True, True, False]
    assert page.locator(".reset").first.is_visible()
    page.mouse.dblclick(box["x"] + 300, box["y"] + 100)
    assert paths() == whole
    assert page.problems == []


def test_moving_over_a_chart_writes_the_values_into_the_legend(visit):
    page = visit()
    value = page.locator("[data-legend=equity] [data-key=buy_and_hold] b")
    before, when = value.inner_text(), page.locator("[data-when]").inner_text()
    page.locator("#chart-price").scroll_into_view_if_needed()
    box = page.locator("#chart-price svg").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 60)
    assert value.inner_text() != before
    assert page.locator("[data-when]").inner_text() != when
    assert page.locator("#chart-equity line[visibility=visible]").count() == 1


def test_a_legend_entry_hides_its_line_and_the_log_axis_can_be_left(visit):
    page = visit()
    page.locator("[data-legend=equity] [data-key=ma_cross]").click()
    assert page.locator("#chart-equity [data-line=ma_cross]").count() == 0
    before = page.locator("#chart-equity [data-line=agent]").get_attribute("d")
    page.locator("#log").click()
    assert page.locator("#chart-equity [data-line=agent]").get_attribute("d") != before
    assert page.problems == []


def test_the_button_changes_the_theme(visit):
    page = visit()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#theme").click()
    dark = page.evaluate(ground)
    page.locator("#theme").click()
    assert dark != light
    assert page.evaluate(ground) == light


@pytest.mark.parametrize("width", [1280, 390])
def test_verdict_and_tables_stand_without_javascript(visit, report, width):
    page = visit(width, javascript=False)
    assert page.locator(".stamp").inner_text() == report["verdict"]["stamp"]
    assert page.locator(".sentences li").count() == 3
    assert page.locator('[data-metric="agent.sharpe_ratio"]').is_visible()
    assert page.get_by_text("Charts need JavaScript").is_visible()
    assert not page.locator("#theme").is_visible()


def test_a_hostile_symbol_runs_no_script(visit, report, tmp_path):
    bad = {
        **report,
        "title": "</title></script><script>document.title='taken'</script><img src=x onerror=alert(1)>",
    }
    path = tmp_path / "bad.html"
    write_report(bad, path)
    page = visit(url=path.as_uri())
    assert "taken'" in page.title()
    assert page.title() != "taken"
    assert page.locator("img").count() == 0
    assert page.problems == []


def test_a_report_of_one_moment_and_of_undefined_numbers_still_draws(visit, report, tmp_path):
    short = {**report, "series_t": report["series_t"][:2]}
    short["policies"] = [
        {**policy, "equity": [1.0, None], "drawdown": [0.0, None], "exposure": [0.0, None], "band": None}
        for policy in report["policies"]
    ]
    short["price"] = {"close": [100.0, 100.0]}
    short["cost_curve"] = {**report["cost_curve"], "agent_total_return": [None] * 7, "one_way": 0.0}
    path = tmp_path / "short.html"
    write_report(short, path)
    page = visit(url=path.as_uri())
    assert page.locator("svg.c").count() == len(CHARTS)
    assert "NaN" not in page.content()
    assert page.problems == []


def test_heat_tables_sort_by_a_head_and_come_back(visit, report, tmp_path):
    values = {"2023-01": 0.02, "2023-02": None, "2023-03": -0.11, "2023-04": 0.3}
    months = [
        {"month": month, "log_return": value, "buy_and_hold_log_return": 0.0, "max_drawdown": 0.1, "mean_exposure": 0.5}
        for month, value in values.items()
    ]
    path = tmp_path / "months.html"
    write_report({**report, "per_month": months}, path)
    page = visit(url=path.as_uri())
    head = page.locator("table.heat thead th").nth(1)

    def shown():
        return page.locator("table.heat tbody th").all_inner_texts()

    orders = []
    for _ in range(3):
        head.locator("button").click()
        orders.append((head.get_attribute("aria-sort"), [month[-1] for month in shown()]))
    assert orders == [
        ("descending", ["4", "1", "3", "2"]),  # what is undefined stands last
        ("ascending", ["3", "1", "4", "2"]),
        ("none", ["1", "2", "3", "4"]),
    ]
    assert page.problems == []


def test_a_report_prints_on_a_few_pages(visit):
    printed = visit().pdf(prefer_css_page_size=True)
    assert 4 <= len(re.findall(rb"/Type\s*/Page[^s]", printed)) <= 9


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_other_pages_draw_without_error_and_without_sideways_scroll(visit, tmp_path, width, scheme):
    pages = {
        "monitor": render_health(health(9)),
        "walk": render_walk_forward(walked()),
        "compare": render_comparison(compared()),
    }
    for name, text in pages.items():
        path = tmp_path / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        page = visit(width, scheme, url=path.as_uri())
        paths = page.locator("svg.c path").evaluate_all("all => all.map(p => p.getAttribute('d'))")
        assert len(paths) >= 2, name
        assert not [d for d in paths if not d or "NaN" in d], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        for selector in ("h1", ".how", "td", "thead th", ".q", ".state", ".stamp"):
            contrasts = page.evaluate(CONTRAST, selector)
            assert min(contrasts, default=21.0) >= 4.5, (name, selector)
        assert page.problems == []
