"""Bent windows of real bars: valid, noise and shapes kept, from training rows only, recognised as what they are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError, DataError
from regimegym.common.regimes import Regime
from regimegym.features.bars import Bars
from regimegym.features.loading import load_bars
from regimegym.features.regimes import classify_regimes
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.bootstrap import block_bootstrap, block_rows
from regimegym.features.synthetic.catalogue import draw_world
from regimegym.features.synthetic.stochastic import GARCHSettings
from regimegym.features.synthetic.tilt import (
    LEAD_IN,
    bend,
    synthetic_downtrend,
    synthetic_oscillation,
    synthetic_plateau,
    synthetic_uptrend,
)
from regimegym.features.validation import find_broken_rules

SOURCE = draw_world("gap", 3_000, np.random.default_rng(8)).bars  # volatile, with gaps and quoted spreads
TRAIN = RowRange(100, 2_000)
GENERATORS = {
    Regime.UPTREND: synthetic_uptrend,
    Regime.DOWNTREND: synthetic_downtrend,
    Regime.PLATEAU: synthetic_plateau,
    Regime.OSCILLATING: synthetic_oscillation,
}
EVERY = pytest.mark.parametrize("kind", list(GENERATORS), ids=lambda kind: kind.name)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def columns(bars: Bars) -> dict[str, np.ndarray]:
    names = ("open", "high", "low", "close", "volume")
    return {"timestamp": bars.timestamps, **{name: getattr(bars, name) for name in names}}


def returns(bars: Bars, first_row: int) -> np.ndarray:
    return np.diff(np.log(bars.close))[first_row - 1 :]


@hypothesis_settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 200), st.floats(-0.05, 0.05), st.floats(0.05, 2.0), st.floats(0.0, 1.0))
def test_bent_bars_are_valid_under_any_bend(seed, first_row, drift, scale, memory):
    source = draw_world("regime", 300, generator(seed)).bars
    bent = bend(source, first_row, drift=drift, scale=scale, memory=memory)
    assert find_broken_rules(columns(bent)) == []
    np.testing.assert_array_equal(bent.close[:first_row], source.close[:first_row])


@EVERY
def test_episodes_have_their_own_ids_and_stay_apart(kind):
    """T036: a list, not one frame of overlapping copies; each is in order by itself."""
    episodes = GENERATORS[kind](SOURCE, TRAIN, generator(), num_samples=1_000, window=100)
    assert len(episodes) == 10
    assert len({episode.id for episode in episodes}) == 10
    for episode in episodes:
        assert episode.kind == kind
        assert episode.bars.symbol == episode.id
        assert len(episode.bars) == LEAD_IN + 100
        assert find_broken_rules(columns(episode.bars)) == []
        here = slice(episode.source_row - LEAD_IN, episode.source_row + 100)
        np.testing.assert_array_equal(episode.bars.timestamps, SOURCE.timestamps[here])
        np.testing.assert_array_equal(episode.bars.close[:LEAD_IN], SOURCE.close[here][:LEAD_IN])


@pytest.mark.parametrize(("kind", "sign"), [(Regime.UPTREND, 1), (Regime.DOWNTREND, -1)])
def test_a_tilt_makes_the_trend_and_keeps_the_noise_and_the_shape_of_bars(kind, sign):
    """T031, T033, T034: judged by the sum of log returns; volatility and bar ratios are the source's."""
    episodes = GENERATORS[kind](SOURCE, TRAIN, generator(1), num_samples=2_000, strengthening=1.1)
    assert len(episodes) == 20
    for episode in episodes:
        bars, first = episode.bars, episode.first_row
        source = SOURCE.close[episode.source_row - 1 : episode.source_row + 100]
        old = np.diff(np.log(source))
        new = returns(bars, first)
        np.testing.assert_allclose(new - old, (new - old)[0], atol=1e-12)
        assert new.std() == pytest.approx(old.std())
        wanted = 1.1 * max(abs(old.sum()), 3.0 * old.std() * 10.0)
        assert new.sum() == pytest.approx(sign * wanted)
        rows = slice(episode.source_row, episode.source_row + 100)
        for name in ("open", "high", "low", "spread_close"):
            ratio = getattr(SOURCE, name)[rows] / SOURCE.close[rows]
            np.testing.assert_allclose(getattr(bars, name)[first:] / bars.close[first:], ratio, rtol=1e-12)


def test_a_path_whose_mean_return_misleads_is_judged_by_its_log_return():
    """T034: −50 % and +100 % in turn: +25 % on average, nothing in the end, and then −20 %."""
    close = np.exp(np.cumsum(np.r_[np.full(LEAD_IN, 1e-3), np.tile([np.log(0.5), np.log(2.0)], 50), np.log(0.8)]))
    bars = replace(
        SOURCE, **{name: getattr(SOURCE, name)[: len(close)] for name in columns(SOURCE) if name == "volume"},
        timestamps=SOURCE.timestamps[: len(close)], open=close, high=close, low=close, close=close,
        spread_open=None, spread_close=None,
    )  # fmt: skip
    (episode,) = synthetic_uptrend(bars, RowRange(0, len(close)), generator(), num_samples=101, window=101)
    assert (np.diff(close)[LEAD_IN:] / close[LEAD_IN:-1]).mean() > 0.2
    assert returns(episode.bars, LEAD_IN).sum() > 0


@EVERY
def test_windows_begin_anywhere_they_fit_and_the_last_place_occurs(kind):
    """T035: a window as long as there are rows is one place; with two places both are used."""
    only = GENERATORS[kind](SOURCE, RowRange(50, 50 + LEAD_IN + 80), generator(), num_samples=80, window=80)
    assert [episode.source_row for episode in only] == [50 + LEAD_IN]
    both = GENERATORS[kind](SOURCE, RowRange(50, 51 + LEAD_IN + 80), generator(), num_samples=1_600, window=80)
    assert {episode.source_row for episode in both} == {50 + LEAD_IN, 51 + LEAD_IN}
    with pytest.raises(DataError, match="280 training rows do not hold a window of 81 bars"):
        GENERATORS[kind](SOURCE, RowRange(0, LEAD_IN + 80), generator(), window=81)


@EVERY
def test_nothing_outside_the_training_rows_reaches_a_sample(kind):
    """T018: other prices before and after them leave every episode as it was."""
    noise = np.exp(generator(5).normal(0.0, 0.3, len(SOURCE)))
    noise[TRAIN.start : TRAIN.stop] = 1.0
    prices = {name: getattr(SOURCE, name) * noise for name in ("open", "high", "low", "close")}
    ours, other = (GENERATORS[kind](bars, TRAIN, generator(2)) for bars in (SOURCE, replace(SOURCE, **prices)))
    assert [episode.bars.fingerprint for episode in ours] == [episode.bars.fingerprint for episode in other]
    ours, other = (block_bootstrap(bars, TRAIN, generator(2)) for bars in (SOURCE, replace(SOURCE, **prices)))
    assert ours.bars.fingerprint == other.bars.fingerprint


def test_a_plateau_is_a_fifth_as_volatile_within_its_noise_and_is_labelled_plateau():
    """T037, T038, FE12: no iid noise about a level; the detector sees a plateau once its window is full."""
    source = draw_world("garch", 6_000, generator(3)).bars
    labels, ratios, memory = [], [], []
    for episode in synthetic_plateau(source, RowRange(0, 6_000), generator(4), num_samples=5_000):
        own = np.diff(np.log(source.close[episode.source_row - 1 : episode.source_row + 100]))
        new = returns(episode.bars, episode.first_row)
        ratios.append(new.std() / own.std())
        memory.append(np.corrcoef(new[1:], new[:-1])[0, 1])
        labels.append(classify_regimes(episode.bars.close).labels[episode.first_row + 20 :])
    assert np.mean(np.concatenate(labels) == Regime.PLATEAU) > 0.9
    assert 0.17 < np.mean(ratios) < 0.24
    assert -0.2 < np.mean(memory) < 0.0  # iid noise about a level has −0.5
    quiet = synthetic_plateau(source, RowRange(0, 6_000), generator(4), noise=1e-4)[0]
    assert returns(quiet.bars, quiet.first_row).std() < 1.1e-4
    high_low = np.log(quiet.bars.high / quiet.bars.low)
    assert high_low[quiet.first_row :].mean() < 0.05 * high_low[: quiet.first_row].mean()


@pytest.mark.parametrize(
    ("kind", "least"), [(Regime.OSCILLATING, 0.9), (Regime.UPTREND, 0.35), (Regime.DOWNTREND, 0.35)]
)
def test_bent_real_prices_are_labelled_as_what_they_were_made_for(kind, least, real_data):
    """A trend of three standard deviations over 100 bars shows in windows of 20 about every other bar."""
    bars = load_bars(real_data("SPY_lean_1d.parquet"))
    labels = [
        classify_regimes(episode.bars.close).labels[episode.first_row + 20 :]
        for episode in GENERATORS[kind](bars, RowRange(0, 4_000), generator(), num_samples=4_000)
    ]
    shares = np.bincount(np.concatenate(labels), minlength=4) / (40 * 80)
    assert shares[kind] > least
    opposite = {Regime.UPTREND: Regime.DOWNTREND, Regime.DOWNTREND: Regime.UPTREND}.get(kind, Regime.PLATEAU)
    assert shares[opposite] < 0.1


def test_the_volume_keeps_its_value_in_money():
    """T040."""
    (episode, *_) = synthetic_uptrend(SOURCE, TRAIN, generator())
    rows = slice(episode.source_row, episode.source_row + 100)
    np.testing.assert_allclose(
        (episode.bars.volume * episode.bars.close)[episode.first_row :], (SOURCE.volume * SOURCE.close)[rows]
    )


@given(st.integers(1, 400), st.integers(1, 1_200), st.floats(1.0, 60.0), st.integers(0, 1_000))
def test_blocks_are_contiguous_and_the_rows_exactly_as_many_as_asked(n_rows, n_samples, block_size, seed):
    """T041: 1,005 asked gives 1,005, also with fewer rows than a block, also for a series of one dimension."""
    rows, begins = block_rows(n_rows, n_samples, block_size, generator(seed))
    assert rows.shape == begins.shape == (n_samples,)
    assert begins[0]
    inside = np.flatnonzero(~begins)
    np.testing.assert_array_equal(rows[inside], rows[inside - 1] + 1)
    assert ((rows >= 0) & (rows < n_rows)).all()


def test_blocks_have_their_mean_length_and_every_row_the_same_chance():
    rows, begins = block_rows(50, 100_000, 10.0, generator())
    wraps = np.r_[False, (np.diff(rows) == -49)]
    assert 100_000 / (begins & ~wraps).sum() == pytest.approx(10.0, rel=0.05)
    assert np.bincount(rows).std() / 2_000 < 0.1


def test_a_bootstrap_has_the_moves_of_its_rows_and_none_at_a_seam():
    made, rows, _ = block_bootstrap(SOURCE, TRAIN, generator(), n_samples=1_005)
    assert len(made) == 1_005
    assert find_broken_rules(columns(made)) == []
    before = np.r_[SOURCE.close[TRAIN.start], made.close[:-1]]
    for name in ("open", "high", "low", "close"):
        wanted = getattr(SOURCE, name)[rows] / SOURCE.close[rows - 1]
        np.testing.assert_allclose(getattr(made, name) / before, wanted, rtol=1e-9)
    np.testing.assert_array_equal(made.volume, SOURCE.volume[rows])
    assert (rows > TRAIN.start).all()
    assert (rows < TRAIN.stop).all()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: synthetic_uptrend(SOURCE, TRAIN, generator(), strengthening=0.0), ConfigError, "'strengthening'"),
        (lambda: synthetic_plateau(SOURCE, TRAIN, generator(), band_sd=1.5), ConfigError, r"'band_sd' must be in \(0"),
        (lambda: synthetic_plateau(SOURCE, TRAIN, generator(), window=1), ConfigError, "'window' must be a whole"),
        (lambda: block_bootstrap(SOURCE, TRAIN, generator(), block_size=0.5), ConfigError, "'block_size' must be ≥ 1"),
        (lambda: block_bootstrap(SOURCE, RowRange(3, 4), generator()), DataError, "2 training rows or more, got 1"),
        (
            lambda: synthetic_oscillation(draw_world("flat", 500, generator()).bars, RowRange(0, 500), generator()),
            DataError,
            "do not move in rows",
        ),
    ],
)
def test_what_cannot_be_bent_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_bootstrap_keeps_moments_and_the_clustering_within_blocks():
    """T042's gate: deviation, tails and the memory of |r| at lags shorter than a block; none of the sign."""
    source = draw_world("garch", 8_000, generator(9), GARCHSettings(alpha=0.15, beta=0.8)).bars
    made = block_bootstrap(source, RowRange(0, 8_000), generator(1), n_samples=20_000, block_size=50).bars
    old, new = (np.diff(np.log(bars.close)) for bars in (source, made))
    assert new.std() == pytest.approx(old.std(), rel=0.1)
    assert np.quantile(np.abs(new), 0.99) == pytest.approx(np.quantile(np.abs(old), 0.99), rel=0.15)

    def memory(r: np.ndarray, lag: int) -> float:
        return float(np.corrcoef(r[lag:], r[:-lag])[0, 1])

    for lag in (1, 5):
        assert memory(np.abs(new), lag) == pytest.approx(memory(np.abs(old), lag), abs=0.06)
        assert abs(memory(new, lag)) < 0.05
    assert memory(np.abs(new), 5) > 0.1
