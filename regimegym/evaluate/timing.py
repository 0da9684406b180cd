"""Timing against exposure: would the same positions at other times have earned as much?

An agent that is long two thirds of the time earns two thirds of what the market earns, whatever it
knows. The test keeps its positions, each with its own length and size, and lays them into the same
market in another order.
"""

from typing import NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least
from regimegym.evaluate.trajectory import Trajectory

FLAT = 1e-9  # exposure below which an account holds nothing


class Timing(NamedTuple):
    """Gross result Σ x_t·r_t of positions x and market returns r, in units of equity, before costs.

    Attributes:
        gross: of the positions as they were.
        exposure: mean of the same positions in other orders: what the mean exposure alone earns.
        timing: gross − exposure.
        p_value: one-sided: share of the orders that earn at least as much. NaN where there is no other order.
        n_spells: stretches of one sign of exposure (long, flat, short) that were reordered.
    """

    gross: float
    exposure: float
    timing: float
    p_value: float
    n_spells: int


def timing_test(
    exposure: np.ndarray, market_returns: np.ndarray, generator: np.random.Generator, n_resamples: int = 2000
) -> Timing:
    """Position-shuffle test.

    Args:
        exposure: (n,) exposure held while each return was earned, signed share of equity.
        market_returns: (n,) simple returns of the market.

    Spells of one sign are permuted and the whole is turned by a random number of bars; exposures within a
    spell stay as they were.
    """
    check_at_least("n_resamples", n_resamples, 99)
    gross = float(exposure @ market_returns)
    side = np.where(np.abs(exposure) < FLAT, 0, np.sign(exposure))
    starts = np.flatnonzero(np.diff(side, prepend=np.nan) != 0)
    if len(starts) < 2:
        return Timing(gross, gross, 0.0, float("nan"), len(starts))
    lengths = np.diff(np.append(starts, len(exposure)))
    draws = np.empty(n_resamples)
    for k in range(n_resamples):
        order = _reordered(starts, lengths, generator.permutation(len(starts)))
        draws[k] = exposure[order] @ np.roll(market_returns, int(generator.integers(len(exposure))))
    as_good = int((draws >= gross - 1e-12 * np.abs(exposure * market_returns).sum()).sum())
    mean = float(draws.mean())
    return Timing(gross, mean, gross - mean, (1.0 + as_good) / (n_resamples + 1.0), len(starts))


def _reordered(starts: np.ndarray, lengths: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Bars (n,) with the spells laid one behind the other in `order`."""
    ends = np.cumsum(lengths[order])
    return np.arange(ends[-1]) + np.repeat(starts[order] - ends + lengths[order], lengths[order])


def trajectory_timing(trajectory: Trajectory, generator: np.random.Generator, n_resamples: int = 2000) -> Timing:
    """The test of a trajectory: what it held after each decision, against the move to the next mark.

    With fills at the next open, the move up to the fill belongs to the position before it; the difference
    is that of one bar's opening gap.
    """
    market = np.diff(trajectory.close) / trajectory.close[:-1]
    return timing_test(_held(trajectory), market, generator, n_resamples)


def _held(trajectory: Trajectory) -> np.ndarray:
    """Exposure (n,) held while each bar's move was earned: the units after it at the price before it."""
    before = trajectory.equity[:-1]
    return np.where(before > 0, trajectory.units[1:] * trajectory.close[:-1] / np.where(before > 0, before, 1.0), 0.0)
