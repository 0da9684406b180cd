"""When and how much to trade, and when an account is liquidated (DEFINITIONS §5).

Compiled scalar functions, one per rule, in the order of the text. `rules` is one record of
envs.state.RULES; `units` are signed, `mid` and `price` are money per unit.
"""

from typing import Any

import numpy as np
from numba import njit

from regimegym.envs.costs import cost_per_value
from regimegym.envs.state import ON_CHANGE, POST_COST, PRE_COST


@njit(cache=True, error_model="numpy")
def exposure_of(cash: float, units: float, price: float) -> float:
    """x = units·P/E; 0 where E ≤ 0, which keeps rewards of a bankrupt account finite."""
    equity = cash + units * price
    return units * price / equity if equity > 0 else 0.0


# --- Sizing ---------------------------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def whole_lots(units: float, rules: Any) -> float:
    """Truncated toward zero to a multiple of the lot; lot 0 is fractional."""
    return np.trunc(units / rules.lot) * rules.lot if rules.lot > 0 else units


@njit(cache=True, error_model="numpy")
def post_cost_change(weight: float, equity: float, units: float, mid: float, s: float, rules: Any) -> float:
    """Δ = (w·(E − fixed_fee)/P − units) / (1 + side·w·k) for the side that has Δ's sign, else 0."""
    gap = weight * (equity - rules.fixed_fee) / mid - units
    when_bought = 1 + weight * cost_per_value(1.0, s, rules)
    when_sold = 1 - weight * cost_per_value(-1.0, s, rules)
    is_bought, is_sold = gap * when_bought > 0, gap * when_sold < 0
    change = gap / (when_bought if is_bought else when_sold)
    return change if is_bought or is_sold else 0.0


@njit(cache=True, error_model="numpy")
def cash_units(weight: float, equity: float, mid: float, s: float, rules: Any) -> float:
    """units* = side·|w|·E′/(P·(1 + s)·(1 + fee_rate)): all-in buying power."""
    return weight * equity / (mid * (1 + s) * (1 + rules.fee_rate))


@njit(cache=True, error_model="numpy")
def order_change(weight: float, equity: float, units: float, mid: float, s: float, rules: Any) -> float:
    """Δ units that take a position of `units` to the target `weight`, lots included.

    A position is a number of lots up to the round-off of its fills; one of equally many lots is no order.
    """
    if rules.sizing == POST_COST:
        wanted = units + post_cost_change(weight, equity, units, mid, s, rules)
    elif rules.sizing == PRE_COST:
        wanted = weight * equity / mid
    else:
        wanted = cash_units(weight, equity, mid, s, rules)
    wanted = whole_lots(wanted, rules)
    change = wanted - units
    return 0.0 if wanted != 0 and abs(change) < rules.lot / 2 else change


# --- When to trade ----------------------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def clipped_target(target: float, rules: Any) -> float:
    """w clipped to ±max_leverage."""
    return min(max(target, -rules.max_leverage), rules.max_leverage)


@njit(cache=True, error_model="numpy")
def is_in_dead_band(weight: float, equity: float, units: float, mid: float, rules: Any) -> bool:
    """Whether `weight` is not 0 and nearer to the present weight than the dead-band."""
    near = equity > 0 and weight != 0 and abs(units * mid / equity - weight) <= rules.dead_band
    return rules.dead_band > 0 and near


@njit(cache=True, error_model="numpy")
def is_skipped(weight: float, last_target: float, equity: float, units: float, mid: float, rules: Any) -> bool:
    """Whether the order to `weight` is left alone: unchanged target, or within the (dead-)band."""
    if is_in_dead_band(weight, equity, units, mid, rules):
        return True
    if rules.rebalance == ON_CHANGE:
        return weight == last_target
    return equity > 0 and weight != 0 and abs(units * mid / equity - weight) <= rules.band


# --- Margin -----------------------------------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def breaches_margin(cash: float, units: float, price: float, rules: Any) -> bool:
    """E ≤ 0 or E < maint·|units|·price."""
    equity = cash + units * price
    return equity <= 0 or equity < rules.maintenance_margin * abs(units) * price


@njit(cache=True, error_model="numpy")
def worst_price(units: float, bar: Any) -> float:
    """The low for longs, the high for shorts."""
    return bar.low if units > 0 else bar.high


@njit(cache=True, error_model="numpy")
def trigger_price(cash: float, units: float, bar: Any, rules: Any) -> float:
    """The mid at which the margin broke inside the bar; never better than the bar's open."""
    if units > 0:
        p = -cash / (units * (1 - rules.maintenance_margin))
        return max(bar.low, min(bar.open, p))
    p = cash / (-units * (1 + rules.maintenance_margin))
    return min(bar.high, max(bar.open, p))


# --- Bookkeeping of the open position -----------------------------------------------------------------


@njit(cache=True, error_model="numpy")
def entry_price_after(entry_price: float, units: float, change: float, price: float) -> float:
    """Average fill price after Δ: weighted when the position grows, `price` when it is new, 0 when flat."""
    after = units + change
    if after == 0:
        return 0.0
    if units * after <= 0:
        return price
    if units * change > 0:
        return (entry_price * units + price * change) / after
    return entry_price
