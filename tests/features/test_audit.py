"""The audit finds every planted look-ahead, names its column, cut and row, and accuses nothing causal."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from market_context import context_of, quoted_bars

from regimegym.common.errors import DataError
from regimegym.features.alignment import close_times
from regimegym.features.audit import Column, audit_look_ahead, audit_providers, choose_cuts
from regimegym.features.context import Context, feature_inputs
from regimegym.features.external import ExternalSeries
from regimegym.features.noise import context_with_other_future, with_other_future
from regimegym.features.order_book import BookSnapshots, Trades
from regimegym.features.regimes import classify_regimes
from regimegym.features.sets import FEATURES
from regimegym.features.synthetic.worlds import regime_switching_market
from regimegym.features.validation import find_broken_rules

N = 700
BARS = regime_switching_market(N, 3).bars


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def frame(bars) -> pd.DataFrame:
    index = pd.DatetimeIndex(bars.timestamps.view("datetime64[ns]"))
    return pd.DataFrame({"high": bars.high, "low": bars.low, "close": bars.close, "volume": bars.volume}, index=index)


def next_close(bars):
    return frame(bars).close.shift(-1)


def centred_mean(bars):
    return frame(bars).close.rolling(11, center=True).mean()


def whole_sample_z_score(bars):
    close = frame(bars).close
    return (close - close.mean()) / close.std()


def back_filled_mean(bars):
    return frame(bars).close.rolling(20).mean().bfill()


def labelled_left(bars):
    """T001: bins labelled at their left edge, copied onto every row inside them."""
    close = frame(bars).close
    return close.resample("4h", label="left", closed="left").last().reindex(close.index, method="ffill")


def interpolated(bars):
    close = frame(bars).close.where(np.arange(len(bars)) % 7 == 0)
    return close.interpolate()


def rank_in_the_sample(bars):
    return frame(bars).volume.rank(pct=True)


LEAKS = {
    next_close: 1,
    centred_mean: 5,
    whole_sample_z_score: 100,
    back_filled_mean: 1,
    labelled_left: 2,
    interpolated: 2,
    rank_in_the_sample: 50,
}


def causal_columns(bars):
    """Everything a causal function may do, NaN and bad windows included."""
    f = frame(bars)
    return {
        "mean": f.close.rolling(20).mean(),
        "ewm": f.close.ewm(span=30).mean(),
        "expanding": (f.close - f.close.expanding().mean()) / f.close.expanding().std(),
        "cumulative": np.cumsum(f.volume.to_numpy()),
        "integer": (f.close.diff() > 0).astype(int),
        "flag": (f.close > f.close.shift(3)),
        "windows": np.lib.stride_tricks.sliding_window_view(np.r_[np.zeros(4), bars.close], 5),
    }


CUTS = choose_cuts(N, 25, 40, np.random.default_rng(1))


@pytest.mark.parametrize(("leak", "reach"), LEAKS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_leak_is_found_and_named(leak, reach):
    report = audit_look_ahead(leak, BARS, CUTS, generator())
    assert not report.is_clean
    (found,) = report.leaks
    assert found.column == leak.__name__
    assert 0 <= found.first_row <= found.first_cut
    assert found.change > 0
    assert found.reach >= reach


def test_the_next_bars_close_is_seen_at_every_cut_and_one_bar_ahead_only():
    (found,) = audit_look_ahead(next_close, BARS, CUTS, generator()).leaks
    assert (found.first_cut, found.first_row, found.reach, found.n_cuts) == (CUTS[0], CUTS[0], 1, len(CUTS))


def test_a_centred_mean_is_seen_as_far_ahead_as_it_looks():
    (found,) = audit_look_ahead(centred_mean, BARS, CUTS, generator()).leaks
    assert found.reach == 5
    assert found.first_row == found.first_cut - 4 or found.first_row == 5


def test_back_filling_shows_only_at_cuts_within_the_filled_rows():
    (found,) = audit_look_ahead(back_filled_mean, BARS, CUTS, generator()).leaks
    assert found.n_cuts == sum(cut < 19 for cut in CUTS)
    assert audit_look_ahead(back_filled_mean, BARS, [19, 300], generator()).is_clean


def test_causal_columns_are_not_accused():
    report = audit_look_ahead(causal_columns, BARS, CUTS, generator())
    assert report.is_clean
    assert report.columns == ("mean", "ewm", "expanding", "cumulative", "integer", "flag", "windows")
    assert report.cuts == tuple(CUTS)


def test_a_value_that_comes_or_goes_counts_as_a_change():
    def last_row_unknown(bars):
        out = np.ones(len(bars))
        out[:-1][bars.close[1:] > bars.close[:-1]] = np.nan
        return out

    (found,) = audit_look_ahead(last_row_unknown, BARS, CUTS, generator()).leaks
    assert found.change == np.inf


def test_only_the_leaking_column_of_several_is_accused():
    report = audit_look_ahead(
        lambda bars: {"fine": bars.close, "bad": np.roll(bars.close, -3)}, BARS, CUTS, generator()
    )
    assert [leak.column for leak in report.leaks] == ["bad"]
    assert report.leaks[0].reach == 3


def test_a_fitted_quantity_is_judged_from_its_last_training_row_on():
    def fitted(bars, context):
        mean = bars.close[:400].mean()
        return {"mean": Column(np.array([mean]), np.array([399]), first_cut=399)}

    def fitted_on_all(bars, context):
        return {"mean": Column(np.array([bars.close.mean()]), np.array([399]), first_cut=399)}

    for provider, is_clean in ((fitted, True), (fitted_on_all, False)):
        assert audit_providers([provider], BARS, Context(), CUTS, generator()).is_clean is is_clean


def test_a_smoothing_hmm_is_accused_and_its_filter_is_not():
    """T016: `predict_proba` smooths over the whole array."""
    from hmmlearn.hmm import GaussianHMM

    model = GaussianHMM(2, "diag")
    model.startprob_, model.transmat_ = np.array([0.5, 0.5]), np.array([[0.95, 0.05], [0.05, 0.95]])
    model.means_, model.covars_ = np.array([[0.001], [-0.001]]), np.array([[2e-5], [4e-5]])

    def returns(bars):
        return np.diff(np.log(bars.close), prepend=np.log(bars.close[0]))[:, None]

    def smoothed(bars):
        return model.predict_proba(returns(bars))

    def filtered(bars):
        likelihood = np.exp(model._compute_log_likelihood(returns(bars)))
        out, state = np.empty((len(bars), 2)), model.startprob_
        for t, now in enumerate(likelihood):
            state = (state if t == 0 else state @ model.transmat_) * now
            out[t] = state = np.full(2, 0.5) if state.sum() == 0 else state / state.sum()
        return out

    cuts = CUTS[::4]
    assert [leak.column for leak in audit_look_ahead(smoothed, BARS, cuts, generator()).leaks] == ["smoothed"]
    assert audit_look_ahead(filtered, BARS, cuts, generator()).is_clean


@pytest.mark.parametrize("cut", [0, 3, 350, N - 2])
def test_the_other_future_is_valid_and_leaves_the_past_alone(cut):
    spread = np.full(N, 0.01)
    bars = replace(BARS, spread_close=spread, funding_rate=np.zeros(N))
    noisy = with_other_future(bars, cut, generator(cut))
    names = ("open", "high", "low", "close", "volume", "spread_close", "funding_rate")
    columns = {"timestamp": noisy.timestamps} | {name: getattr(noisy, name) for name in names}
    assert find_broken_rules(columns) == []
    for name in ("timestamps", *names):
        np.testing.assert_array_equal(getattr(noisy, name)[: cut + 1], getattr(bars, name)[: cut + 1])
        if name != "timestamps":
            assert (getattr(noisy, name)[cut + 1 :] != getattr(bars, name)[cut + 1 :]).all()
    assert len(noisy) == N


def test_a_market_without_volume_has_none_in_another_future():
    assert (with_other_future(replace(BARS, volume=np.zeros(N)), 100, generator()).volume == 0).all()


def test_the_other_future_of_a_long_market_stays_finite():
    long = regime_switching_market(100_000, 1).bars
    noisy = with_other_future(long, 10, generator())
    assert np.isfinite(noisy.high).all()
    assert noisy.low.min() > 0


def context() -> Context:
    rng = generator(5)
    times = BARS.timestamps[0] + np.sort(rng.integers(0, 500 * BARS.timeframe_ns, 900))
    mid = 100.0 + np.cumsum(rng.normal(0, 0.01, 900))[:, None]
    steps = 0.01 * np.arange(1, 4)[None, :]
    sizes = rng.exponential(5.0, (900, 3))
    book = BookSnapshots(times, mid - steps, mid + steps, sizes, sizes[::-1])
    return Context(
        {"OTHER": regime_switching_market(N, 8).bars},
        {"sentiment": ExternalSeries("sentiment", times, rng.normal(size=900))},
        book,
        Trades(times, mid[:, 0], sizes[:, 0]),
    )


def test_what_was_known_of_the_context_stays_and_the_rest_changes():
    before, clock = context(), int(close_times(BARS)[200])
    after = context_with_other_future(before, clock, generator())
    other, new = before.others["OTHER"], after.others["OTHER"]
    n = int((close_times(other) <= clock).sum())
    np.testing.assert_array_equal(new.close[:n], other.close[:n])
    assert (new.close[n:] != other.close[n:]).all()
    known = before.series["sentiment"].published <= clock
    np.testing.assert_array_equal(after.series["sentiment"].values[known], before.series["sentiment"].values[known])
    assert (after.series["sentiment"].values[~known] != before.series["sentiment"].values[~known]).all()
    early = before.book.times < clock
    np.testing.assert_array_equal(after.book.bid[early], before.book.bid[early])
    assert (after.book.bid[~early] != before.book.bid[~early]).all()
    assert (after.book.ask > after.book.bid).all()
    np.testing.assert_array_equal(after.trades.price[early], before.trades.price[early])
    assert (after.trades.price[~early] != before.trades.price[~early]).all()
    for times in (after.book.times, after.trades.times, after.series["sentiment"].published):
        assert (np.diff(times) >= 0).all()
        assert (times[~early] > clock).all()


def test_joining_the_bar_that_is_still_open_is_found():
    """Another instrument's bar joined by its start is known only when it closes."""

    def by_start(bars, context):
        other = context.others["OTHER"]
        row = np.searchsorted(other.timestamps, bars.timestamps + bars.timeframe_ns, side="right") - 1
        return {"other": other.close[row]}

    (found,) = audit_providers([by_start], BARS, context(), CUTS, generator()).leaks
    assert found.column == "other"


def test_a_function_that_is_not_repeatable_is_refused():
    rng = generator()
    with pytest.raises(DataError, match="gives other values when it is computed a second time") as error:
        audit_look_ahead(lambda bars: rng.normal(size=len(bars)), BARS, [10], generator())
    assert error.value.name == "not-repeatable"


@pytest.mark.parametrize(
    ("compute", "cuts", "name"),
    [
        (lambda bars: bars.close[1:], [10], "wrong-length"),
        (lambda bars: np.full(len(bars), "a"), [10], "not-a-number"),
        (lambda bars: bars.close, [], "no-cuts"),
        (lambda bars: {"high" if bars.close[-1] > BARS.close[-1] else "low": bars.close}, CUTS, "other-columns"),
        (lambda bars: bars.close, [N - 1], "cut-outside"),
        (lambda bars: bars.close, [-1], "cut-outside"),
    ],
)
def test_what_cannot_be_audited_is_told(compute, cuts, name):
    with pytest.raises(DataError) as error:
        audit_look_ahead(compute, BARS, cuts, generator())
    assert error.value.name == name


def test_cuts_are_sorted_distinct_and_leave_a_future():
    cuts = choose_cuts(N, 150, 40, generator())
    assert cuts == sorted(set(cuts))
    assert 35 <= len(cuts) <= 40
    assert cuts[0] <= 2
    assert sum(cut < 150 for cut in cuts) >= 8
    assert max(cuts) <= N - 2
    assert choose_cuts(5, 100, 40, generator()) == [1, 2, 3]


def test_no_registered_feature_is_accused():
    """All of them on bars with quotes and everything beside them, whatever set holds them."""
    bars = quoted_bars(N, 6)

    def everything(bars, context):
        inputs = feature_inputs(bars, classify_regimes(bars.close), context)
        return {
            name: FEATURES.get(name).compute(inputs)
            for name in FEATURES
            if not FEATURES.get(name).out_of_proportion(bars)
        }

    report = audit_providers([everything], bars, context_of(bars), CUTS[::3], generator(2))
    assert len(report.columns) > 200
    assert report.is_clean, report.leaks
