"""The best causal trading of a world whose law is known: what no learner can beat but by luck.

An account holds one of the weights RUNGS, re-set at every bar, and pays `cost` times the change.
With costs proportional to the change, the value of ordering rung a at close t, after the order is
paid, depends on what is known of the market alone: U_t(a). The best order from weight x is then
argmax_a [U_t(a) − cost·|a − x|]; each function here computes U_t for one kind of knowledge.

Growth is counted in expected log equity: a long bar of log return N(m, s²) earns m, a short one
−m − (m² + s²), and what it costs to hold a short at −1 while its weight drifts: 2·cost·E|r|.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from regimegym.common.checks import check_not_negative, check_positive
from regimegym.common.regimes import REGIMES, Regime
from regimegym.features.synthetic.bars import START_PRICE
from regimegym.features.synthetic.catalogue import WORLDS
from regimegym.features.synthetic.learning import OUSettings, RegimeSwitchSettings, SineSettings
from regimegym.features.synthetic.world import Truth, World, WorldSettings

RUNGS = np.array([-1.0, 0.0, 1.0])
ROUNDS = 3_000  # of relative value iteration: many mixing times of all worlds
GRID = np.linspace(-6.0, 6.0, 121)  # distances from a centre, in stationary deviations
NOISE = np.linspace(-4.0, 4.0, 81)  # standard normal, for expectations over the next shock
NOISE_WEIGHTS = np.exp(-(NOISE**2) / 2.0) / np.exp(-(NOISE**2) / 2.0).sum()
HYPOTHESES = 400  # beginnings of an oscillation that are kept in mind at once


def optimal_targets(name: str, world: World, cost: float, settings: WorldSettings | None = None) -> np.ndarray | None:
    """Target weights (T,) of the best policy of the world `name` that is known, or None where none is.

    sine, ou and regime are traded by one who knows their law and sees the closes; a world
    `is_scheduled` by one who knows its schedule, its event included.

    Args:
        name: registered name of the world.
        world: its bars and truth.
        cost: share of the equity per unit of weight changed, one side.
        settings: those it was drawn with; the world's defaults where None.
    """
    known = WORLDS.get(name)() if settings is None else settings
    if isinstance(known, SineSettings):
        return follow(sine_values(world, known, cost), cost)
    if isinstance(known, OUSettings):
        return follow(ou_values(world, known, cost), cost)
    if isinstance(known, RegimeSwitchSettings):
        return follow(filtered_regime_values(world, known, cost), cost)
    return follow(scheduled_values(world.truth, cost), cost) if world.truth.is_scheduled else None


def follow(values: np.ndarray, cost: float) -> np.ndarray:
    """Target weights (T,) of the account that starts flat and always orders argmax_a [U_t(a) − cost·|a − x|].

    Args:
        values: (T, 3) U_t in the order of RUNGS; decided at close t.
        cost: share of the equity per unit of weight changed, one side.
    """
    return RUNGS[_follow(values, _costs(cost))]


@njit(cache=True)
def _follow(values: np.ndarray, costs: np.ndarray) -> np.ndarray:
    rungs, x = np.empty(len(values), dtype=np.int64), 1
    for t in range(len(values)):
        best = x
        for a in range(values.shape[1]):
            if values[t, a] - costs[x, a] > values[t, best] - costs[x, best] + 1e-15:
                best = a
        x = best
        rungs[t] = x
    return rungs


def scheduled_values(truth: Truth, cost: float) -> np.ndarray:
    """U (T, 3) of one who knows the schedule of a world `is_scheduled`, by backward induction."""
    assert truth.is_scheduled
    assert truth.expected is not None
    assert truth.volatility is not None
    gains = bar_gains(truth.expected, truth.volatility, cost)
    values, costs = np.zeros((len(gains), len(RUNGS))), _costs(cost)
    for t in range(len(gains) - 2, -1, -1):
        values[t] = gains[t + 1] + (values[t + 1] - costs).max(axis=1)
    return values


def sine_values(world: World, settings: SineSettings, cost: float) -> np.ndarray:
    """U (T, 3) of one who knows the wave; the noise at close t is what close and wave differ by.

    The phase can be learned from a few periods, so this is also what a causal policy can reach.
    `period` must be a whole number of bars.
    """
    assert world.truth.centre is not None
    period, n_bars = round(settings.period), len(world.bars)
    wave = np.resize(world.truth.centre[:period], n_bars + period)
    noise = settings.noise * NOISE
    costs, after = _costs(cost), np.zeros((period, len(RUNGS)))
    for k in range(20 * period - 1, -1, -1):  # backwards over twenty periods: the first is as good as steady
        rise = wave[k % period + 1] - wave[k % period] - noise
        values = bar_gains(rise, np.full(len(noise), settings.noise), cost) + after[(k + 1) % period]
        after[k % period] = NOISE_WEIGHTS @ (values[:, None, :] - costs).max(axis=2)
    log_close = np.log(world.bars.close / START_PRICE)
    gains = bar_gains(wave[1 : n_bars + 1] - log_close, np.full(n_bars, settings.noise), cost)
    return gains + after[(np.arange(n_bars) + 1) % period]


def ou_values(world: World, settings: OUSettings, cost: float) -> np.ndarray:
    """U (T, 3) of one who knows the law; the distance from the centre is seen in every close."""
    unit = settings.sd / math.sqrt(1.0 - settings.memory**2)
    gap = unit * GRID
    gains = bar_gains((settings.memory - 1.0) * gap, np.full(len(gap), settings.sd), cost)
    chances = _chances(settings.memory * GRID, math.sqrt(1.0 - settings.memory**2))
    costs, values = _costs(cost), gains
    for _ in range(ROUNDS):
        values = gains + chances @ (values[:, None, :] - costs).max(axis=2)
        values -= values[len(GRID) // 2, 1]
    return _at(np.log(world.bars.close / START_PRICE) / unit, values)


@dataclass(frozen=True)
class RegimeValues:
    """Solution of the regime world for one who is told state and centre.

    `trends` (3, 3): U of UPTREND, DOWNTREND and PLATEAU; `gaps` (G, 3): U of an oscillation at the
    distances GRID from its centre, in stationary deviations `unit`.
    """

    trends: np.ndarray
    gaps: np.ndarray
    unit: float


def solve_regimes(settings: RegimeSwitchSettings, cost: float) -> RegimeValues:
    """U of every hidden state, by relative value iteration."""
    s, memory = settings, settings.oscillation_memory
    for name in ("trend_sd", "plateau_sd", "oscillation_sd"):
        check_positive(name, getattr(s, name))
    unit = s.oscillation_sd / math.sqrt(1.0 - memory**2)
    stay, move = 1.0 - 1.0 / s.mean_stay, 1.0 / s.mean_stay / (len(REGIMES) - 1)
    drifts, sds = np.array([s.drift, -s.drift, 0.0]), np.array([s.trend_sd, s.trend_sd, s.plateau_sd])
    trend_gains = bar_gains(drifts, sds, cost)
    gap_gains = bar_gains((memory - 1.0) * unit * GRID, np.full(len(GRID), s.oscillation_sd), cost)
    chances = _chances(memory * GRID, math.sqrt(1.0 - memory**2))
    middle, costs = len(GRID) // 2, _costs(cost)
    trends, gaps = trend_gains, gap_gains
    for _ in range(ROUNDS):
        best_trends = trend_gains + (trends[:, None, :] - costs).max(axis=2)
        best_gaps = gap_gains + chances @ (gaps[:, None, :] - costs).max(axis=2)
        every = move * (best_trends.sum(axis=0) + best_gaps[middle])
        trends = every + (stay - move) * best_trends
        gaps = stay * best_gaps + move * best_trends.sum(axis=0)
        level = trends[Regime.PLATEAU, 1]
        trends, gaps = trends - level, gaps - level
    return RegimeValues(trends, gaps, unit)


def told_regime_values(world: World, settings: RegimeSwitchSettings, cost: float) -> np.ndarray:
    """U (T, 3) of one who is told the state that governed bar t, and the centre of an oscillation."""
    solved = solve_regimes(settings, cost)
    states, centre = world.truth.regimes, world.truth.centre
    assert states is not None
    assert centre is not None
    gap = np.log(world.bars.close / START_PRICE) - np.nan_to_num(centre)
    oscillates = states == Regime.OSCILLATING
    of_state = solved.trends[np.where(oscillates, 0, states)]
    return np.where(oscillates[:, None], _at(gap / solved.unit, solved.gaps), of_state)


def filtered_regime_values(world: World, settings: RegimeSwitchSettings, cost: float) -> np.ndarray:
    """U (T, 3) of one who must infer state and centre from the closes: the mean over the exact filter's belief.

    Each beginning of an oscillation is a hypothesis of its own, since the price there is its
    centre. Averaging U over the belief acts as if the state were revealed at the next bar
    (QMDP, Littman et al. 1995): not quite the best of all, and never better than it.
    """
    solved = solve_regimes(settings, cost)
    log_close = np.log(world.bars.close / START_PRICE)
    sds = np.array([settings.trend_sd, settings.trend_sd, settings.plateau_sd, settings.oscillation_sd])
    return _filter(
        log_close,
        settings.drift,
        sds,
        settings.oscillation_memory,
        1.0 / settings.mean_stay,
        solved.trends,
        solved.gaps,
        solved.unit,
    )


@njit(cache=True)
def _filter(
    log_close: np.ndarray,
    drift: float,
    sds: np.ndarray,
    memory: float,
    leave: float,
    trends: np.ndarray,
    gaps: np.ndarray,
    unit: float,
) -> np.ndarray:
    """Mean of U over the belief at every close (T, 3)."""
    out = np.empty((len(log_close), 3))
    still = np.full(3, 0.25)  # belief in the states without a centre
    weight, centre = np.zeros(HYPOTHESES), np.zeros(HYPOTHESES)
    weight[0] = 0.25
    before, move = 0.0, leave / 3.0
    for t in range(len(log_close)):
        r = log_close[t] - before
        oscillating = weight.sum()
        entering = (1.0 - oscillating) * move
        still = (1.0 - leave) * still + move * (1.0 - still)
        weight *= 1.0 - leave
        least = np.argmin(weight)
        weight[least], centre[least] = entering, before
        for k in range(3):
            mean = drift if k == 0 else (-drift if k == 1 else 0.0)
            still[k] *= np.exp(-(((r - mean) / sds[k]) ** 2) / 2.0) / sds[k]
        total = still.sum()
        for h in range(HYPOTHESES):
            mean = (memory - 1.0) * (before - centre[h])
            weight[h] *= np.exp(-(((r - mean) / sds[3]) ** 2) / 2.0) / sds[3]
            total += weight[h]
        still /= total
        weight /= total
        before = log_close[t]
        for a in range(3):
            value = 0.0
            for k in range(3):
                value += still[k] * trends[k, a]
            out[t, a] = value
        for h in range(HYPOTHESES):
            if weight[h] > 1e-9:
                place = min(max(((before - centre[h]) / unit + 6.0) * 10.0, 0.0), 119.999)
                i = int(place)
                for a in range(3):
                    out[t, a] += weight[h] * (gaps[i, a] + (place - i) * (gaps[i + 1, a] - gaps[i, a]))
    return out


def bar_gains(mean: np.ndarray, sd: np.ndarray, cost: float) -> np.ndarray:
    """Expected log growth (N, 3) of holding each of RUNGS over a bar of log return N(mean, sd²), (N,) each."""
    square = mean**2 + sd**2
    size = np.sqrt(2.0 / np.pi) * sd  # E|r| of a small mean
    return np.stack([-mean - square - 2.0 * cost * np.maximum(size, np.abs(mean)), np.zeros_like(mean), mean], axis=1)


def _costs(cost: float) -> np.ndarray:
    """(3, 3) cost of going from rung x to rung a."""
    check_not_negative("cost", cost)
    return cost * np.abs(RUNGS[:, None] - RUNGS)


def _chances(mean: np.ndarray, sd: float) -> np.ndarray:
    """(G, G) chances of the points of GRID after a step N(mean, sd²) from each of G points."""
    density = np.exp(-(((GRID - mean[:, None]) / sd) ** 2) / 2.0)
    return density / density.sum(axis=1, keepdims=True)


def _at(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(T, 3) of `values` (G, 3), given on GRID, at `places` (T,)."""
    return np.stack([np.interp(places, GRID, column) for column in values.T], axis=1)
