"""The reward of one step (DEFINITIONS §6); compiled scalar functions."""

from typing import Any

from numba import njit

from regimegym.common.regimes import Regime
from regimegym.common.vector_math import natural_log

UPTREND = Regime.UPTREND.value  # a compile-time constant
MIN_VARIANCE = 1e-12  # squared return; below it no Sharpe ratio is defined yet
LEAST_GROWTH = 1e-3  # floor of V_{t+1} / V_t: a bankruptcy costs ln(1000), not infinity


@njit(cache=True, error_model="numpy")
def floored_log_return(equity_t: float, equity_tp1: float) -> float:
    """ℓ = ln(max(V_{t+1}, 1e-3·V_t)/V_t), net of costs."""
    if equity_tp1 == equity_t:
        return 0.0  # as ln 1 is, without its price
    return natural_log(max(equity_tp1, LEAST_GROWTH * equity_t) / equity_t)


@njit(cache=True, error_model="numpy")
def shaped_reward(
    log_return: float,
    exposure: float,
    recent_trades: float,
    notional: float,
    equity_t: float,
    regime_t: int,
    rules: Any,
) -> float:
    """R = κ·[g·ℓ − missed uptrend − size − overtrading − small trade].

    Args:
        log_return: ℓ.
        exposure: x right after the fill, or at the mid where it would have filled.
        recent_trades: n_W, this decision included.
        notional: q = |Δunits|·P of the executed order in money, 0 where none executed.
        equity_t: V_t > 0; q_min is a fraction of it.
        regime_t: ρ_t, known when the decision was made.
        rules: one record of envs.state.RULES; log_return has scales 1 and penalties 0.
    """
    g = rules.positive_scale[regime_t] if log_return >= 0 else rules.negative_scale[regime_t]
    total = g * log_return
    if regime_t == UPTREND:
        total -= rules.missed_uptrend_penalty * max(0.0, rules.uptrend_target - exposure)
    total -= rules.size_penalty * (exposure - rules.sized_target) ** 2
    too_many = max(0.0, recent_trades - rules.max_trades)
    total -= rules.overtrading_penalty / rules.max_trades_window * too_many
    if notional > 0:
        total -= rules.small_trade_penalty * max(0.0, 1 - notional / equity_t * (1 / rules.minimum_trade))
    return rules.reward_scale * total


@njit(cache=True, error_model="numpy")
def differential_sharpe(return_t: float, mean_tm1: float, square_tm1: float) -> float:
    """D = (B·ΔA − ½·A·ΔB)/(B − A²)^{3/2}: derivative of the running Sharpe ratio by the newest return's weight.

    A, B are the running mean and mean square before the return R, ΔA = R − A, ΔB = R² − B. 0 while
    their variance is below MIN_VARIANCE. Moody, Wu, Liao and Saffell 1998, Performance functions
    and reinforcement learning for trading systems and portfolios, J. of Forecasting 17, 441–470.
    """
    variance = square_tm1 - mean_tm1**2
    if variance < MIN_VARIANCE:
        return 0.0
    slope = square_tm1 * (return_t - mean_tm1) - 0.5 * mean_tm1 * (return_t**2 - square_tm1)
    return slope / variance**1.5


@njit(cache=True, error_model="numpy")
def drawdown_growth(equity_t: float, peak_t: float, equity_tp1: float, peak_tp1: float) -> float:
    """max(0, D_{t+1} − D_t) with the drawdown D = (peak − V)/peak, 1 at most."""
    return max(0.0, min(1.0, (peak_tp1 - equity_tp1) / peak_tp1) - (peak_t - equity_t) / peak_t)
