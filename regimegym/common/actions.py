"""The three discrete orders of the `trade` action mode (DEFINITIONS §1)."""

from enum import IntEnum


class Action(IntEnum):
    """HOLD keeps the position; BUY and SELL move it to their target exposure.

    BUY targets +1 (or the sized target), SELL targets 0, or −1 where shorts are allowed.
    A redundant BUY or SELL executes no trade and costs nothing.
    """

    HOLD = 0
    SELL = 1
    BUY = 2
