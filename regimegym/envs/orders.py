"""What an order and a liquidation do to a position (DEFINITIONS §5, Fill and When to trade)."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from regimegym.envs import accounting, costs
from regimegym.envs.results import ORDER
from regimegym.envs.state import CASH_SIZING


class Position(NamedTuple):
    """What a fill may change of one account, while it is within a bar."""

    cash: float
    units: float
    entry_price: float
    last_target: float
    done: bool


class Ledger(NamedTuple):
    """What the fills of one step have been and cost so far, money."""

    traded: float  # 1.0 once the order has filled
    notional: float
    spread: float
    slippage: float
    fees: float
    n_fills: int


NOTHING = Ledger(0.0, 0.0, 0.0, 0.0, 0.0, 0)


@njit(cache=True, error_model="numpy", forceinline=True)
def received(position: Position, money: float) -> Position:
    """The position with `money` more of cash."""
    return Position(position.cash + money, position.units, position.entry_price, position.last_target, position.done)


@njit(cache=True, error_model="numpy", forceinline=True)
def execute(
    target: float,
    mid: float,
    half_spread: float,
    row: int,
    rules: Any,
    position: Position,
    ledger: Ledger,
    slots: tuple,
) -> tuple[Position, Ledger]:
    """The position at its target at `mid`, unless it holds (NaN) or the order is skipped."""
    if np.isnan(target):
        return position, ledger
    weight = accounting.clipped_target(target, rules)
    equity = position.cash + position.units * mid
    if accounting.is_skipped(weight, position.last_target, equity, position.units, mid, rules):
        return position, ledger
    return _retarget(weight, mid, half_spread, row, rules, position, ledger, slots)


@njit(cache=True, error_model="numpy")
def _retarget(
    weight: float,
    mid: float,
    half_spread: float,
    row: int,
    rules: Any,
    position: Position,
    ledger: Ledger,
    slots: tuple,
) -> tuple[Position, Ledger]:
    """Trade to the target `weight`; a flip with `cash` sizing closes first, paying its costs."""
    position = Position(position.cash, position.units, position.entry_price, weight, position.done)
    if rules.sizing == CASH_SIZING and weight * position.units < 0:
        position, ledger = fill(-position.units, mid, half_spread, row, ORDER, rules, position, ledger, slots)
    equity = position.cash + position.units * mid
    s = half_spread + rules.slippage
    change = accounting.order_change(weight, equity, position.units, mid, s, rules)
    if change != 0:
        position, ledger = fill(change, mid, half_spread, row, ORDER, rules, position, ledger, slots)
    return position, ledger


@njit(cache=True, error_model="numpy")
def fill(
    change: float,
    mid: float,
    half_spread: float,
    row: int,
    reason: int,
    rules: Any,
    position: Position,
    ledger: Ledger,
    slots: tuple,
) -> tuple[Position, Ledger]:
    """Δ units change hands: the cost is charged once, in cash, here and nowhere else."""
    side = 1.0 if change > 0 else -1.0
    price = costs.fill_price(mid, side, half_spread + rules.slippage)
    fee = costs.fill_fee(change, price, rules)
    record = slots[ledger.n_fills]
    record.row = row
    record.units = change
    record.mid = mid
    record.price = price
    record.fee = fee
    record.reason = reason
    value = abs(change) * mid
    ordered = 1.0 if reason == ORDER else 0.0
    after = Position(
        position.cash - (change * price + fee),
        position.units + change,
        accounting.entry_price_after(position.entry_price, position.units, change, price),
        position.last_target,
        position.done,
    )
    noted = Ledger(
        max(ledger.traded, ordered),
        ledger.notional + ordered * value,
        ledger.spread + value * half_spread,
        ledger.slippage + value * rules.slippage,
        ledger.fees + fee,
        ledger.n_fills + 1,
    )
    return after, noted


@njit(cache=True, error_model="numpy")
def liquidate(
    mid: float,
    half_spread: float,
    row: int,
    reason: int,
    rules: Any,
    position: Position,
    ledger: Ledger,
    slots: tuple,
) -> tuple[Position, Ledger]:
    """Close what is open, with its costs, and end the account."""
    if position.units != 0:
        position, ledger = fill(-position.units, mid, half_spread, row, reason, rules, position, ledger, slots)
    cash = max(0.0, position.cash) if rules.floor_zero else position.cash
    return Position(cash, position.units, position.entry_price, position.last_target, True), ledger
