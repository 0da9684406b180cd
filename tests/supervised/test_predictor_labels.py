"""Labels against slow, obvious versions; each depends on nothing after its end, and on nothing before its row."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from regimegym.common.errors import ConfigError
from regimegym.features.segments import Piece
from regimegym.features.synthetic.worlds import regime_switching_market
from regimegym.supervised.labels import STEEPEST, move_labels, trend_scanning_labels, triple_barrier_labels
from regimegym.supervised.targets import (
    Direction,
    ForwardReturn,
    Jumps,
    Moves,
    RegimeAhead,
    TrendScanning,
    TripleBarrier,
    nested_probabilities,
)

BARS = regime_switching_market(600, 2).bars
TARGETS = [
    Direction(5),
    Direction(7, threshold=0.002),
    ForwardReturn(4),
    Moves(12, (0.002, 0.005, 0.01)),
    TripleBarrier(10),
    Jumps(8, 0.004),
    RegimeAhead(3),
    TrendScanning(4, 9),
]


def disturbed(last: int):
    """BARS with other prices after row `last`."""
    factor = np.where(np.arange(len(BARS)) > last, 1.0 + np.random.default_rng(last).random(len(BARS)), 1.0)
    return replace(BARS, **{name: getattr(BARS, name) * factor for name in ("open", "high", "low", "close")})


def prices(random_seed: int, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(random_seed)
    close = np.exp(0.02 * rng.normal(size=n_rows).cumsum())
    wide = np.exp(0.04 * rng.random(size=n_rows))  # so that a bar may touch both barriers
    return close * wide, close / wide, close


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_moves_equal_the_slow_version(random_seed, horizon):
    _, _, close = prices(random_seed, 60)
    thresholds = (0.01, 0.03, 0.06)
    values, ends = move_labels(close, thresholds, horizon)
    for t in range(60 - horizon):
        rises = close[t + 1 : t + horizon + 1] / close[t] - 1
        assert values[t] == sum((rises >= threshold).any() for threshold in thresholds)
        top = np.flatnonzero(rises >= thresholds[-1])
        assert ends[t] == (t + 1 + top[0] if len(top) else t + horizon)
    assert np.isnan(values[60 - horizon :]).all()


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_barriers_equal_the_slow_version(random_seed, horizon):
    high, low, close = prices(random_seed, 60)
    above, below = np.full(60, 0.03), np.full(60, 0.02)
    above[:5] = np.nan
    values, ends = triple_barrier_labels(high, low, close, above, below, horizon)
    for t in range(5, 60 - horizon):
        expected, end = 0, t + horizon
        for k in range(t + 1, t + horizon + 1):
            if low[k] <= close[t] * 0.98:
                expected, end = -1, k
                break
            if high[k] >= close[t] * 1.03:
                expected, end = 1, k
                break
        assert (values[t], ends[t]) == (expected, end)
    assert np.isnan(values[:5]).all()


def test_a_bar_that_touches_both_barriers_is_a_loss():
    high, low, close = np.array([100.0, 110.0]), np.array([100.0, 90.0]), np.array([100.0, 100.0])
    assert triple_barrier_labels(high, low, close, np.full(2, 0.05), np.full(2, 0.05), 1).values[0] == -1.0


@given(st.integers(0, 10_000))
def test_trend_scanning_is_the_clearest_of_all_regressions(random_seed):
    _, _, close = prices(random_seed, 40)
    values, ends = trend_scanning_labels(close, 3, 10)
    for t in (0, 13, 29):
        fits = [linregress(np.arange(span + 1), np.log(close[t : t + span + 1])) for span in range(3, 11)]
        t_values = np.array([fit.slope / fit.stderr for fit in fits])
        assert values[t] == pytest.approx(t_values[np.abs(t_values).argmax()], rel=1e-6)
        assert ends[t] == t + 10  # every length was looked at, the longest too


def test_a_steady_trend_has_the_largest_t_and_a_flat_line_none():
    assert trend_scanning_labels(np.exp(0.001 * np.arange(30.0)), 3, 10).values[0] == STEEPEST
    assert trend_scanning_labels(np.exp(-0.001 * np.arange(30.0)), 3, 10).values[0] == -STEEPEST
    assert trend_scanning_labels(np.full(30, 7.0), 3, 10).values[0] == 0.0


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_label_depends_on_nothing_after_its_end(target):
    values, ends = target.of(BARS)
    known = np.flatnonzero(~np.isnan(values))
    assert len(known) > 100
    assert (ends[known] >= known).all()
    assert (ends[np.isnan(values)] == -1).all()
    for t in known[:: len(known) // 7]:
        other = target.of(disturbed(int(ends[t])))
        assert (other.values[t], other.ends[t]) == (values[t], ends[t])


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_classes_are_indices_of_their_names(target):
    values = target.of(BARS).values
    found = np.unique(values[~np.isnan(values)])
    if target.classes:
        assert set(found) <= set(range(len(target.classes)))
        assert len(found) >= 2
    else:
        assert len(found) > 10


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_no_label_looks_across_a_gap(target):
    pieces = (Piece(0, 300, 0), Piece(300, 600, 300))
    values, ends = target.over(BARS, pieces)
    for piece in pieces:
        alone = target.of(BARS.rows(piece.start, piece.stop))
        np.testing.assert_array_equal(values[piece.start : piece.stop], alone.values)
        known = ~np.isnan(alone.values)
        assert (ends[piece.start : piece.stop][known] < piece.stop).all()
        assert (ends[piece.start : piece.stop][known] >= piece.start).all()


@given(st.integers(0, 1000), st.integers(2, 6))
def test_nested_probabilities_never_rise(random_seed, n_classes):
    nested = nested_probabilities(np.random.default_rng(random_seed).dirichlet(np.ones(n_classes), 5))
    for smaller, larger in pairwise(nested.T):
        assert (larger <= smaller).all()
    assert ((nested >= 0) & (nested <= 1)).all()


def test_moves_name_their_classes_by_the_thresholds():
    assert Moves().classes == ("below_1_percent", "1_percent", "2_percent", "5_percent")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Moves(thresholds=(0.02, 0.01)), "must rise"),
        (lambda: Direction(0), "target.horizon"),
        (lambda: TrendScanning(10, 5), "≥ target.least"),
        (lambda: TripleBarrier(profit=-1.0), "target.profit"),
    ],
)
def test_targets_out_of_range_are_refused(make, what):
    with pytest.raises(ConfigError, match=what):
        make()
