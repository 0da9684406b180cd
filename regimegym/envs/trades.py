"""Fills and the closed trades inside them (DEFINITIONS §15)."""

import numpy as np
from numba import njit

FILL_DTYPE = np.dtype(
    [
        ("step", np.int64),  # decision whose way to the next mark holds the fill
        ("row", np.int64),  # tape row of the bar in which it filled
        ("side", np.int8),  # +1 bought, −1 sold
        ("units", np.float64),  # > 0
        ("mid", np.float64),  # mid price at the fill
        ("price", np.float64),  # price paid, with spread and slippage
        ("fee", np.float64),  # money
        ("reason", np.int8),  # index into envs.results.FILL_REASONS
    ]
)
TRADE_DTYPE = np.dtype(
    [
        ("entry_step", np.int64),
        ("exit_step", np.int64),
        ("side", np.int8),  # +1 long, −1 short
        ("pnl", np.float64),  # money, net of costs and carry
        ("bars", np.int64),  # bars from the entry fill to the exit fill
    ]
)
UNITS_EPSILON = 1e-12  # share of the larger leg; what is left of a position below it is round-off


def closed_trades(fills: np.ndarray, carry: np.ndarray, first_row: int) -> tuple[np.ndarray, int]:
    """Closed trades of a list of fills that begins flat, and the number still open (0 or 1).

    A trade lasts from leaving flat, or from a change of sign, to flat, change of sign or
    liquidation. Fills in between belong to it. Its P&L is all cash that flowed, fees and the
    carry booked while it was open included. A fill that turns the position is split: as much
    as closes the old trade, with its share of the fee, and the rest that opens the new one.

    Args:
        fills: FILL_DTYPE in time order.
        carry: (n,) money booked in bar first_row + 1 + i before any fill at that bar's open.
        first_row: tape row of the first decision.

    Returns:
        TRADE_DTYPE in the order of the exits, and 1 when a position is still open, else 0.
    """
    carried = np.concatenate([[0.0], np.cumsum(carry)])  # up to and including bar first_row + i
    trades = np.empty(len(fills), TRADE_DTYPE)  # a fill closes one trade at most
    count, still_open = _pair_off(fills, carried, first_row, trades)
    return trades[:count].copy(), int(still_open)


@njit(cache=True, error_model="numpy")
def _pair_off(fills: np.ndarray, carried: np.ndarray, first_row: int, trades: np.ndarray) -> tuple[int, bool]:
    """The loop of closed_trades: fills `trades`, returns their number and whether one is still open."""
    held, flow, entry_step, entry_row, count = 0.0, 0.0, 0, 0, 0
    for i in range(len(fills)):
        fill = fills[i]
        left = fill.units
        if held * fill.side < 0:
            closing = min(fill.units, abs(held))
            flow += -fill.side * closing * fill.price - fill.fee * closing / fill.units
            remaining = abs(held) - closing
            left = fill.units - closing
            tiny = UNITS_EPSILON * max(abs(held), fill.units)
            if remaining > tiny:
                held = remaining if held > 0 else -remaining
                continue
            trade = trades[count]
            trade.entry_step, trade.exit_step = entry_step, fill.step
            trade.side = 1 if held > 0 else -1
            trade.pnl = flow + carried[fill.row - first_row] - carried[entry_row - first_row]
            trade.bars = fill.row - entry_row
            count += 1
            held, flow = 0.0, 0.0
            if left <= tiny:
                continue
        if held == 0.0:
            entry_step, entry_row = fill.step, fill.row
        flow += -fill.side * left * fill.price - fill.fee * left / fill.units
        held += fill.side * left
    return count, held != 0.0
