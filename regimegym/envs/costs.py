"""What a fill and a held position cost (DEFINITIONS §5, Carry and Fill); compiled scalar functions.

`rules` is one record of envs.state.RULES, `bar` one of envs.state.BAR. Money in account currency,
prices are mids unless named otherwise, rates per year.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from regimegym.envs.state import BAR_SPREAD


class Carry(NamedTuple):
    """Interest of one bar, money, each ≥ 0."""

    credit: float
    borrow: float
    debit: float


NO_CARRY = Carry(0.0, 0.0, 0.0)


@njit(cache=True, error_model="numpy")
def carry(cash: float, units: float, close_tm1: float, dt: float, rules: Any) -> Carry:
    """Interest on what was held over from the last close."""
    short_value = -units * close_tm1 if units < 0 else 0.0
    borrow = rules.borrow_rate * dt * short_value
    debit = rules.debit_rate * dt * -cash if cash < 0 else 0.0
    credit = rules.credit_rate * dt * max(0.0, cash - short_value)
    return Carry(credit, borrow, debit)


@njit(cache=True, error_model="numpy")
def funding(units: float, close_tm1: float, rate: float) -> float:
    """rate·units·C_{t−1}: what a long pays and a short receives, the other way round for a negative rate."""
    return rate * units * close_tm1


@njit(cache=True, error_model="numpy")
def half_spread_at_open(bar: Any, rules: Any) -> float:
    """Half-spread of fills at the open, and at a trigger price (the last spread that was quoted)."""
    return bar.half_spread_open if rules.spread_source == BAR_SPREAD else rules.half_spread


@njit(cache=True, error_model="numpy")
def half_spread_at_close(bar: Any, rules: Any) -> float:
    """Half-spread of fills at the close."""
    return bar.half_spread_close if rules.spread_source == BAR_SPREAD else rules.half_spread


@njit(cache=True, error_model="numpy")
def market_impact(change: float, volume: float, rules: Any) -> float:
    """impact·√(|Δ|/volume): adverse move as a fraction of the mid, the share of the volume being 1 at most.

    Without volume the share is 1: an unknown volume never makes a fill cheaper. Square-root law:
    Tóth et al. 2011, Anomalous price impact and the critical nature of liquidity, PRX 1, 021006.
    """
    if rules.impact == 0:
        return 0.0
    share = min(1.0, abs(change) / volume) if volume > 0 else 1.0
    return rules.impact * np.sqrt(share)


@njit(cache=True, error_model="numpy")
def fill_price(mid: float, side: float, s: float) -> float:
    """px = P·(1 + side·s): spread, slippage and impact are always adverse."""
    return mid * (1 + side * s)


@njit(cache=True, error_model="numpy")
def fill_fee(change: float, price: float, rules: Any) -> float:
    """fee = fee_rate·|Δ|·px + fixed_fee."""
    return rules.fee_rate * abs(change) * price + rules.fixed_fee


@njit(cache=True, error_model="numpy")
def cost_per_value(side: float, s: float, rules: Any) -> float:
    """k = s + fee_rate·(1 + side·s): cost of a trade as a fraction of its value at the mid."""
    return s + rules.fee_rate * (1 + side * s)
