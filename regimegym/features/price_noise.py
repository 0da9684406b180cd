"""Noisy copies of a market for training: prices in the unit of a bar's own volatility (DEFINITIONS §8)."""

from dataclasses import replace

import numpy as np

from regimegym.common.checks import check_at_least, check_not_negative
from regimegym.features.bars import Bars
from regimegym.features.market import Market, align_features, build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.regimes import RegimeSettings
from regimegym.features.rolling import rolling_sum
from regimegym.features.scaling import Scaler
from regimegym.features.segments import contiguous_rows
from regimegym.features.tape import MarketTape

NOISE_SCALE = 10.0  # k: a noise level of 0.01 is 10 % of the volatility of a bar
USUAL_BARS = 200  # returns behind σ_bar: the long window of the regimes
PRICED = ("open", "high", "low", "close", "spread_open", "spread_close")


def bar_volatility(close: np.ndarray) -> np.ndarray:
    """σ_bar = √(mean of the last 200 squared log returns), of those there are before; (T,), 0 on the first row."""
    squares = np.diff(np.log(close)) ** 2
    count = min(USUAL_BARS, len(squares))
    mean = np.cumsum(squares) / np.arange(1, len(squares) + 1)
    if count:
        mean[count - 1 :] = rolling_sum(squares, count)[count - 1 :] / count
    return np.concatenate([[0.0], np.sqrt(mean)])


def noisy_bars(
    bars: Bars, level: float, rng: np.random.Generator, scale: float = NOISE_SCALE, longest_gap_days: float = 10.0
) -> Bars:
    """A copy of `bars` whose prices are P_t·exp(level·scale·σ_bar,t·ε_t) with ε_t ~ N(0, 1).

    All four prices and the spreads of a bar share one factor: bars stay valid and keep their shape.
    Log returns have the standard deviation σ·√(1 + 2(level·scale)²). The noise on bar t depends on
    returns up to t alone. Volume, sizes and funding stay.

    Args:
        level: noise_level ≥ 0 of the curriculum's stage (0.01 to 0.04); 0 gives equal bars.
        scale: k.
        longest_gap_days: a longer step between bars begins a history of its own, as in FeatureSettings.

    Raises:
        ConfigError: a negative level or scale.
    """
    check_not_negative("noise_level", level)
    check_not_negative("noise_scale", scale)
    parts = contiguous_rows(bars, longest_gap_days)
    sigma = np.concatenate([bar_volatility(bars.close[part.start : part.stop]) for part in parts])
    factor = np.exp(level * scale * sigma * rng.standard_normal(len(bars)))
    prices = {name: values * factor for name in PRICED if (values := getattr(bars, name)) is not None}
    return replace(bars, **prices)


def noisy_tapes(
    market: Market,
    scaler: Scaler,
    level: float,
    n_tapes: int,
    rng: np.random.Generator,
    *,
    regimes: RegimeSettings,
    features: FeatureSettings,
    scale: float = NOISE_SCALE,
) -> list[MarketTape]:
    """Complete noisy tapes for a stage: features and labels of noisy bars by the frozen rule and scaler.

    Row t of each is the bar of row t of the market's own tape: same rows, segments and features.

    Args:
        market: the prepared market; it stays as it is.
        scaler: fitted on the training rows, never again.
        level, scale: as in `noisy_bars`.
        n_tapes: M ≥ 1; each draws noise of its own.
        regimes: the rule with its frozen thresholds.
        features: the settings that made `market`; the columns are the scaler's.
    """
    check_at_least("noise.n_tapes", n_tapes, 1)
    # A copy that nobody meets again is not worth a place in the cache.
    settings = replace(features, names=scaler.names, missing="raise", cache="off")
    tapes = []
    for _ in range(n_tapes):
        bars = noisy_bars(market.bars, level, rng, scale, settings.longest_gap_days)
        noisy = prepare_market(bars, regimes, settings, market.context)
        tapes.append(build_tape(replace(noisy, table=align_features(scaler.names, noisy.table)), scaler))
    return tapes
