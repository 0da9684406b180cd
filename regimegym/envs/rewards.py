"""The reward of one step (DEFINITIONS §6); compiled scalar functions."""

from typing import Any

import numpy as np
from numba import njit

UPTREND = 0  # code of common.regimes.Regime.UPTREND, as a compile-time constant
LEAST_GROWTH = 1e-3  # floor of V_{t+1} / V_t: a bankruptcy costs ln(1000), not infinity


@njit(cache=True, error_model="numpy")
def floored_log_return(equity_t: float, equity_tp1: float) -> float:
    """ℓ = ln(max(V_{t+1}, 1e-3·V_t)/V_t), net of costs."""
    if equity_tp1 == equity_t:
        return 0.0  # as ln 1 is, without its price
    return np.log(max(equity_tp1, LEAST_GROWTH * equity_t) / equity_t)


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
    """R = κ·[g·ℓ − missed uptrend − overtrading − small trade].

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
    too_many = max(0.0, recent_trades - rules.max_trades)
    total -= rules.overtrading_penalty * too_many / rules.max_trades_window
    if notional > 0:
        total -= rules.small_trade_penalty * max(0.0, 1 - notional / (rules.minimum_trade * equity_t))
    return rules.reward_scale * total
