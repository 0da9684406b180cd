"""Protective exits and brakes on orders (envs.order_settings); compiled scalar functions."""

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def braked_target(target: float, units: float, bars_held: float, turnover: float, rules: Any) -> float:
    """`target`, or NaN (HOLD) where the position is too young or the turnover budget is used up."""
    if units != 0 and bars_held < rules.minimum_hold:
        return np.nan
    if rules.turnover_budget > 0 and turnover >= rules.turnover_budget and target != 0:
        return np.nan
    return target


@njit(cache=True, error_model="numpy")
def current_turnover(turnover: float, decisions: float, rules: Any) -> float:
    """Turnover that counts against the budget of this decision: 0 where a new window begins."""
    if rules.turnover_window > 0 and decisions % rules.turnover_window == 0:
        return 0.0
    return turnover


@njit(cache=True, error_model="numpy")
def falls_to(level: float, bar: Any) -> float:
    """The mid at which a falling price reaches `level` in the bar (gap → open); NaN where it does not."""
    return min(bar.open, level) if bar.low <= level else np.nan


@njit(cache=True, error_model="numpy")
def rises_to(level: float, bar: Any) -> float:
    """The mid at which a rising price reaches `level` in the bar (gap → open); NaN where it does not."""
    return max(bar.open, level) if bar.high >= level else np.nan


@njit(cache=True, error_model="numpy")
def stop_price(entry_price: float, units: float, bar: Any, rules: Any) -> float:
    """The mid at which the bar takes the position out with a loss; NaN where it does not."""
    if rules.stop_loss == 0 or units == 0:
        return np.nan
    if units > 0:
        return falls_to(entry_price * (1 - rules.stop_loss), bar)
    return rises_to(entry_price * (1 + rules.stop_loss), bar)


@njit(cache=True, error_model="numpy")
def profit_price(entry_price: float, units: float, bar: Any, rules: Any) -> float:
    """The mid at which the bar takes the position out with its gain; NaN where it does not."""
    if rules.take_profit == 0 or units == 0:
        return np.nan
    if units > 0:
        return rises_to(entry_price * (1 + rules.take_profit), bar)
    return falls_to(entry_price * (1 - rules.take_profit), bar)


@njit(cache=True, error_model="numpy")
def is_first(price: float, other: float, units: float) -> bool:
    """Whether a long's falling, or a short's rising, price reaches `price` before or with `other`.

    A `price` that is NaN is never reached, an `other` that is NaN never before.
    """
    if np.isnan(price):
        return False
    if np.isnan(other):
        return True
    return price >= other if units > 0 else price <= other
