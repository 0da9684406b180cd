"""External series: an item counts from its publication, decays as stated, and nothing shows before it."""

import numpy as np
import pytest

from regimegym.features import alternative
from regimegym.features.external import ExternalSeries

HOUR = 3_600_000_000_000
OPEN = np.arange(20) * HOUR
CLOCK = OPEN + HOUR


def series(times, values) -> ExternalSeries:
    return ExternalSeries("s", np.array(times, dtype=np.int64), np.array(values, dtype=np.float64))


def test_expanding_scores_equal_a_recomputation_at_every_item():
    values = np.random.default_rng(0).normal(3.0, 2.0, 60)
    found = alternative.expanding_z_score(values)
    assert (found[:9] == 0).all()
    for n in range(9, 60):
        part = values[: n + 1]
        assert found[n] == pytest.approx((values[n] - part.mean()) / part.std(), rel=1e-10)
    assert (alternative.expanding_z_score(np.full(30, 0.1)) == 0).all()


def test_sentiment_counts_from_the_bar_that_closes_at_its_publication():
    values = np.r_[np.tile([0.0, 1.0], 6), 50.0]
    times = np.r_[np.full(12, -HOUR), 5 * HOUR]
    found = alternative.sentiment_on_bars(series(times, values), CLOCK, 3 * HOUR)
    scores = alternative.expanding_z_score(values)
    assert (found[:2] == scores[11]).all()
    assert (found[2:4] == 0).all()  # older than three hours
    assert (found[4:8] == scores[12]).all()  # published at 05:00, known to the bar that closes then
    assert (found[8:] == 0).all()
    assert (alternative.sentiment_on_bars(series([], []), CLOCK, HOUR) == 0).all()


def test_a_planted_event_shows_at_its_bar_and_halves_every_half_life():
    found = alternative.decayed_impact(np.array([4 * HOUR + 1]), np.array([8.0]), CLOCK, 2.0 * HOUR)
    assert (found[:4] == 0).all()
    assert found[4] == pytest.approx(8.0 * 2 ** -((HOUR - 1) / (2 * HOUR)))
    np.testing.assert_allclose(found[6:] / found[4:-2], 0.5)


def test_impact_equals_the_sum_over_all_items():
    rng = np.random.default_rng(1)
    times, values = np.sort(rng.integers(0, 20 * HOUR, 50)), rng.normal(size=50)
    found = alternative.decayed_impact(times, values, CLOCK, 1.5 * HOUR)
    for t, now in enumerate(CLOCK):
        known = times <= now
        expected = (values[known] * 2.0 ** (-(now - times[known]) / (1.5 * HOUR))).sum()
        assert found[t] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_mentions_belong_to_the_bar_by_whose_close_they_are_known():
    times = [0, 1, HOUR, HOUR + 1, 3 * HOUR, 19 * HOUR + 7]
    found = alternative.mentions_on_bars(series(times, [1, 2, 4, 8, 16, 32]), OPEN, CLOCK)
    np.testing.assert_array_equal(found[:3], [7.0, 8.0, 16.0])
    assert found[19] == 32
    assert found.sum() == 63


def test_mentions_in_a_gap_belong_to_the_bar_after_it():
    opens = np.array([0, 10]) * HOUR
    found = alternative.mentions_on_bars(series([5 * HOUR], [3]), opens, opens + HOUR)
    np.testing.assert_array_equal(found, [0.0, 3.0])


def test_a_burst_stands_out_and_a_steady_stream_does_not():
    rng = np.random.default_rng(2)
    counts = rng.poisson(9.0, 50_000).astype(float)
    score = alternative.mention_burst(counts, 48)
    assert np.isnan(score[:48]).all()
    assert score[48:].std() == pytest.approx(1.0, abs=0.06)
    assert (score[48:] > 4).mean() < 5e-4
    counts[300] = 60.0
    burst = alternative.mention_burst(counts, 48)
    assert burst[300] > 8
    np.testing.assert_array_equal(burst[48:300], score[48:300])


def test_no_mentions_at_all_are_no_burst():
    assert (alternative.mention_burst(np.zeros(100), 24)[24:] == 0).all()
