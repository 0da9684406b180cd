"""House rules of every registered feature: causal, scale-free, finite, read-only towards its input."""

import logging
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from market_context import context_of, quoted_bars, rows_of

from regimegym.common.errors import ConfigError, DataError
from regimegym.features.alignment import close_times
from regimegym.features.bars import Bars
from regimegym.features.context import Context, feature_inputs
from regimegym.features.noise import context_with_other_future
from regimegym.features.pipeline import FeatureSettings, compute_features
from regimegym.features.regimes import classify_regimes
from regimegym.features.sets import DEFAULT_SET, FEATURES, Feature, FeatureInputs

N = 900
BARS = quoted_bars(N, 3)
CONTEXT = context_of(BARS)
PRICES = ("open", "high", "low", "close")
NAMES = tuple(FEATURES)


def cut(bars: Bars, stop: int) -> Bars:
    return rows_of(bars, slice(stop))


def scaled(bars: Bars, factor: float) -> Bars:
    return replace(bars, **{n: getattr(bars, n) * factor for n in (*PRICES, "spread_open", "spread_close")})


def with_noisy_future(bars: Bars, row: int) -> Bars:
    """Everything after `row` replaced by other, valid bars."""
    rng = np.random.default_rng(row)
    close = 7.0 * np.exp(rng.normal(0, 0.05, len(bars)).cumsum())
    other = {"open": close, "high": close * 1.1, "low": close / 1.1, "close": close, "volume": close * 50}
    other |= {"spread_close": close / 9, "bid_size": close, "ask_size": close[::-1]}
    keep = np.arange(len(bars)) <= row
    return replace(bars, **{n: np.where(keep, getattr(bars, n), values) for n, values in other.items()})


def inputs_of(bars: Bars) -> FeatureInputs:
    return FeatureInputs(bars, classify_regimes(bars.close))


def column(bars: Bars, name: str, context: Context = CONTEXT) -> np.ndarray:
    return FEATURES.get(name).compute(feature_inputs(bars, classify_regimes(bars.close), context))


def test_the_default_set_has_about_twenty_features():
    assert 20 <= len(DEFAULT_SET) <= 30
    assert FeatureSettings().names == DEFAULT_SET


MINUTE_NS = 60_000_000_000
LENGTHS = {"minutes": MINUTE_NS, "hours": 60 * MINUTE_NS, "days": 1_440 * MINUTE_NS}
TIMELESS = ("hour_sine", "hour_cosine", "week_sine", "week_cosine")  # prices do not move them


def length_of(name: str) -> str:
    """Bars of this length have the feature, and 900 of them reach past its warm-up."""
    found = FEATURES.get(name)
    duration = getattr(found, "minutes", 0) * MINUTE_NS or getattr(found, "duration_ns", 0)
    if duration == 0:
        return "hours"
    shortest = LENGTHS["hours"] * (4 if name.startswith("change") else 1)
    return "minutes" if duration <= shortest else "hours" if duration <= LENGTHS["days"] else "days"


def with_length(bars: Bars, length: str) -> Bars:
    steps = np.arange(len(bars)) * LENGTHS[length]
    return replace(bars, timestamps=bars.timestamps[0] + steps, timeframe_ns=LENGTHS[length])


def all_columns(bars: Bars, length: str, context: Context = CONTEXT) -> dict[str, np.ndarray]:
    """Every feature that bars of this length can have; steps are shared as in a set."""
    bars = with_length(bars, length)
    inputs = feature_inputs(bars, classify_regimes(bars.close), context)
    return {name: FEATURES.get(name).compute(inputs) for name in NAMES if length_of(name) == length}


@cache
def whole(length: str) -> dict[str, np.ndarray]:
    return all_columns(BARS, length)


@cache
def prefix(length: str, stop: int) -> dict[str, np.ndarray]:
    return all_columns(cut(BARS, stop), length)


@cache
def with_noise_after(length: str, row: int) -> dict[str, np.ndarray]:
    clock = int(close_times(with_length(BARS, length))[row])
    context = context_with_other_future(CONTEXT, clock, np.random.default_rng(row))
    return all_columns(with_noisy_future(BARS, row), length, context)


@cache
def in_unit(length: str, factor: float) -> dict[str, np.ndarray]:
    return all_columns(scaled(BARS, factor), length)


@cache
def of_market(length: str, market: str) -> dict[str, np.ndarray]:
    return all_columns({"moving": BARS, "flat": flat_bars(), "stopped": stopped_bars()}[market], length)


def warm_up_of(name: str) -> int:
    """First row with a value; regimes are known after 20 returns."""
    inputs = inputs_of(with_length(BARS, length_of(name)))
    return max(FEATURES.get(name).warm_up_on(inputs), 20)


def test_every_feature_is_among_those_that_are_checked():
    assert len(NAMES) > 300
    assert sum(len(whole(length)) for length in LENGTHS) == len(NAMES)
    assert all(warm_up_of(name) < N - 100 for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_noise_in_the_future_leaves_the_past_of_a_feature_equal(name):
    length = length_of(name)
    for row in (160, 333, 700):
        noisy, value = with_noise_after(length, row)[name], whole(length)[name]
        np.testing.assert_array_equal(noisy[: row + 1], value[: row + 1])
        assert name.startswith("probability") or name in TIMELESS or not np.array_equal(noisy[row:], value[row:])


@pytest.mark.parametrize("name", NAMES)
def test_every_prefix_gives_the_feature_of_the_whole(name):
    length = length_of(name)
    for stop in range(151, N, 41):
        np.testing.assert_array_equal(prefix(length, stop)[name], whole(length)[name][:stop])


@pytest.mark.parametrize("factor", [1e-14, 1e5])
@pytest.mark.parametrize("name", [name for name in NAMES if FEATURES.get(name).scale_free])
def test_a_feature_does_not_change_with_the_unit_of_price(name, factor):
    warm_up, length = warm_up_of(name), length_of(name)
    np.testing.assert_allclose(
        in_unit(length, factor)[name][warm_up:], whole(length)[name][warm_up:], rtol=1e-6, atol=1e-6
    )


@cache
def in_unit_of_volume(length: str, factor: float) -> dict[str, np.ndarray]:
    return all_columns(replace(BARS, volume=BARS.volume * factor), length)


@pytest.mark.parametrize("name", [name for name in NAMES if FEATURES.get(name).needs == ("volume",)])
def test_a_feature_does_not_change_with_the_unit_of_volume(name):
    warm_up, length = warm_up_of(name), length_of(name)
    for factor in (1e-6, 1e9):
        np.testing.assert_allclose(
            in_unit_of_volume(length, factor)[name][warm_up:], whole(length)[name][warm_up:], rtol=1e-6, atol=1e-9
        )


def flat_bars() -> Bars:
    flat = np.full(N, 12.3)
    return replace(BARS, **dict.fromkeys(PRICES, flat), volume=np.zeros(N))


def stopped_bars() -> Bars:
    """Trading that stops: prices move, then stand still to the end."""
    stop = np.minimum(np.arange(N), 300)
    return replace(BARS, **dict.fromkeys(PRICES, BARS.close[stop]), volume=np.where(stop < 300, BARS.volume, 0.0))


@pytest.mark.parametrize("market", ["moving", "flat", "stopped"])
@pytest.mark.parametrize("name", NAMES)
def test_a_feature_is_finite_after_its_warm_up(name, market):
    result = of_market(length_of(name), market)[name]
    assert result.shape == (N,)
    assert result.dtype == np.float64
    assert np.isfinite(result[warm_up_of(name) :]).all()


def test_a_market_without_volume_has_a_volume_feature_of_zero():
    assert (column(replace(BARS, volume=np.zeros(N)), "volume_z")[59:] == 0).all()


def test_computing_features_leaves_the_bars_as_they_were():
    before = BARS.fingerprint
    compute_features(inputs_of(BARS))
    assert BARS.fingerprint == before


def test_the_table_holds_nan_in_the_warm_up_and_numbers_after_it():
    table = compute_features(inputs_of(BARS))
    assert table.values.shape == (N, len(DEFAULT_SET))
    assert table.warm_up == 150
    assert np.isnan(table.values[:150]).all()
    assert np.isfinite(table.values[150:]).all()
    assert not table.values.flags.writeable


def test_a_short_set_has_a_short_warm_up_but_never_unknown_regimes():
    regimes = classify_regimes(BARS.close)
    table = compute_features(
        FeatureInputs(BARS, regimes), FeatureSettings(("probability_uptrend", "bollinger_position"))
    )
    assert table.warm_up == 20
    assert table.names == ("probability_uptrend", "bollinger_position")


def test_fewer_bars_than_the_warm_up_say_how_many_are_needed():
    short = cut(BARS, 150)
    with pytest.raises(DataError, match="SYNTHETIC has 150 bars and the features need 151") as error:
        compute_features(inputs_of(short))
    assert error.value.name == "too-few-bars"
    assert "'adx'" in error.value.needed


def test_the_fingerprint_follows_values_and_names():
    regimes = classify_regimes(BARS.close)
    table = compute_features(FeatureInputs(BARS, regimes))
    assert table.fingerprint == compute_features(FeatureInputs(BARS, regimes)).fingerprint
    fewer = compute_features(FeatureInputs(BARS, regimes), FeatureSettings(DEFAULT_SET[:-1]))
    other = compute_features(FeatureInputs(scaled(with_noisy_future(BARS, 800), 1.0), regimes))
    assert len({table.fingerprint, fewer.fingerprint, other.fingerprint}) == 3


@pytest.mark.parametrize(
    ("names", "text"),
    [((), "is empty"), (("rsi", "rsi"), "holds 'rsi' twice"), (("rsii",), "there is no feature 'rsii'")],
)
def test_feature_settings_that_cannot_work_are_refused(names, text):
    with pytest.raises(ConfigError, match=text):
        FeatureSettings(names)


def test_an_unknown_feature_names_the_nearest():
    with pytest.raises(ConfigError) as error:
        FeatureSettings(("stochastic_q",))
    assert error.value.nearest in ("stochastic_k", "stochastic_d")


NEEDY = ("rsi", "book_imbalance_1")


def test_a_feature_whose_input_is_missing_is_refused_by_name():
    with pytest.raises(DataError, match=r"1 of the features need: book_imbalance_1 \(book\)") as error:
        compute_features(inputs_of(BARS), FeatureSettings(NEEDY))
    files, without = error.value.help
    assert files == "name the files: 'context.book=FILE'"
    assert without == "or, in a training, do without: features.missing=omit"
    assert error.value.name == "missing-inputs"


def test_or_omitted_and_logged_where_the_set_says_so(caplog):
    with caplog.at_level(logging.INFO, logger="regimegym.features.pipeline"):
        table = compute_features(inputs_of(BARS), FeatureSettings(NEEDY, missing="omit"))
    assert table.names == ("rsi",)
    assert "1 of 2 features omitted for lack of input: book_imbalance_1 (book)" in caplog.text


def test_a_set_of_which_nothing_is_left_is_refused():
    with pytest.raises(DataError, match="lacks what 1 of the features need"):
        compute_features(inputs_of(BARS), FeatureSettings(("book_imbalance_1",), missing="omit"))


def test_features_share_what_they_have_in_common():
    calls = []
    inputs = inputs_of(BARS)
    for _ in range(2):
        assert inputs.shared("x", lambda: calls.append(1) or 7) == 7
    assert calls == [1]
    assert inputs.column("rsi") is inputs.column("rsi")


def test_an_unknown_need_is_refused():
    with pytest.raises(ConfigError, match="needs of feature 'x'"):
        Feature("x", lambda inputs: inputs.bars.close, 0, needs=("volumes",))
