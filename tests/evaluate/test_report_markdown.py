"""The Markdown of a page says what the page says: every heading, cell and sentence, and no markup."""

import re
from itertools import pairwise

import pytest
from report_example import example_report

from regimegym.evaluate.report.build import render_report
from regimegym.evaluate.report.markdown import markdown_of


@pytest.fixture(scope="module")
def page():
    return render_report(example_report(800))


@pytest.fixture(scope="module")
def text(page):
    return markdown_of(page)


def test_a_part_of_every_kind_is_written_in_its_own_way():
    html = (
        '<nav>away</nav><h1>A &amp; B</h1><p class="how">How\u00a0it\n reads.</p><div class="stamp">Not yet</div>'
        '<ol class="places"><li>away</li></ol>'
        "<ol><li><span class=q>Why?</span><span>Because <b>3</b>, so.</span></li></ol>"
        '<div class="key-figures"><div><div class="l">Return</div><div class="v">1 %</div>'
        '<span class="track" aria-hidden="true"><i></i>away</span><div class="s">0 to 2</div></div></div>'
        "<table><thead><tr><th>k</th><th>v</th><th></th></tr></thead>"
        "<tbody><tr><th>a|b</th><td>1<small>± 2</small></td>"
        '<td><span aria-hidden="true">x</span></td></tr></tbody></table>'
        "<dl><div><dt>Name</dt><dd>text, <code>x.csv</code></dd></div></dl><figure>away</figure>"
        "<details><summary>More</summary></details>"
        "<div class=cmd><span>Again</span><pre><code>do --it</code></pre></div>"
    )
    assert markdown_of(html).splitlines() == [
        "# A & B",
        "",
        "How it reads.",
        "",
        "**Not yet**",
        "",
        "- **Why?** Because **3**, so.",
        "- Return 1 % 0 to 2",
        "",
        "| k | v |",
        "|---|---:|",
        r"| a\|b | 1 ± 2 |",
        "",
        "- **Name** text, x.csv",
        "",
        "**More**",
        "",
        "Again",
        "",
        "    do --it",
    ]


def test_every_heading_and_every_cell_of_the_page_is_in_the_text(page, text):
    flat = " ".join(text.replace("**", "").split())
    body = re.sub(r"<(figure|nav|svg|head|script).*?</\1>", "", page, flags=re.DOTALL)
    headings = re.findall(r"<h2>([^<]+)</h2>", body)
    assert len(headings) >= 6
    for heading in headings:
        assert heading.replace("\u00a0", " ") in flat
    values = re.findall(r'data-metric="[^"]+">([^<]+)<', body)
    assert len(values) > 50
    for value in values:
        assert value.replace("\u00a0", " ") in flat


def test_there_is_no_markup_and_every_table_is_even(text):
    assert not re.search(r"</?[a-z]+[ >]", text)
    assert "\u00a0" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 30
    for before, after in pairwise(rows):
        if after.startswith("|---"):
            assert len(re.findall(r"(?<!\\)\|", before)) == after.count("|")


def test_the_verdict_and_its_checks_stand_in_it(text):
    report = example_report(800)
    assert f"**{report['verdict']['stamp']}**" in text
    for row in report["verdict"]["sentences"]:
        assert f"- **{row['question']}** " in text
    assert "- not met: " in text
