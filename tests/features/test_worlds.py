"""Every registered world: valid bars under any settings, and what was planted lies where its truth says."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from regimegym.common.errors import ConfigError
from regimegym.common.regimes import Regime
from regimegym.features.bars import Bars
from regimegym.features.regimes import classify_regimes
from regimegym.features.sources import world
from regimegym.features.synthetic.catalogue import WORLDS, draw_world
from regimegym.features.synthetic.events import EventSettings
from regimegym.features.synthetic.stochastic import GARCHSettings
from regimegym.features.validation import find_broken_rules

EVENTS = [name for name in WORLDS if issubclass(WORLDS.get(name), EventSettings)]
SHARE = st.floats(0.0, 0.99)
NUMBERS = {
    "length": st.integers(1, 40),
    "leg": st.integers(1, 40),
    "at": st.floats(0.05, 0.5),
    "sd": st.floats(1e-6, 0.3),
    "period": st.floats(2.5, 60.0),
    "mean_stay": st.floats(1.0, 300.0),
    "rate": st.floats(0.0, 3.0),
    "drift": st.floats(0.0, 0.1),
    "size": st.floats(-3.0, -0.01) | st.floats(0.01, 3.0),
    "memory": SHARE,
    "oscillation_memory": SHARE,
    "alpha": st.floats(0.0, 0.45),
    "beta": st.floats(0.0, 0.5),
    "plateau size": st.floats(0.01, 1.0),
    "liquidity_hole size": st.floats(1.0, 50.0),
    "volatility_burst size": st.floats(1.0, 20.0),
}
OTHERS = st.floats(0.0, 0.3)  # deviations and amplitudes, log price per bar


def draw(name: str, n_bars: int = 2_000, seed: int = 0):
    return draw_world(name, n_bars, np.random.default_rng(seed))


def columns(bars: Bars) -> dict[str, np.ndarray]:
    names = ("open", "high", "low", "close", "volume")
    return {"timestamp": bars.timestamps, **{name: getattr(bars, name) for name in names}}


def any_settings(name: str):
    kind = WORLDS.get(name)
    numbers = {f.name: NUMBERS.get(f"{name} {f.name}", NUMBERS.get(f.name, OTHERS)) for f in fields(kind)}
    return st.builds(kind, **numbers)


@pytest.mark.parametrize("name", list(WORLDS))
@hypothesis_settings(max_examples=12)
@given(st.data(), st.integers(0, 2**31))
def test_every_bar_of_every_world_is_valid_under_any_settings(name, data, seed):
    n_bars = data.draw(st.integers(600 if name in EVENTS else 2, 700))
    settings = data.draw(any_settings(name))
    try:
        bars, truth = draw_world(name, n_bars, np.random.default_rng(seed), settings)
    except ConfigError as error:
        if "log prices of this world go beyond" not in str(error):
            raise
        reject()  # prices that no float64 holds are refused; too many of them would fail the test
    assert len(bars) == n_bars
    assert find_broken_rules(columns(bars)) == []
    assert bars.spread_open is None or (np.r_[bars.spread_open, bars.spread_close] > 0).all()
    arrays = [truth.regimes, truth.expected, truth.volatility, truth.centre]
    assert {len(array) for array in arrays if array is not None} <= {n_bars}
    assert truth.expected is not None
    assert np.isfinite(truth.expected).all()
    assert truth.regimes is None or np.isin(truth.regimes, (0, 1, 2, 3)).all()
    assert all((rows >= 0).all() and (rows < n_bars).all() for rows in truth.events.values())


def test_there_are_worlds_to_check():
    assert set(EVENTS) == {
        *("flash_crash", "gap", "melt_up", "whipsaw", "plateau", "slow_bleed", "liquidity_hole", "volatility_burst")
    }
    assert {"gbm", "ou", "garch", "jump_diffusion", "regime", "sine", "regime_switches"} <= set(WORLDS)


@pytest.mark.parametrize("name", list(WORLDS))
def test_moves_leave_what_was_expected_by_the_volatility_that_is_told(name):
    bars, truth = draw(name, 6_000, seed=1)
    moved = np.diff(np.log(bars.close)) - truth.expected[1:]
    told = truth.volatility[1:]
    if not told.any():
        np.testing.assert_allclose(moved, 0.0, atol=1e-12)
        return
    assert np.sqrt((moved**2).mean() / (told**2).mean()) == pytest.approx(1.0, abs=0.05)
    assert abs(moved.mean()) < 4 * told.mean() / np.sqrt(len(told))


@pytest.mark.parametrize("name", EVENTS)
def test_nothing_happens_before_the_event(name):
    """The same draws without the event, that is with it later: equal bars up to its first bar."""
    kind = WORLDS.get(name)
    early, late = (draw_world(name, 3_000, np.random.default_rng(4), kind(at=at)) for at in (0.5, 0.6))
    first = min(int(rows[0]) for rows in early.truth.events.values())
    assert first == 1_500
    for column in ("open", "close", "spread_close", "volume", "high", "low"):
        before, other = (getattr(drawn.bars, column) for drawn in (early, late))
        np.testing.assert_array_equal(before[:first], other[:first])
    differs = early.bars.close[first : first + 100] != late.bars.close[first : first + 100]
    assert differs.any()


def test_a_flash_crash_falls_by_its_size_and_wins_four_fifths_back():
    bars, truth = draw("flash_crash")
    fall, low = int(truth.events["crash"][0]), int(truth.events["recovery"][0])
    log_close = np.log(bars.close)
    assert log_close[low - 1] - log_close[fall - 1] == pytest.approx(-0.12, abs=0.08)
    assert truth.expected[fall:low].sum() == pytest.approx(-0.12)
    assert truth.expected[low:].sum() == pytest.approx(0.8 * 0.12)
    assert bars.volume[fall:low].mean() > 5 * bars.volume[:fall].mean()


def test_a_gap_lies_between_a_close_and_the_next_open():
    bars, truth = draw("gap")
    row = int(truth.events["gap"][0])
    jump = np.log(bars.open[1:] / bars.close[:-1])
    assert jump[row - 1] == pytest.approx(-0.08)
    assert np.abs(np.delete(jump, row - 1)).max() < 1e-12
    assert bars.high[row] < bars.low[row - 1]


def test_a_melt_up_rises_ever_faster_and_loses_a_third():
    _, truth = draw("melt_up")
    rise, fall = int(truth.events["rise"][0]), int(truth.events["fall"][0])
    assert (np.diff(truth.expected[rise:fall]) > 0).all()
    assert truth.expected[rise:fall].sum() == pytest.approx(0.7)
    assert truth.expected[fall:].sum() == pytest.approx(-0.7 / 3)


def test_a_liquidity_hole_has_wide_spreads_and_next_to_no_volume():
    bars, truth = draw("liquidity_hole")
    row = int(truth.events["hole"][0])
    spread = bars.spread_close / bars.close
    inside = slice(row + 10, row + 30)
    assert spread[inside] == pytest.approx(40 * 2e-4)
    assert spread[:row] == pytest.approx(2e-4)
    assert bars.volume[inside].mean() < 0.05 * bars.volume[:row].mean()


@pytest.mark.parametrize(("name", "inside", "factor"), [("plateau", 150, 0.15), ("volatility_burst", 10, 4.2)])
def test_volatility_shrinks_in_a_plateau_and_bursts(name, inside, factor):
    bars, truth = draw(name, 20_000)
    row, moves = 10_000, np.abs(np.diff(np.log(bars.close)))
    ratio = truth.volatility[row : row + inside].mean() / truth.volatility[row - 1]
    assert ratio == pytest.approx(factor, rel=0.45)
    assert moves[row : row + inside].mean() / moves[:row].mean() == pytest.approx(factor, rel=0.6)


def test_a_whipsaw_turns_after_every_leg_and_a_bleed_never():
    whipsaw, bleed = draw("whipsaw").truth, draw("slow_bleed").truth
    turns = np.flatnonzero(np.diff(np.sign(whipsaw.expected[1_000:1_400])))
    np.testing.assert_array_equal(np.diff(turns), 20)
    assert set(whipsaw.regimes) == {Regime.UPTREND, Regime.DOWNTREND, Regime.OSCILLATING}
    assert (bleed.expected[1_000:1_500] == -0.4 / 500).all()


def test_regime_switches_come_in_order_and_are_events():
    truth = draw("regime_switches").truth
    np.testing.assert_array_equal(truth.regimes[:600], np.repeat([0, 1, 2, 3], 150))
    np.testing.assert_array_equal(truth.events["switch"], np.flatnonzero(np.diff(truth.regimes)) + 1)


def test_garch_follows_its_recursion_and_has_fat_tails():
    settings = GARCHSettings(sd=0.01, alpha=0.15, beta=0.8)
    bars, truth = draw_world("garch", 40_000, np.random.default_rng(2), settings)
    returns, variance = np.diff(np.log(bars.close)), truth.volatility**2
    wanted = 0.01**2 * 0.05 + 0.15 * returns[:-1] ** 2 + 0.8 * variance[1:-1]
    np.testing.assert_allclose(variance[2:], wanted, rtol=1e-6)
    assert returns.std() == pytest.approx(0.01, rel=0.1)
    assert (returns**4).mean() / returns.var() ** 2 > 3.5


def test_jumps_are_the_bars_that_are_named():
    bars, truth = draw("jump_diffusion", 20_000)
    size = np.abs(np.diff(np.log(bars.close), prepend=np.log(100.0)))
    jumped = np.zeros(20_000, dtype=bool)
    jumped[truth.events["jump"]] = True
    assert jumped.mean() == pytest.approx(0.01, rel=0.3)
    assert size[jumped].mean() > 4 * size[~jumped].mean()


@pytest.mark.parametrize("name", ["uptrend", "downtrend", "flat", "oscillation"])
def test_a_noiseless_world_is_recognised_in_at_least_95_of_100_bars(name):
    bars, truth = draw(name)
    labels = classify_regimes(bars.close).labels[20:]
    assert (labels == truth.regimes[20:]).mean() >= 0.95


def test_the_source_names_worlds_and_their_seed():
    assert world("gap", 500, 3).fingerprint == world("gap", 500, 3).fingerprint
    assert world("gap", 500, 3).fingerprint != world("gap", 500, 4).fingerprint
    with pytest.raises(ConfigError, match="there is no world 'flash_crush'") as error:
        world("flash_crush")
    assert error.value.nearest == "flash_crash"


def test_an_event_that_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="40 bars do not hold an event of 35 bars that begins at bar 20"):
        draw("flash_crash", 40)


def test_prices_that_no_float_holds_are_refused():
    with pytest.raises(ConfigError, match="go beyond ±300"):
        draw_world("uptrend", 2_000, np.random.default_rng(0), WORLDS.get("uptrend")(drift=1.0))


def test_the_guide_names_every_world_and_its_code_runs():
    guide = (Path(__file__).resolve().parents[2] / "docs" / "worlds.md").read_text()
    assert [name for name in WORLDS if f"`{name}`" not in guide] == []
    code = guide.split("```python\n")[1].split("```")[0]
    found: dict = {"print": lambda events: found.setdefault("events", events)}
    exec(code, found)
    assert {name: rows.tolist() for name, rows in found["events"].items()} == {"crash": [1500], "recovery": [1505]}
    assert set(found["targets"]) == {-1.0, 0.0, 1.0}
