"""What the portfolio kernel reads and writes: bars, accounts and results as plain arrays.

One row per field (struct of arrays). What belongs to an instrument is kept account by account, so
that the M numbers of one account lie side by side.
"""

from dataclasses import dataclass

import numpy as np

from regimegym.envs.state import bar_records
from regimegym.features.portfolio_tape import PortfolioTape

ACCOUNT_ROWS = (
    "cash",
    "equity",
    "peak_equity",
    "start_equity",
    "decisions",
    "trades",
    "reward_sum",
    "done",
    "turnover",
)
CASH, EQUITY, PEAK_EQUITY, START_EQUITY, DECISIONS, TRADES, REWARD_SUM, DONE, TURNOVER = range(len(ACCOUNT_ROWS))

LEG_ROWS = ("units", "exposure", "last_target", "entry_price", "bars_held")
UNITS, EXPOSURE, LAST_TARGET, ENTRY_PRICE, BARS_HELD = range(len(LEG_ROWS))

RESULT_ROWS = (
    "reward",
    "log_return",
    "traded",
    "notional",
    "credit",
    "borrow",
    "debit",
    "funding",
    "spread",
    "slippage",
    "fees",
    "n_fills",
)
REWARD, LOG_RETURN, TRADED, NOTIONAL, CREDIT, BORROW, DEBIT, FUNDING, SPREAD, SLIPPAGE, FEES, N_FILLS = range(
    len(RESULT_ROWS)
)

PORTFOLIO_FILL = np.dtype(
    [
        ("row", "i8"),
        ("asset", "i8"),
        ("units", "f8"),
        ("mid", "f8"),
        ("price", "f8"),
        ("fee", "f8"),
        ("reason", "i8"),
    ]
)


@dataclass(frozen=True, eq=False)
class PortfolioAccounts:
    """State of N accounts of M instruments, each at the mark of the row it stands on.

    Attributes:
        values: (9, N) float64, one row per field of ACCOUNT_ROWS: cash (money, negative when
            borrowed), V and its highest and first value (money), decisions and executed orders
            since the start (an order may fill several instruments), sum of rewards, 1.0 where
            the account was liquidated, and the turnover that counts against the budget.
        legs: (5, N, M) float64, one row per field of LEG_ROWS: signed units, exposure
            units·P/V (0 where V ≤ 0), last executed target weight, average fill price and marks
            since the position was opened (both 0 when flat).
    """

    values: np.ndarray
    legs: np.ndarray

    def __len__(self) -> int:
        return self.values.shape[1]

    @property
    def cash(self) -> np.ndarray:
        """(N,) money, negative when borrowed."""
        return self.values[CASH]

    @property
    def equity(self) -> np.ndarray:
        """(N,) V, money: cash + Σ units · close of the row."""
        return self.values[EQUITY]

    @property
    def units(self) -> np.ndarray:
        """(N, M) units, negative when short."""
        return self.legs[UNITS]

    @property
    def exposure(self) -> np.ndarray:
        """(N, M) units · close / equity; 0 where equity ≤ 0."""
        return self.legs[EXPOSURE]

    @property
    def last_target(self) -> np.ndarray:
        """(N, M) last executed target weights, after scaling to max_leverage."""
        return self.legs[LAST_TARGET]

    @property
    def done(self) -> np.ndarray:
        """(N,) 1.0 where the account was liquidated."""
        return self.values[DONE]


@dataclass(frozen=True, eq=False)
class PortfolioResult:
    """What one step did to N accounts.

    Attributes:
        accounts: the accounts at the mark of row t+1.
        values: (12, N) float64, one row per field of RESULT_ROWS; the properties below are views.
        fills: (N, 2M) records PORTFOLIO_FILL in the order they happened: row of the bar, index of
            the instrument, signed units, mid, price paid, fee, reason (index into
            results.FILL_REASONS); only the first n_fills are valid.
    """

    accounts: PortfolioAccounts
    values: np.ndarray
    fills: np.ndarray

    @property
    def reward(self) -> np.ndarray:
        """(N,) κ·ℓ."""
        return self.values[REWARD]

    @property
    def log_return(self) -> np.ndarray:
        """(N,) ℓ, unshaped: ln(V_{t+1}/V_t), floored at ln 1e-3."""
        return self.values[LOG_RETURN]

    @property
    def traded(self) -> np.ndarray:
        """(N,) 1.0 where the decision executed a trade (a liquidation is none)."""
        return self.values[TRADED]

    @property
    def notional(self) -> np.ndarray:
        """(N,) Σ|Δ|·P of the executed order at the mids, money; 0 where none."""
        return self.values[NOTIONAL]

    @property
    def credit(self) -> np.ndarray:
        """(N,) interest earned, money."""
        return self.values[CREDIT]

    @property
    def borrow(self) -> np.ndarray:
        """(N,) paid for borrowed units, money."""
        return self.values[BORROW]

    @property
    def debit(self) -> np.ndarray:
        """(N,) paid for borrowed money, money."""
        return self.values[DEBIT]

    @property
    def funding(self) -> np.ndarray:
        """(N,) funding paid, money; negative where it was received."""
        return self.values[FUNDING]

    @property
    def spread(self) -> np.ndarray:
        """(N,) lost to the half-spreads, money."""
        return self.values[SPREAD]

    @property
    def slippage(self) -> np.ndarray:
        """(N,) lost to slippage and market impact, money."""
        return self.values[SLIPPAGE]

    @property
    def fees(self) -> np.ndarray:
        """(N,) fees, money."""
        return self.values[FEES]

    @property
    def n_fills(self) -> np.ndarray:
        """(N,) number of valid records in `fills`."""
        return self.values[N_FILLS]


def portfolio_bars(tape: PortfolioTape, carry_clock: str) -> np.ndarray:
    """(T, M) read-only records state.BAR of the instruments, row by row."""
    bars = np.stack([bar_records(market, carry_clock) for market in tape.markets], axis=1)
    bars.flags.writeable = False
    return bars


def new_portfolios(n_accounts: int, n_assets: int, initial_cash: float) -> PortfolioAccounts:
    """`n_accounts` fresh accounts: all cash (money), flat."""
    accounts = PortfolioAccounts(
        np.zeros((len(ACCOUNT_ROWS), n_accounts)), np.zeros((len(LEG_ROWS), n_accounts, n_assets))
    )
    open_portfolios(accounts, slice(None), initial_cash)
    return accounts


def open_portfolios(accounts: PortfolioAccounts, which: np.ndarray | slice, initial_cash: float) -> None:
    """Make the accounts `which` (indices) fresh, in place, with `initial_cash` of money."""
    accounts.values[:, which] = 0.0
    accounts.legs[:, which] = 0.0
    for field in (CASH, EQUITY, PEAK_EQUITY, START_EQUITY):
        accounts.values[field, which] = initial_cash


def new_portfolio_result(accounts: PortfolioAccounts) -> PortfolioResult:
    """Room for the result of stepping `accounts`, to be handed to the kernel again and again."""
    n, n_assets = accounts.legs.shape[1:]
    return PortfolioResult(
        PortfolioAccounts(np.zeros_like(accounts.values), np.zeros_like(accounts.legs)),
        np.zeros((len(RESULT_ROWS), n)),
        np.zeros((n, 2 * n_assets), PORTFOLIO_FILL),
    )
