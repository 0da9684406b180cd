"""The report without a browser: one whole, safe, self-contained file that states its findings."""

import copy
import json
import re
from html.parser import HTMLParser

import pytest
from handmade import TabledWindowPolicy, random_tape
from report_example import example_report

from regimegym.common.errors import MachineError, RunError
from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.evaluation import evaluate_policy
from regimegym.evaluate.intervals import IntervalSettings
from regimegym.evaluate.report import headings, page, summary
from regimegym.evaluate.report.build import render_report, write_report
from regimegym.evaluate.report.figures import chart_data, embed_json
from regimegym.evaluate.report.numbers import percent, words
from regimegym.evaluate.report_content import to_report
from regimegym.evaluate.rules import Flat
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.features.splits import RowRange

SECTIONS = ("verdict", "equity", "trades", "regimes", "metrics", "costs", "against", "card")
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" ' & \u2028"


class Tags(HTMLParser):
    """Every start tag with its attributes, and the text of every element by id or data-metric."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: dict[str, str] = {}
        self._cell: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._cell = dict(attrs).get("data-metric")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.cells[self._cell] = data
            self._cell = None


@pytest.fixture(scope="module")
def example():
    return example_report()


@pytest.fixture
def report(example):
    return copy.deepcopy(example)


@pytest.fixture(scope="module")
def text(example):
    return render_report(example)


def test_the_file_loads_nothing(text):
    tags = Tags(text).tags
    assert not [tag for tag, _ in tags if tag in ("link", "iframe", "img", "object", "embed")]
    assert not [attributes for _, attributes in tags if "src" in attributes]
    links = [attributes["href"] for _, attributes in tags if "href" in attributes]
    assert len(links) == len(SECTIONS)
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)[a-z]", text.replace("url(#${", "url(#"))
    addresses = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a namespace, not a place


def test_the_content_security_policy_allows_only_our_script(text):
    policy = next(a["content"] for tag, a in Tags(text).tags if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy


def test_the_file_is_under_one_megabyte(text):
    assert len(text.encode()) < 1_000_000


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_stands_in_the_order_of_the_sceptic(text, section):
    places = [text.index(f'<section id="{name}"') for name in SECTIONS]
    assert places == sorted(places)
    body = text.split(f'<section id="{section}"')[1].split("</section>")[0]
    assert "$" not in body
    assert len(re.findall(r">[^<>]{3,}<", body)) > 3


def test_nothing_of_the_template_is_left_unfilled(text):
    assert not re.findall(r"\$[a-z_]+", text.split("<script")[0])


def test_verdict_tables_and_intervals_stand_outside_the_scripts(report, text):
    plain = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert report["verdict"]["stamp"] in plain
    for row in report["verdict"]["sentences"]:
        assert row["question"] in plain
    for row in report["verdict"]["checks"]:
        assert words(row["text"])[1:] in plain
    for meta in report["metrics_meta"]:
        assert meta["label"] in plain
    for warning in report["warnings"]:
        assert warning[1:] in plain
    for row in report["commands"]:
        assert row["command"] in plain


@pytest.mark.parametrize("attack", [EVIL, "]]>--><svg onload=alert(3)>"])
def test_texts_of_the_data_cannot_become_markup(report, attack):
    def poison(value):
        if isinstance(value, dict):
            return {key: poison(item) for key, item in value.items()}
        if isinstance(value, list):
            return [poison(item) for item in value]
        return f"{value}{attack}" if isinstance(value, str) else value

    bad = poison(report)
    bad["part"] = "test"
    for row, clean in zip(bad["verdict"]["checks"], report["verdict"]["checks"], strict=True):
        row["state"] = clean["state"]
    for name in ("policies", "per_regime", "differences"):
        for row, clean in zip(bad[name], report[name], strict=True):
            row |= {key: clean[key] for key in ("key", "kind", "metric") if key in clean}
    bad["run_card"][attack] = {attack: [attack]}
    tags = Tags(render_report(bad)).tags
    assert [tag for tag, _ in tags].count("script") == 2
    assert not [tag for tag, _ in tags if tag in ("img", "svg")]
    assert not [a for _, a in tags if any(name.startswith("on") for name in a)]


def test_the_data_block_is_json_without_markup(report):
    report["policies"][2]["label"] = EVIL
    block = embed_json(chart_data(report))
    assert not set("<>&\u2028\u2029") & set(block)
    assert json.loads(block)["policies"][2]["name"] == EVIL


def test_undefined_numbers_are_dashes_and_null(report):
    for value in (None, float("nan"), float("inf")):
        report["policies"][0]["metrics"]["sortino_ratio"] = value
        report["policies"][0]["equity"][5] = value
        text = render_report(report)
        assert Tags(text).cells["agent.sortino_ratio"] == "–"
        assert "NaN" not in text.split('id="data">')[1].split("</script>")[0]
        assert not re.search(r">[^<]*\b(nan|None|inf)\b[^<]*<", text.split("<script")[0])


def test_a_report_of_only_undefined_numbers_is_still_whole(report):
    keep = ("format_version", "series_t", "facts", "intervals", "metrics_meta", "one_way", "multiples")

    def empty(value):
        if isinstance(value, dict):
            return {key: item if key in keep else empty(item) for key, item in value.items()}
        if isinstance(value, list):
            return [empty(item) for item in value]
        return None if isinstance(value, float) else value

    text = render_report(empty(report))
    assert Tags(text).cells["agent.total_return"] == "–"
    assert "The return is undefined" in text
    assert "Sharpe ratio is undefined" in text


def test_marks_show_whether_the_interval_holds_the_line(report):
    for (low, high), sign in (((-0.1, 0.2), "○"), ((0.1, 0.2), "●"), ((-0.2, 0.0), "○")):
        report["policies"][0]["intervals"]["sharpe_ratio"] = {"low": low, "high": high}
        row = render_report(report).split('data-metric="agent.sharpe_ratio"')[1].split("</td>")[0]
        assert sign in row
    report["policies"][0]["intervals"]["sharpe_ratio"] = {"low": None, "high": None}
    row = render_report(report).split('data-metric="agent.sharpe_ratio"')[1].split("</td>")[0]
    assert "○" not in row
    assert "●" not in row


def test_the_last_point_of_a_chart_is_the_exact_value_of_the_table(report):
    data = json.loads(embed_json(chart_data(report)))
    assert len(data["policies"]) == 5
    for drawn, policy in zip(data["policies"], report["policies"], strict=True):
        assert drawn["equity"][-1] == policy["equity"][-1]
        assert drawn["equity"][-1] - 1 == pytest.approx(policy["metrics"]["total_return"], abs=1e-12)
        assert len(drawn["equity"]) == len(data["t"])


@pytest.mark.parametrize(
    ("part", "looks", "expected"),
    [
        ("test", 0, "opened for the first time"),
        ("test", 1, "opened once before"),
        ("test", 3, "opened 3 times before"),
        ("test", None, "not known how often"),
        ("validation", 0, "the checkpoint was chosen on it"),
    ],
)
def test_the_facts_say_whether_the_block_was_opened_before(report, part, looks, expected):
    report["part"], report["facts"]["test_looks_before"] = part, looks
    assert expected in summary.facts_strip(report)


def test_what_speaks_against_it_is_never_empty(report):
    report["warnings"], report["shrinkage"] = [], None
    assert len(summary.weaknesses(report)) == 2
    assert "no warning" in headings.weakness_heading(report).lower()


def test_the_file_is_written_whole_or_not_at_all(report, tmp_path, monkeypatch):
    path = tmp_path / "new" / "report.html"
    write_report(report, path)
    before = path.read_bytes()
    assert before.startswith(b"<!doctype html>")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page.os, "replace", full)
    with pytest.raises(MachineError, match=r"cannot be written to .*No space left on device"):
        write_report(report, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


def test_another_format_version_is_refused(report, tmp_path):
    report["format_version"] = 7
    with pytest.raises(RunError) as caught:
        write_report(report, tmp_path / "report.html")
    assert "needed    format_version 1" in "\n".join(caught.value.lines())
    assert not list(tmp_path.iterdir())


def test_the_same_report_gives_the_same_file(report, text):
    assert render_report(report) == text


def test_what_an_evaluation_writes_becomes_a_report():
    rows = RowRange(40, 540)
    settings = EnvSettings()
    quick = EvaluationSettings(intervals=IntervalSettings(n_resamples=100), cost_multiples=(0.0, 1.0, 5.0))
    tape = random_tape(540, 11)
    for policy in (TabledWindowPolicy(), Flat(settings)):
        content = to_report(evaluate_policy(policy, tape, settings, rows, "test", 1, "By hand", quick))
        text = render_report(content)
        drawn = json.loads(text.split('id="data">')[1].split("</script>")[0])
        cells = Tags(text).cells
        for line, measured in zip(drawn["policies"], content["policies"], strict=True):
            end = percent(line["equity"][-1] - 1, 1, signed=True)
            assert end == cells[f"{measured['key']}.total_return"]
