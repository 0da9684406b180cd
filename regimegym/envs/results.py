"""What one step of N accounts produced: rewards, costs by kind, and every fill."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from regimegym.envs.state import ACCOUNT_ROWS, Accounts, field_rows

# Why something filled. No Python numbers: the fills would be compiled anew for each, as for a literal.
REASONS: list[Any] = list(np.arange(6))
ORDER, GAP, TRIGGER, MARGIN, STOP_LOSS, TAKE_PROFIT = REASONS
FILL_REASONS = ("order", "gap", "trigger", "margin", "stop_loss", "take_profit")
LIQUIDATIONS = (GAP, TRIGGER, MARGIN)  # the others are orders of the policy, or its protective exits
MAX_FILLS = 3  # `cash` sizing closes and opens; an exit or a liquidation may follow
FILL = np.dtype([("row", "i8"), ("units", "f8"), ("mid", "f8"), ("price", "f8"), ("fee", "f8"), ("reason", "i8")])

RESULT_ROWS = (
    "reward",
    "log_return",
    "exposure_at_fill",
    "traded",
    "notional",
    "credit",
    "borrow",
    "debit",
    "spread",
    "slippage",
    "fees",
    "n_fills",
    "funding",
)
(
    REWARD,
    LOG_RETURN,
    EXPOSURE_AT_FILL,
    TRADED,
    NOTIONAL,
    CREDIT,
    BORROW,
    DEBIT,
    SPREAD,
    SLIPPAGE,
    FEES,
    N_FILLS,
    FUNDING,
) = range(len(RESULT_ROWS))


@dataclass(frozen=True, eq=False)
class StepResult:
    """What one step did to N accounts.

    Attributes:
        accounts: the accounts at the mark of row t+1.
        values: (13, N) float64, one row per field of RESULT_ROWS; the properties below are views.
        fills: (N, 3) records FILL in the order they happened: row of the bar, signed units, mid,
            price paid, fee, reason (index into FILL_REASONS); only the first n_fills are valid.
    """

    accounts: Accounts
    values: np.ndarray
    fills: np.ndarray

    @property
    def reward(self) -> np.ndarray:
        """(N,) R of DEFINITIONS §6."""
        return self.values[REWARD]

    @property
    def log_return(self) -> np.ndarray:
        """(N,) ℓ, unshaped: ln(V_{t+1}/V_t), floored at ln 1e-3."""
        return self.values[LOG_RETURN]

    @property
    def exposure_at_fill(self) -> np.ndarray:
        """(N,) x right after the order filled, or at the mid where it would have."""
        return self.values[EXPOSURE_AT_FILL]

    @property
    def traded(self) -> np.ndarray:
        """(N,) 1.0 where the decision executed a trade (a liquidation is none)."""
        return self.values[TRADED]

    @property
    def notional(self) -> np.ndarray:
        """(N,) q, money at the mid of the executed order; 0 where none."""
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
        """(N,) lost to the half-spread, money."""
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

    @property
    def terminated(self) -> np.ndarray:
        """(N,) bool, True where the account is liquidated."""
        return self.accounts.done > 0


def new_result(accounts: Accounts) -> StepResult:
    """Room for the result of stepping `accounts`, to be handed to step_batch again and again."""
    n = len(accounts)
    return StepResult(
        Accounts(field_rows(len(ACCOUNT_ROWS), n), np.zeros_like(accounts.ring)),
        field_rows(len(RESULT_ROWS), n),
        np.zeros((n, MAX_FILLS), FILL),
    )
