"""What an order, an exit and a liquidation do to a position (DEFINITIONS §5, Fill and When to trade)."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from regimegym.envs import accounting, costs
from regimegym.envs.results import ORDER
from regimegym.envs.state import CASH_SIZING

# `slots` are the three records FILL of one account. Without them (None, which the compiler knows) fills
# leave their mark in the ledger only, and what ends a position against its holder's will is postponed.


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
    units: float  # of the last fill, signed
    price: float  # it paid, per unit


class Quote(NamedTuple):
    """Where something fills."""

    row: int  # of the bar
    mid: float
    half_spread: float  # fraction of the mid
    volume: float  # of the bar, units


NOTHING = Ledger(0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)
POSTPONED = -1  # in place of the number of fills: an exit or a liquidation was met, and left to the caller


@njit(cache=True, error_model="numpy", forceinline=True)
def received(position: Position, money: float) -> Position:
    """The position with `money` more of cash."""
    return Position(position.cash + money, position.units, position.entry_price, position.last_target, position.done)


@njit(cache=True, error_model="numpy", forceinline=True)
def execute(
    target: float, quote: Quote, rules: Any, position: Position, ledger: Ledger, slots: tuple | None
) -> tuple[Position, Ledger]:
    """The position at its target, unless it holds (NaN) or the order is skipped."""
    if np.isnan(target):
        return position, ledger
    weight = accounting.clipped_target(target, rules)
    equity = position.cash + position.units * quote.mid
    if accounting.is_skipped(weight, position.last_target, equity, position.units, quote.mid, rules):
        return position, ledger
    return _retarget(weight, quote, rules, position, ledger, slots)


@njit(cache=True, error_model="numpy")
def _retarget(
    weight: float, quote: Quote, rules: Any, position: Position, ledger: Ledger, slots: tuple | None
) -> tuple[Position, Ledger]:
    """Trade to the target `weight`; a flip with `cash` sizing closes first, paying its costs."""
    position = _aimed_at(weight, position)
    if rules.sizing == CASH_SIZING and weight * position.units < 0:
        position, ledger = fill(-position.units, quote, ORDER, rules, position, ledger, slots)
    equity = position.cash + position.units * quote.mid
    s = quote.half_spread + rules.slippage
    change = accounting.order_change(weight, equity, position.units, quote.mid, s, rules)
    if change != 0:
        position, ledger = fill(change, quote, ORDER, rules, position, ledger, slots)
    return position, ledger


@njit(cache=True, error_model="numpy", forceinline=True)
def _aimed_at(weight: float, position: Position) -> Position:
    """The position with `weight` as its last executed target."""
    return Position(position.cash, position.units, position.entry_price, weight, position.done)


@njit(cache=True, error_model="numpy")
def fill(
    change: float, quote: Quote, reason: int, rules: Any, position: Position, ledger: Ledger, slots: tuple | None
) -> tuple[Position, Ledger]:
    """Δ units change hands: the cost is charged once, in cash, here and nowhere else.

    The details go into the first free record FILL of `slots`, where there are any.
    """
    side = 1.0 if change > 0 else -1.0
    slippage = rules.slippage + costs.market_impact(change, quote.volume, rules)
    price = costs.fill_price(quote.mid, side, quote.half_spread + slippage)
    fee = costs.fill_fee(change, price, rules)
    if slots is not None:
        record = slots[ledger.n_fills]
        record.row = quote.row
        record.units = change
        record.mid = quote.mid
        record.price = price
        record.fee = fee
        record.reason = reason
    value = abs(change) * quote.mid
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
        ledger.spread + value * quote.half_spread,
        ledger.slippage + value * slippage,
        ledger.fees + fee,
        ledger.n_fills + 1,
        change,
        price,
    )
    return after, noted


@njit(cache=True, error_model="numpy", forceinline=True)
def _postponed(ledger: Ledger) -> Ledger:
    """The ledger of a step that has to be taken once more, with slots."""
    return Ledger(
        ledger.traded,
        ledger.notional,
        ledger.spread,
        ledger.slippage,
        ledger.fees,
        POSTPONED,
        ledger.units,
        ledger.price,
    )


@njit(cache=True, error_model="numpy")
def take_out(
    quote: Quote, reason: int, rules: Any, position: Position, ledger: Ledger, slots: tuple | None
) -> tuple[Position, Ledger]:
    """Close at a stop-loss or take-profit; the same target may be ordered again afterwards."""
    if slots is None:
        return position, _postponed(ledger)
    return fill(-position.units, quote, reason, rules, _aimed_at(0.0, position), ledger, slots)


@njit(cache=True, error_model="numpy")
def liquidate(
    quote: Quote, reason: int, rules: Any, position: Position, ledger: Ledger, slots: tuple | None
) -> tuple[Position, Ledger]:
    """Close what is open, with its costs, and end the account."""
    if slots is None:
        return position, _postponed(ledger)
    if position.units != 0:
        position, ledger = fill(-position.units, quote, reason, rules, position, ledger, slots)
    cash = max(0.0, position.cash) if rules.floor_zero else position.cash
    return Position(cash, position.units, position.entry_price, position.last_target, True), ledger
