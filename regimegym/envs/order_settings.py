"""Settings of what becomes of orders and open positions beside the account rules of DEFINITIONS §5."""

from dataclasses import dataclass

from regimegym.common.checks import check_at_least, check_not_negative, check_number


@dataclass(frozen=True)
class OrderSettings:
    """Protective exits and brakes on trading; everything is off at 0.

    A position is closed at its stop-loss or take-profit inside a bar, after the bar's order has
    filled: at the level, or at the open where the bar opens beyond it. With both in one bar the
    stop counts. A stop fills before a margin liquidation where the price reaches it first, a
    profit is taken only where neither happened. Such an exit pays spread, slippage, impact and
    fee like any fill, is no decision (it counts neither as trade nor as turnover) and sets the
    last executed target to 0, so that the same target may be ordered again.

    An order that a brake stops is a HOLD: nothing trades and the last executed target stays.
    Exits and liquidations know no brakes.

    Attributes:
        stop_loss: loss at which a position is closed, as a fraction of its average fill price,
            in [0, 1).
        take_profit: gain at which it is closed, as a fraction of its average fill price.
        dead_band: targets other than 0 that are this near to the present weight are left alone,
            whatever `rebalance` says.
        minimum_hold: bars a position is held before the next order.
        turnover_budget: notional of the executed orders over equity, summed; once it is reached
            only orders to 0 execute. The order that reaches it fills whole.
        turnover_window: decisions after which the budget is new; 0: one budget for the episode.

    Raises:
        ConfigError: a setting is out of its range, with the value that came.
    """

    stop_loss: float = 0.0
    take_profit: float = 0.0
    dead_band: float = 0.0
    minimum_hold: int = 0
    turnover_budget: float = 0.0
    turnover_window: int = 0

    def __post_init__(self) -> None:
        for name in ("stop_loss", "take_profit", "dead_band", "turnover_budget"):
            check_not_negative(name, getattr(self, name))
        check_number("stop_loss", self.stop_loss, "< 1 (a fraction)", lambda v: v < 1)
        check_at_least("minimum_hold", self.minimum_hold, 0)
        check_at_least("turnover_window", self.turnover_window, 0)

    @property
    def is_braked(self) -> bool:
        """Whether an order may be refused because the position is too young or the budget is spent."""
        return self.minimum_hold > 0 or self.turnover_budget > 0
