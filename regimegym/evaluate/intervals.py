"""Stationary block bootstrap: intervals for results of dependent returns on one path.

Blocks of geometric length with random starts are laid behind one another on the circle of bars
until n bars are drawn; all series are drawn with the same bars, so differences are paired.

Source: Politis and Romano 1994, "The stationary bootstrap", JASA 89, 1303-1313.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from regimegym.common.checks import check_at_least, check_between, check_not_negative
from regimegym.evaluate.metrics import MIN_DEVIATION, max_drawdown
from regimegym.features.synthetic.bootstrap import block_rows

N_PATHS = 300  # of the interval of a drawdown, which needs the whole path
CHUNK = 1_000_000  # block lengths drawn at once; keeps the memory below about 100 MB


@dataclass(frozen=True)
class IntervalSettings:
    """How intervals are computed.

    Args:
        level: coverage of the two-sided interval, in [0.5, 0.999].
        n_resamples: number of bootstrap paths, at least 100.
        least_block: least mean block length, bars.
        block_factor: c of the mean block length max(least_block, c · n^(1/3), time between
            trades), which is cut at n/4. The power 1/3 is the optimal growth.
        holding_factor: the time between the agent's trades counts this many times: the returns
            of one position are dependent, and shorter blocks make the intervals too narrow.
    """

    level: float = 0.95
    n_resamples: int = 2000
    least_block: float = 20.0
    block_factor: float = 2.0
    holding_factor: float = 1.0

    def __post_init__(self) -> None:
        check_between("level", self.level, 0.5, 0.999)
        check_at_least("n_resamples", self.n_resamples, 100)
        check_at_least("least_block", int(self.least_block), 1)
        check_not_negative("block_factor", self.block_factor)
        check_not_negative("holding_factor", self.holding_factor)

    def block_length(self, n: int, n_trades: int) -> float:
        """Mean block length for `n` bars on which the agent made `n_trades` trades, at least 1."""
        held = self.holding_factor * n / (n_trades + 1)
        wanted = max(self.least_block, self.block_factor * n ** (1.0 / 3.0), held)
        return max(1.0, min(wanted, n / 4.0))


class Interval(NamedTuple):
    """A value with its two-sided interval; NaN bounds where nothing is defined."""

    value: float
    low: float
    high: float

    @property
    def includes_zero(self) -> bool:
        """True also where the interval is not defined: nothing is excluded then."""
        return not (self.low > 0.0 or self.high < 0.0)


def resampled_moments(
    series: np.ndarray, block_length: float, n_resamples: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sums Σx and Σx² of every bootstrap path, both (n_resamples, K), for paired `series` (K, n).

    Only block ends are touched (prefix sums on the doubled series), so the work is
    n_resamples · n / block_length, not n_resamples · n.
    """
    _, n = series.shape
    prefix = [_prefix_sums(power) for power in (series, series**2)]
    per_path = math.ceil(n / block_length + 6.0 * math.sqrt(n / block_length) + 10.0)
    paths_at_once = max(1, CHUNK // per_path)
    sums: list[list[np.ndarray]] = [[], []]
    for first in range(0, n_resamples, paths_at_once):
        n_paths = min(paths_at_once, n_resamples - first)
        starts, lengths = _draw_blocks(n, block_length, n_paths, per_path, generator)
        for total, table in zip(sums, prefix, strict=True):
            total.append(np.stack([(row[starts + lengths] - row[starts]).sum(axis=1) for row in table], 1))
    return np.concatenate(sums[0]), np.concatenate(sums[1])


def _prefix_sums(series: np.ndarray) -> np.ndarray:
    doubled = np.concatenate([series, series], axis=1)
    return np.concatenate([np.zeros((len(series), 1)), np.cumsum(doubled, axis=1)], axis=1)


def _draw_blocks(
    n: int, block_length: float, n_paths: int, per_path: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths (n_paths, m) of blocks; the lengths of every path sum to exactly n."""
    share = 1.0 / block_length
    lengths = generator.geometric(share, size=(n_paths, per_path))
    while lengths.sum(axis=1).min() < n:
        lengths = np.concatenate([lengths, generator.geometric(share, size=(n_paths, per_path))], axis=1)
    before = np.cumsum(lengths, axis=1) - lengths
    lengths = np.clip(n - before, 0, lengths)
    return generator.integers(n, size=lengths.shape), lengths


def _bounds(values: np.ndarray, level: float) -> tuple[float, float]:
    """Percentile interval of the defined values; NaN when fewer than half are defined."""
    defined = values[np.isfinite(values)]
    if 2 * len(defined) < len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def _sharpe(sums: np.ndarray, squares: np.ndarray, n: int, periods_per_year: float) -> np.ndarray:
    """Annualised Sharpe ratio from Σx and Σx² of `n` returns; NaN at zero variance."""
    variance = np.maximum(squares - sums**2 / n, 0.0) / max(n - 1, 1)
    deviation = np.sqrt(variance)
    # Prefix sums leave relative round-off of about 1e-14 in Σx², hence 1e-7 in a deviation.
    least = np.maximum(MIN_DEVIATION, 1e-7 * np.sqrt(squares / n))
    defined = deviation > least
    ratio = sums / n / np.where(defined, deviation, 1.0)
    return np.where(defined, math.sqrt(periods_per_year) * ratio, np.nan)


def log_return_intervals(
    log_returns: np.ndarray, n_trades: int, settings: IntervalSettings, generator: np.random.Generator
) -> tuple[list[Interval], list[Interval]]:
    """Intervals of Σℓ for each of K paired series, and of each series 0 minus series k (k ≥ 1).

    Args:
        log_returns: (K, n) unshaped log returns per bar on common bars.
        n_trades: executed trades of series 0, for the block length.
    """
    n = log_returns.shape[1]
    values = log_returns.sum(axis=1)
    sums, _ = resampled_moments(log_returns, settings.block_length(n, n_trades), settings.n_resamples, generator)
    return _own_and_differences(values, sums, settings.level)


def sharpe_intervals(
    returns: np.ndarray,
    n_trades: int,
    periods_per_year: float,
    settings: IntervalSettings,
    generator: np.random.Generator,
) -> tuple[list[Interval], list[Interval]]:
    """Intervals of the Sharpe ratio of K paired series, and of series 0 minus series k (k ≥ 1).

    Args:
        returns: (K, n) simple net returns per bar on common bars.
        n_trades: executed trades of series 0, for the block length.
    """
    n = returns.shape[1]
    values = _sharpe(returns.sum(axis=1), (returns**2).sum(axis=1), n, periods_per_year)
    sums, squares = resampled_moments(returns, settings.block_length(n, n_trades), settings.n_resamples, generator)
    return _own_and_differences(values, _sharpe(sums, squares, n, periods_per_year), settings.level)


def _own_and_differences(
    values: np.ndarray, resampled: np.ndarray, level: float
) -> tuple[list[Interval], list[Interval]]:
    own = [Interval(float(v), *_bounds(resampled[:, k], level)) for k, v in enumerate(values)]
    differences = [
        Interval(float(values[0] - values[k]), *_bounds(resampled[:, 0] - resampled[:, k], level))
        for k in range(1, len(values))
    ]
    return own, differences


def drawdown_interval(
    log_returns: np.ndarray, block_length: float, level: float, generator: np.random.Generator, n_paths: int = N_PATHS
) -> Interval:
    """Largest drawdown of `log_returns` (n,), and its quantiles over paths made of their blocks.

    The bounds are undefined where nothing ever moved: an account that stays in cash has shown nothing.
    """
    value = _largest(log_returns)
    if len(log_returns) < 2 or not np.ptp(log_returns) > 0.0:
        return Interval(value, math.nan, math.nan)
    n = len(log_returns)
    drawn = [_largest(log_returns[block_rows(n, n, block_length, generator)[0]]) for _ in range(n_paths)]
    low, high = np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(value, float(low), float(high))


def _largest(log_returns: np.ndarray) -> float:
    return max_drawdown(np.exp(np.concatenate([[0.0], np.cumsum(log_returns)])))


def wilson_bounds(share: np.ndarray, n: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided bounds of a share observed in `n` ≥ 1 independent cases, both (K,).

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    z = float(ndtri((1.0 + level) / 2.0))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(0.0, centre - half), np.minimum(1.0, centre + half)


def share_interval(happened: int, n: int, level: float = 0.95) -> Interval:
    """The share `happened` / `n` with its Wilson bounds; NaN without a case."""
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    low, high = wilson_bounds(np.array([happened / n]), np.array([n]), level)
    return Interval(happened / n, float(low[0]), float(high[0]))
