"""Liquidity and the shape of trading, from bars and from quotes; pure, causal, scale-free where noted.

All arrays are (T,) float64. A value whose window is not full is NaN; a market that has no volume,
or whose price does not move, gives the neutral value that each function names.
"""

import numpy as np
from scipy.special import ndtr

from regimegym.features.rolling import divide, rolling_mean_sd, rolling_sum

TWO_BAR_RANGE = 3.0 - 2.0 * np.sqrt(2.0)  # the constant of Corwin and Schultz (2012)


def amihud_illiquidity(returns: np.ndarray, notional: np.ndarray, window: int) -> np.ndarray:
    """Mean of |r_t| / (C_t·V_t) over the bars of the window that traded (Amihud, 2002), per unit of money.

    `returns` log returns, NaN on row 0; `notional` close · volume. 0 where no bar of the window traded.
    """
    traded = notional > 0.0
    impact = divide(np.abs(returns), np.where(traded, notional, 0.0), 0.0)
    out = np.full(len(returns), np.nan)
    out[1:] = divide(rolling_sum(impact[1:], window), rolling_sum(traded[1:].astype(np.float64), window), 0.0)
    return out


def roll_spread(returns: np.ndarray, window: int) -> np.ndarray:
    """2·√max(0, −cov(r_t, r_{t−1})) over the last `window` pairs (Roll, 1984), a fraction of the price.

    `returns` log returns, NaN on row 0; first value on row window + 1.
    """
    out = np.full(len(returns), np.nan)
    now, before = returns[2:], returns[1:-1]
    mean_product = rolling_mean_sd(now * before, window)[0]
    covariance = mean_product - rolling_mean_sd(now, window)[0] * rolling_mean_sd(before, window)[0]
    out[2:] = 2.0 * np.sqrt(np.maximum(-covariance, 0.0))
    return out


def corwin_schultz_spread(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Spread of bars t−1 and t as a fraction of the price (Corwin and Schultz, 2012); NaN on row 0.

    β = ln²(H_t/L_t) + ln²(H_{t−1}/L_{t−1}), γ = ln²(max H / min L),
    α = (√(2β) − √β)/(3 − 2√2) − √(γ/(3 − 2√2)), S = 2(e^α − 1)/(1 + e^α), 0 where negative.
    A bar that lies wholly beside the close before it is first moved by the gap, as in the paper.
    """
    log_high, log_low, log_close = np.log(high), np.log(low), np.log(close)
    close_tm1 = log_close[:-1]
    gap = np.maximum(log_low[1:] - close_tm1, 0.0) + np.minimum(log_high[1:] - close_tm1, 0.0)
    high_t, low_t = log_high[1:] - gap, log_low[1:] - gap
    beta = (high_t - low_t) ** 2 + (log_high[:-1] - log_low[:-1]) ** 2
    gamma = (np.maximum(high_t, log_high[:-1]) - np.minimum(low_t, log_low[:-1])) ** 2
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / TWO_BAR_RANGE - np.sqrt(gamma / TWO_BAR_RANGE)
    out = np.full(len(high), np.nan)
    out[1:] = np.maximum(2.0 * np.tanh(alpha / 2.0), 0.0)
    return out


def buy_share(change: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Share of a bar's volume that buyers started, Φ(Δ_t/σ_t), by bulk volume classification.

    Easley, López de Prado and O'Hara (2012). ½ where the price does not move; NaN where `sd` is.
    """
    return ndtr(divide(change, sd, 0.0))


def volume_imbalance(buys: np.ndarray, volume: np.ndarray, window: int) -> np.ndarray:
    """(bought − sold) / volume over the window, in [−1, 1]; `buys` is the share of each bar. 0 without volume."""
    out = np.full(len(volume), np.nan)
    known = int(np.argmax(~np.isnan(buys)))
    signed = ((2.0 * buys - 1.0) * volume)[known:]
    out[known:] = divide(rolling_sum(signed, window), rolling_sum(volume[known:], window), 0.0)
    return out


def kyle_lambda(returns: np.ndarray, signed_volume: np.ndarray, window: int) -> np.ndarray:
    """Σ r·q / Σ q² over the window: log price moved per unit of signed volume q (Kyle, 1985).

    Both are NaN up to a common row; 0 where nothing traded.
    """
    out = np.full(len(returns), np.nan)
    known = int(np.argmax(~np.isnan(returns + signed_volume)))
    r, q = returns[known:], signed_volume[known:]
    out[known:] = divide(rolling_sum(r * q, window), rolling_sum(q * q, window), 0.0)
    return out


def log_ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """ln(a_t/b_t); 0 where either is 0, NaN where either is."""
    ratio = divide(numerator, denominator, 1.0)
    return np.log(np.where(ratio > 0.0, ratio, 1.0)) + 0.0 * numerator + 0.0 * denominator


def size_imbalance(bid_size: np.ndarray, ask_size: np.ndarray) -> np.ndarray:
    """(bid − ask) / (bid + ask) of quoted sizes, in [−1, 1]; 0 where both are 0."""
    return divide(bid_size - ask_size, bid_size + ask_size, 0.0)


def microprice_gap(spread: np.ndarray, mid: np.ndarray, imbalance: np.ndarray) -> np.ndarray:
    """(microprice − mid) / mid = ½·spread·imbalance / mid, the microprice weighing each side by the other's size."""
    return 0.5 * spread * imbalance / mid
