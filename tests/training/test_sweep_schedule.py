"""When a search is due again, given a clock."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from regimegym.common.errors import ConfigError
from regimegym.training.sweeps.schedule import decide, last_finished, period_of, unfinished

NOW = datetime(2024, 5, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(("words", "days"), [("12h", 0.5), ("7d", 7), ("1w", 7), ("2w", 14)])
def test_periods_are_read_as_people_write_them(words, days):
    assert period_of(words) == timedelta(days=days)


@pytest.mark.parametrize("words", ["weekly", "0w", "-1d", "7"])
def test_other_words_are_refused(words):
    with pytest.raises(ConfigError, match="every"):
        period_of(words)


@pytest.mark.parametrize(("hours", "is_due"), [(None, True), (167, False), (168, True), (400, True)])
def test_a_search_is_due_once_the_period_is_over(hours, is_due):
    last = None if hours is None else NOW - timedelta(hours=hours)
    assert decide(last, timedelta(days=7), NOW).is_due is is_due


def test_the_newest_finished_sweep_counts_and_an_unfinished_one_is_found(tmp_path):
    assert last_finished(tmp_path) is None
    for name, end in (("a", "2024-05-01T00:00:00+00:00"), ("b", "2024-05-08T00:00:00+00:00"), ("c", None)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.yaml").touch()
        if end:
            (tmp_path / name / "sweep.json").write_text(json.dumps({"finished": end}))
    assert last_finished(tmp_path) == datetime(2024, 5, 8, tzinfo=UTC)
    assert unfinished(tmp_path) == tmp_path / "c"
