"""What happens to one account within one bar, in the order of DEFINITIONS §5; compiled scalar functions.

Every rule called here is one function of costs.py, accounting.py, orders.py or exits.py. Nothing here takes an
array, so that the same functions step one account (kernel.py) and many at once (calm.py).
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from regimegym.envs import accounting, costs, exits, orders
from regimegym.envs.orders import NOTHING, Ledger, Position, Quote
from regimegym.envs.results import GAP, MARGIN, STOP_LOSS, TAKE_PROFIT, TRIGGER
from regimegym.envs.state import CHECK_INTRABAR, NEXT_OPEN, SAME_CLOSE


class Mark(NamedTuple):
    """An account at the close (event 8), beside its cash and units."""

    equity: float
    exposure: float
    peak_equity: float
    bars_held: float


@njit(cache=True, error_model="numpy", forceinline=True)
def live(
    before: Any, bar: Any, rules: Any, row: int, target: float, position: Position, slots: tuple | None
) -> tuple[Position, Ledger, costs.Carry, float, float]:
    """Events 6 and 7 of bar `row` (same_close), then 1 to 5 of the next bar.

    Returns the position, the fills' costs, interest and funding, and x right after the order.
    """
    ledger, exposure = NOTHING, 0.0
    if rules.execution == SAME_CLOSE:
        # 6. fill at the close, 7. close check again
        quote = Quote(row, before.close, costs.half_spread_at_close(before, rules), before.volume)
        position, ledger = orders.execute(target, quote, rules, position, ledger, slots)
        exposure = accounting.exposure_of(position.cash, position.units, before.close)
        if ledger.n_fills > 0 and accounting.breaches_margin(position.cash, position.units, before.close, rules):
            position, ledger = orders.liquidate(quote, MARGIN, rules, position, ledger, slots)
            return position, ledger, costs.NO_CARRY, 0.0, exposure
    # 1. carry
    paid = costs.carry(position.cash, position.units, before.close, bar.years, rules)
    funding = costs.funding(position.units, before.close, bar.funding_rate)
    position = orders.received(position, paid.credit - paid.borrow - paid.debit - funding)
    at_open = Quote(row + 1, bar.open, costs.half_spread_at_open(bar, rules), bar.volume)
    # 2. gap check at the open
    is_gap = rules.margin_check == CHECK_INTRABAR
    if is_gap and accounting.breaches_margin(position.cash, position.units, bar.open, rules):
        position, ledger = orders.liquidate(at_open, GAP, rules, position, ledger, slots)
        return position, ledger, paid, funding, exposure
    # 3. fill of the pending order at the open
    if rules.execution == NEXT_OPEN:
        position, ledger = orders.execute(target, at_open, rules, position, ledger, slots)
        exposure = accounting.exposure_of(position.cash, position.units, bar.open)
    position, ledger = _within(bar, at_open, rules, position, ledger, slots)
    return position, ledger, paid, funding, exposure


@njit(cache=True, error_model="numpy", forceinline=True)
def _within(
    bar: Any, at_open: Quote, rules: Any, position: Position, ledger: Ledger, slots: tuple | None
) -> tuple[Position, Ledger]:
    """Event 4 of a bar, with the protective exits, and event 5. Fills inside a bar pay its opening spread."""
    cash, units = position.cash, position.units
    # 4. intrabar check
    called = np.nan
    intrabar = rules.margin_check == CHECK_INTRABAR and units != 0
    if intrabar and accounting.breaches_margin(cash, units, accounting.worst_price(units, bar), rules):
        called = accounting.trigger_price(cash, units, bar, rules)
    stop = exits.stop_price(position.entry_price, units, bar, rules)
    if exits.is_first(stop, called, units):
        position, ledger = orders.take_out(_moved(at_open, stop), STOP_LOSS, rules, position, ledger, slots)
    elif not np.isnan(called):
        return orders.liquidate(_moved(at_open, called), TRIGGER, rules, position, ledger, slots)
    else:
        profit = exits.profit_price(position.entry_price, units, bar, rules)
        if not np.isnan(profit):
            position, ledger = orders.take_out(_moved(at_open, profit), TAKE_PROFIT, rules, position, ledger, slots)
    # 5. close check
    if accounting.breaches_margin(position.cash, position.units, bar.close, rules):
        at_close = Quote(at_open.row, bar.close, costs.half_spread_at_close(bar, rules), bar.volume)
        return orders.liquidate(at_close, MARGIN, rules, position, ledger, slots)
    return position, ledger


@njit(cache=True, error_model="numpy", forceinline=True)
def _moved(quote: Quote, mid: float) -> Quote:
    """The quote at another mid."""
    return Quote(quote.row, mid, quote.half_spread, quote.volume)


@njit(cache=True, error_model="numpy", forceinline=True)
def marked(close: float, units_t: float, position: Position, peak_t: float, bars_held: float) -> Mark:
    """Event 8: V = cash + units·C, and what follows from it. `units_t` are those before the step."""
    cash, units = position.cash, position.units
    equity = cash + units * close
    held = bars_held if units * units_t > 0 else 0.0
    return Mark(
        equity,
        accounting.exposure_of(cash, units, close),
        max(peak_t, equity),
        held + 1.0 if units != 0 else 0.0,
    )


@njit(cache=True, error_model="numpy", forceinline=True)
def turnover_after(turnover: float, ledger: Ledger, equity_t: float) -> float:
    """Turnover with the executed order of the step in it."""
    return turnover + ledger.notional / equity_t if ledger.traded > 0 else turnover
