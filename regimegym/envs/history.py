"""AccountHistory: what a backtest did, bar by bar, and where every bit of its equity came from."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from regimegym.envs.results import FILL, FILL_REASONS
from regimegym.envs.settings import AccountSettings
from regimegym.envs.trades import FILL_DTYPE, closed_trades
from regimegym.features.bars import freeze_arrays

BAR_FILL = np.dtype(
    [
        ("bar", np.int64),  # index of the bar in which it filled
        ("side", np.int8),  # +1 bought, −1 sold
        ("units", np.float64),  # > 0
        ("mid", np.float64),  # mid price at the fill
        ("price", np.float64),  # price paid, with spread and slippage
        ("fee", np.float64),  # money
        (
            "reason",
            f"U{max(map(len, FILL_REASONS))}",
        ),  # one of FILL_REASONS; all but `order` happen without being asked for
    ]
)
BAR_TRADE = np.dtype(
    [
        ("entry_bar", np.int64),
        ("exit_bar", np.int64),
        ("side", np.int8),  # +1 long, −1 short
        ("pnl", np.float64),  # money, net of costs and carry
        ("bars", np.int64),  # bars from the entry fill to the exit fill
    ]
)


@dataclass(frozen=True, eq=False)
class Attribution:
    """V_t − V_{t−1} in its parts, money: (T,) each, of every bar of a backtest, whose V_{−1} is the initial cash.

    Of one step of N accounts (envs.attribution) the arrays are (N,), and a bar is the step into it.

    Attributes:
        change: V_t − V_{t−1}.
        credit, borrow, debit: interest earned, paid on a short, paid on negative cash; ≥ 0.
        funding: funding of a perpetual, paid by longs when its rate is positive; negative when received.
        gap: units held over from the last close · (O_t − C_{t−1}).
        intrabar: units held inside the bar · the move of the mid while they were held.
        spread, slippage, fees: costs of the bar's fills, ≥ 0.
        forgiven: negative residual of a liquidation that `floor_zero` wiped out, ≥ 0.
    """

    change: np.ndarray
    credit: np.ndarray
    borrow: np.ndarray
    debit: np.ndarray
    funding: np.ndarray
    gap: np.ndarray
    intrabar: np.ndarray
    spread: np.ndarray
    slippage: np.ndarray
    fees: np.ndarray
    forgiven: np.ndarray

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @cached_property
    def carry(self) -> np.ndarray:
        """(T,) money booked at the beginning of each bar: credit − borrow − debit − funding."""
        return self.credit - self.borrow - self.debit - self.funding

    @cached_property
    def costs(self) -> np.ndarray:
        """(T,) money paid to trade: spread + slippage + fees."""
        return self.spread + self.slippage + self.fees

    @cached_property
    def residual(self) -> np.ndarray:
        """(T,) what the parts leave unexplained; round-off, below 1e-9 of equity."""
        return self.change - (self.carry + self.gap + self.intrabar - self.costs + self.forgiven)

    def totals(self) -> dict[str, float]:
        """Sum of every part over all bars, money."""
        return {field.name: float(getattr(self, field.name).sum()) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class AccountHistory:
    """One account over T bars; money in the quote currency, every array read-only.

    Attributes:
        timestamps: (T,) int64 UTC nanoseconds, start of the bars.
        equity: (T,) V_t = cash + units · C_t after every event of bar t (DEFINITIONS §5). With
            `same_close` the fill of the bar's own close is in it.
        cash, units, exposure: (T,) after every event of bar t; exposure is 0 where equity ≤ 0.
        fills: BAR_FILL, in time order.
        attribution: where each bar's change of equity came from.
        terminated: the account was liquidated, or lost everything; its equity is frozen since.
        settings: the account's settings, execution included.
    """

    timestamps: np.ndarray
    equity: np.ndarray
    cash: np.ndarray
    units: np.ndarray
    exposure: np.ndarray
    fills: np.ndarray
    attribution: Attribution
    terminated: bool
    settings: AccountSettings

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def __len__(self) -> int:
        return len(self.equity)

    @property
    def total_return(self) -> float:
        """V_T / V_0 − 1, net of costs; V_0 is the initial cash."""
        return float(self.equity[-1]) / self.settings.initial_cash - 1.0

    @property
    def trades(self) -> np.ndarray:
        """Closed trades, BAR_TRADE, in the order of their exits (DEFINITIONS §15)."""
        return self._closed_and_open[0]

    @property
    def open_trades(self) -> int:
        """1 when a position is open at the end, else 0."""
        return self._closed_and_open[1]

    @cached_property
    def _closed_and_open(self) -> tuple[np.ndarray, int]:
        fills = np.empty(len(self.fills), FILL_DTYPE)
        fills["step"] = fills["row"] = self.fills["bar"]
        for name in ("side", "units", "price", "fee"):
            fills[name] = self.fills[name]
        trades, still_open = closed_trades(fills, self.attribution.carry[1:], first_row=0)
        return trades.astype(BAR_TRADE), still_open

    def __str__(self) -> str:
        """A few lines for people: the result, its parts, the trades, and how orders were filled."""
        parts = {name: value for name, value in self.attribution.totals().items() if value != 0}
        lost = " · the account was liquidated" if self.terminated else ""
        lines = [
            f"{len(self):,} bars · fills at {self.settings.execution}{lost}",
            f"equity {self.settings.initial_cash:,.2f} → {self.equity[-1]:,.2f} ({self.total_return:+.2%})",
            f"{len(self.fills):,} fills · {len(self.trades):,} closed trades, {self.open_trades} open",
            *(f"  {name:<9}{value:>14,.2f}" for name, value in parts.items()),
        ]
        return "\n".join(lines)


def bar_fills(records: np.ndarray) -> np.ndarray:
    """BAR_FILL from the kernel's FILL records, whose units carry the side's sign."""
    assert records.dtype == FILL
    fills = np.empty(len(records), BAR_FILL)
    fills["bar"] = records["row"]
    fills["side"] = np.sign(records["units"])
    fills["units"] = np.abs(records["units"])
    for name in ("mid", "price", "fee"):
        fills[name] = records[name]
    fills["reason"] = np.array(FILL_REASONS)[records["reason"]]
    return fills
