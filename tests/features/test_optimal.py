"""Best policies of worlds: equal to brute force, to a slow filter, causal, and not to be bettered by neighbours."""

from itertools import product

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.features.bars import Bars
from regimegym.features.synthetic.bars import START_PRICE
from regimegym.features.synthetic.catalogue import draw_world
from regimegym.features.synthetic.learning import OUSettings, RegimeSwitchSettings, SineSettings
from regimegym.features.synthetic.optimal import (
    GRID,
    RUNGS,
    bar_gains,
    filtered_regime_values,
    follow,
    optimal_targets,
    ou_values,
    scheduled_values,
    sine_values,
    solve_regimes,
    told_regime_values,
)
from regimegym.features.synthetic.world import Truth, World

COST = 0.001
REGIME = RegimeSwitchSettings()


def draw(name: str, n_bars: int = 3_000, seed: int = 0) -> World:
    return draw_world(name, n_bars, np.random.default_rng(seed))


def cut(world: World, stop: int) -> World:
    """The first bars of a world, as if nothing had come after them."""
    arrays = {k: v[:stop] for k, v in vars(world.bars).items() if isinstance(v, np.ndarray)}
    bars = Bars(**{**{k: v for k, v in vars(world.bars).items() if not isinstance(v, np.ndarray)}, **arrays})
    truth = Truth(*(a if a is None else a[:stop] for a in (world.truth.regimes, world.truth.expected)))
    centre = None if world.truth.centre is None else world.truth.centre[:stop]
    return World(bars, Truth(truth.regimes, truth.expected, None, centre))


def net(world: World, targets: np.ndarray, cost: float = COST) -> float:
    """Σ log growth after costs of weights decided at each close, written out."""
    gain = np.expm1(np.diff(np.log(world.bars.close)))
    growth = np.log1p(targets[:-1] * gain).sum()
    drifted = targets[:-1] * (1.0 + gain) / (1.0 + targets[:-1] * gain)
    changes = np.abs(targets - np.concatenate([[0.0], drifted]))[:-1]
    return float(growth - cost * changes.sum())


def test_the_schedule_is_traded_as_by_brute_force():
    rng = np.random.default_rng(3)
    for _ in range(5):
        drift, sd = rng.normal(0.0, 0.002, 7), rng.uniform(0.0, 0.02, 7)
        gains = bar_gains(drift, sd, COST)

        def worth(path, gains=gains):
            held = gains[np.arange(1, 7), path].sum()
            return held - COST * np.abs(np.diff(RUNGS[list(path)], prepend=0.0)).sum()

        best = max(product(range(3), repeat=6), key=worth)
        values = scheduled_values(Truth(expected=drift, volatility=sd, is_scheduled=True), COST)
        found = np.searchsorted(RUNGS, follow(values, COST)[:6])
        assert worth(tuple(found)) == pytest.approx(worth(best), abs=1e-12)


def test_gains_are_the_expected_log_growth_of_a_bar():
    returns = np.random.default_rng(0).normal(0.002, 0.01, 2_000_000)
    gains = bar_gains(np.array([0.002]), np.array([0.01]), 0.0)[0]
    wanted = [np.log1p(weight * np.expm1(returns)).mean() for weight in RUNGS]
    np.testing.assert_allclose(gains, wanted, atol=3e-5)


def slow_filter(closes: np.ndarray, solved) -> np.ndarray:
    """Mean of U over the belief at the last close: hypotheses in a dict, every bar from Bayes' rule."""
    sds = {"up": 0.004, "down": 0.004, "plateau": 0.0015}
    means, leave, before = {"up": 0.001, "down": -0.001, "plateau": 0.0}, 1 / 120, 0.0
    belief = {"up": 0.25, "down": 0.25, "plateau": 0.25, ("osc", 0.0): 0.25}
    for y in closes:
        kinds = {"up", "down", "plateau"}
        oscillating = sum(p for key, p in belief.items() if key not in kinds)
        then = {key: (1 - leave) * p for key, p in belief.items()}
        for kind in kinds:
            then[kind] += leave / 3 * (1 - belief[kind])
        begun = ("osc", before)
        then[begun] = then.get(begun, 0.0) + leave / 3 * (1 - oscillating)
        for key in then:
            mean, sd = (means[key], sds[key]) if key in kinds else (-0.15 * (before - key[1]), 0.006)
            then[key] *= np.exp(-(((y - before - mean) / sd) ** 2) / 2) / sd
        total = sum(then.values())
        belief, before = {key: p / total for key, p in then.items()}, y
    out = np.zeros(3)
    for key, p in belief.items():
        if key in ("up", "down", "plateau"):
            out += p * solved.trends[("up", "down", "plateau").index(key)]
        else:
            out += p * np.array([np.interp((before - key[1]) / solved.unit, GRID, u) for u in solved.gaps.T])
    return out


def test_the_filter_is_bayes_rule():
    world, solved = draw("regime", 300), solve_regimes(REGIME, COST)
    values = filtered_regime_values(world, REGIME, COST)
    log_close = np.log(world.bars.close / START_PRICE)
    for stop in (1, 2, 50, 300):
        np.testing.assert_allclose(values[stop - 1], slow_filter(log_close[:stop], solved), atol=1e-7)


@pytest.mark.parametrize(
    "values",
    [
        lambda world: filtered_regime_values(world, REGIME, COST),
        lambda world: told_regime_values(world, REGIME, COST),
    ],
    ids=["filtered", "told"],
)
def test_a_policy_of_the_regime_world_sees_no_future(values):
    world = draw("regime", 800)
    whole = values(world)
    for stop in (100, 411, 799):
        np.testing.assert_array_equal(values(cut(world, stop)), whole[:stop])


def test_a_policy_of_the_ou_world_sees_no_future():
    world = draw("ou", 800)
    np.testing.assert_array_equal(
        ou_values(cut(world, 500), OUSettings(), COST), ou_values(world, OUSettings(), COST)[:500]
    )


def mean_net(world: World, targets: np.ndarray) -> float:
    """As `net`, with the growth that was to be expected of each bar instead of the one that came: less noise."""
    gains = bar_gains(world.truth.expected[1:], world.truth.volatility[1:], COST)
    held = np.searchsorted(RUNGS, targets[:-1])
    return float(gains[np.arange(len(held)), held].sum() - COST * np.abs(np.diff(targets, prepend=0.0)).sum())


def threshold_rule(world: World, enter: float, leave: float) -> np.ndarray:
    """Against the deviation from |deviation| > enter on, flat from |deviation| < leave on."""
    x, targets = 0.0, []
    for gap in np.log(world.bars.close / START_PRICE):
        x = -np.sign(gap) if abs(gap) > enter else (0.0 if abs(gap) < leave else x)
        targets.append(x)
    return np.array(targets)


def test_the_best_ou_policy_beats_every_threshold_rule():
    worlds = [draw("ou", 20_000, seed) for seed in range(3)]
    best = np.mean([mean_net(world, optimal_targets("ou", world, COST)) for world in worlds])
    rules = {
        (enter, leave): np.mean([mean_net(world, threshold_rule(world, enter, leave)) for world in worlds])
        for enter in (0.004, 0.007, 0.01, 0.013, 0.02)
        for leave in (0.0, 0.003)
    }
    assert len(rules) == 10
    assert best > max(rules.values())
    assert best > 1.03 * rules[0.02, 0.0] > 0


def test_who_is_told_the_state_earns_more_than_who_infers_it_and_both_more_than_nothing():
    told, filtered = [], []
    for seed in range(3):
        world = draw("regime", 10_000, seed)
        told.append(net(world, follow(told_regime_values(world, REGIME, COST), COST)))
        filtered.append(net(world, optimal_targets("regime", world, COST)))
    assert np.mean(told) > 1.15 * np.mean(filtered) > 2.0


def test_a_sine_is_bought_in_its_trough_and_sold_on_its_crest():
    world = draw("sine", 4_000)
    targets = follow(sine_values(world, SineSettings(), COST), COST)
    rising = np.diff(world.truth.centre, append=world.truth.centre[-1]) > 0
    assert (targets[40:-1] == np.where(rising, 1.0, -1.0)[40:-1]).mean() > 0.85
    assert net(world, targets) > 0.95 * net(world, np.where(rising, 1.0, -1.0))


def test_without_costs_the_sign_of_what_is_expected_is_held():
    truth = Truth(expected=np.array([0.0, 0.01, -0.01, 0.01]), volatility=np.zeros(4), is_scheduled=True)
    np.testing.assert_array_equal(follow(scheduled_values(truth, 0.0), 0.0)[:3], [1.0, -1.0, 1.0])


@pytest.mark.parametrize("name", ["gbm", "volatility_burst", "plateau", "liquidity_hole"])
def test_where_nothing_is_expected_the_best_is_to_stay_flat(name):
    assert (optimal_targets(name, draw(name), COST) == 0).all()


def test_who_knows_the_schedule_trades_the_event():
    world = draw("flash_crash")
    targets = optimal_targets("flash_crash", world, COST)
    crash, recovery = (int(world.truth.events[part][0]) for part in ("crash", "recovery"))
    assert (targets[crash - 1 : recovery - 1] == -1).all()
    assert targets[recovery - 1] == 1
    assert (targets[: crash - 1] == 0).all()


def test_where_no_best_policy_is_known_there_is_none():
    assert optimal_targets("garch", draw("garch"), COST) is None


def test_a_state_without_noise_has_no_filter():
    with pytest.raises(ConfigError, match="'plateau_sd' must be > 0"):
        solve_regimes(RegimeSwitchSettings(plateau_sd=0.0), COST)
