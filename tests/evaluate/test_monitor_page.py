"""The page of a model at work says what is wrong, draws every look, and loads nothing."""

import re

import pytest
from page_examples import health

from regimegym.evaluate.report.monitor_page import render_health, trend_chart


def test_a_healthy_model_is_called_so_and_alerts_are_told_in_full():
    text = render_health(health())
    assert '<div class="stamp">Healthy</div>' in text
    assert "runs/&lt;one&gt;" in text
    assert "1 of 2 features drifted" in text
    alert = {"key": "sharpe_ratio", "reason": "worse", "text": "sharpe_ratio is 0.1, worse than <0.2>"}
    ill = render_health(health(alerts=[alert]))
    assert '<div class="stamp">1 alert</div>' in ill
    assert "worse than &lt;0.2&gt;" in ill
    assert "Healthy" not in ill
    drifted = [{"key": f"feature {name}", "reason": "drift", "text": f"{name}: PSI 0.4"} for name in ("rsi", "slope")]
    assert "2 features drifted: rsi, slope." in render_health(health(alerts=drifted))


def test_the_page_loads_nothing():
    text = render_health(health())
    assert "default-src 'none'" in text
    assert not re.search(r"<(link|img|iframe|object)|src=|https?://", text)


@pytest.mark.parametrize("n", [1, 2, 12])
def test_every_look_is_a_point_and_a_missing_value_breaks_the_line(n):
    content = health(n)
    svg = trend_chart(content["metrics"][0], content["looks"])
    drawn = re.findall(r'<path d="([^"]+)"', svg)
    assert len(drawn) == 3  # found, expected, limit
    assert [len(re.findall("[ML]", path)) for path in drawn] == [n, n, n]
    broken = re.findall(r'<path d="([^"]+)"', trend_chart(content["metrics"][1], content["looks"]))[-1]
    assert len(re.findall("[ML]", broken)) == n - (n > 1)
    assert broken.count("M") == (2 if n > 2 else 1)


def test_a_figure_that_was_never_known_has_no_chart():
    content = health(2)
    one = content["metrics"][0] | {"key": "win_rate"}
    assert "<svg" not in trend_chart(one, content["looks"])


def test_higher_values_stand_higher():
    content = health(2)
    path = re.findall(r'<path d="([^"]+)"', trend_chart(content["metrics"][0], content["looks"]))[-1]
    first, last = (float(part.split()[1]) for part in re.split("[ML]", path)[1:])
    assert first < last  # 1.0 above 0.8: a smaller y
