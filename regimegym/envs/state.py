"""What the kernel reads and writes: bars, rules and accounts as plain arrays.

Parameters and state are different things: `rules` never change while an environment lives,
`Accounts` change at every step. Accounts are kept as one row per field (struct of arrays), all in
one float64 matrix, so that a compiled call unpacks one array instead of seventeen.
"""

from dataclasses import dataclass

import numpy as np

from regimegym.envs.settings import (
    EXECUTIONS,
    MARGIN_CHECKS,
    REBALANCES,
    SIZINGS,
    SPREAD_SOURCES,
    EnvSettings,
)
from regimegym.features.bar_records import years_elapsed
from regimegym.features.tape import MarketTape

# --- bars ----------------------------------------------------------------------------------------


def bar_records(tape: MarketTape, carry_clock: str) -> np.ndarray:
    """(T,) read-only records BAR of a tape's rows, as the kernel reads them.

    With `carry_clock: per_bar` they are the tape's own, in which `years` is 1/periods_per_year of the
    bar's segment; else a copy in which it is the time since the bar before it.
    """
    if carry_clock == "per_bar":
        return tape.records
    records = tape.records.copy()
    records["years"] = years_elapsed(tape.timestamps, tape.segments)
    records.flags.writeable = False
    return records


# --- rules ---------------------------------------------------------------------------------------

NEXT_OPEN, SAME_CLOSE = range(2)
CONSTANT_SPREAD, BAR_SPREAD = range(2)
POST_COST, PRE_COST, CASH_SIZING = range(3)
ON_CHANGE, ALWAYS = range(2)
CHECK_CLOSE, CHECK_INTRABAR, CHECK_NONE = range(3)
SHAPED, DIFFERENTIAL_SHARPE, DRAWDOWN_PENALISED = range(3)  # regime_aware, log_return and custom are SHAPED

_CODES = {
    "execution": EXECUTIONS,
    "spread_source": SPREAD_SOURCES,
    "sizing": SIZINGS,
    "rebalance": REBALANCES,
    "margin_check": MARGIN_CHECKS,
}
_NUMBERS = (
    "fee_rate",
    "fixed_fee",
    "half_spread",
    "slippage",
    "impact",
    "borrow_rate",
    "debit_rate",
    "credit_rate",
    "lot",
    "band",
    "max_leverage",
    "maintenance_margin",
)
_REWARD_CODES = {"differential_sharpe": DIFFERENTIAL_SHARPE, "drawdown_penalised": DRAWDOWN_PENALISED}
_ORDERS = ("stop_loss", "take_profit", "dead_band", "minimum_hold", "turnover_budget", "turnover_window")
_PENALTIES = ("missed_uptrend_penalty", "size_penalty", "overtrading_penalty", "small_trade_penalty")
_REWARDS = ("reward_scale", "sized_target", "minimum_trade", "sharpe_adaptation", "drawdown_penalty")

RULES = np.dtype(
    [(name, "i8") for name in _CODES]
    + [(name, "f8") for name in (*_NUMBERS, *_ORDERS, *_PENALTIES, *_REWARDS)]
    + [
        ("floor_zero", "i8"),
        ("reward_kind", "i8"),
        ("positive_scale", "f8", (5,)),
        ("negative_scale", "f8", (5,)),
        ("uptrend_target", "f8"),
        ("max_trades_window", "i8"),
        ("max_trades", "i8"),
    ]
)


def rule_record(settings: EnvSettings) -> np.ndarray:
    """(1,) record RULES: the settings of account, orders and reward as the kernel reads them.

    Scales are indexed by Regime; the last one belongs to UNKNOWN (index −1) and is the
    oscillating one. With `margin_check: none` the maintenance margin is 0: only equity ≤ 0 counts.
    A `custom` reward is 0 here and is put in after the kernel (envs.custom_reward).
    """
    account, reward = settings.account, settings.reward
    rules = np.zeros(1, RULES)
    for name, choices in _CODES.items():
        rules[name] = choices.index(getattr(account, name))
    for name in _NUMBERS:
        rules[name] = getattr(account, name)
    for name in _ORDERS:
        rules[name] = getattr(settings.orders, name)
    if account.margin_check == "none":
        rules["maintenance_margin"] = 0.0
    rules["floor_zero"] = account.floor_zero
    for name in _REWARDS:
        rules[name] = getattr(reward, name)
    rules["reward_kind"] = _REWARD_CODES.get(reward.kind, SHAPED)
    if reward.kind == "custom":
        rules["reward_scale"] = 0.0
    rules["uptrend_target"] = min(reward.uptrend_target, account.max_leverage)
    rules["max_trades_window"] = reward.max_trades_window
    rules["max_trades"] = reward.max_trades
    rules["positive_scale"] = rules["negative_scale"] = 1.0
    if reward.kind == "regime_aware":
        rules["positive_scale"] = (*reward.positive_scales, reward.positive_scales[3])
        rules["negative_scale"] = (*reward.negative_scales, reward.negative_scales[3])
        for name in _PENALTIES:
            rules[name] = getattr(reward, name)
    rules.flags.writeable = False
    return rules


# --- accounts ------------------------------------------------------------------------------------

ACCOUNT_ROWS = (
    "cash",
    "units",
    "equity",
    "exposure",
    "entry_price",
    "bars_held",
    "peak_equity",
    "start_equity",
    "last_target",
    "decisions",
    "recent_trades",
    "trades",
    "reward_sum",
    "done",
    "turnover",
    "return_mean",
    "return_square",
)
(
    CASH,
    UNITS,
    EQUITY,
    EXPOSURE,
    ENTRY_PRICE,
    BARS_HELD,
    PEAK_EQUITY,
    START_EQUITY,
    LAST_TARGET,
    DECISIONS,
    RECENT_TRADES,
    TRADES,
    REWARD_SUM,
    DONE,
    TURNOVER,
    RETURN_MEAN,
    RETURN_SQUARE,
) = range(len(ACCOUNT_ROWS))


@dataclass(frozen=True, eq=False)
class Accounts:
    """State of N accounts, each at the mark of the row it stands on.

    Attributes:
        values: (17, N) float64, one row per field of ACCOUNT_ROWS; the properties below are views.
        ring: (N, W) uint8, whether each of the last W decisions traded.
    """

    values: np.ndarray
    ring: np.ndarray

    def __len__(self) -> int:
        return self.values.shape[1]

    @property
    def cash(self) -> np.ndarray:
        """(N,) money, negative when borrowed."""
        return self.values[CASH]

    @property
    def units(self) -> np.ndarray:
        """(N,) units of the instrument, negative when short."""
        return self.values[UNITS]

    @property
    def equity(self) -> np.ndarray:
        """(N,) V, money: cash + units · close of the row."""
        return self.values[EQUITY]

    @property
    def exposure(self) -> np.ndarray:
        """(N,) units · close / equity; 0 where equity ≤ 0."""
        return self.values[EXPOSURE]

    @property
    def entry_price(self) -> np.ndarray:
        """(N,) average fill price of the open position; 0 when flat."""
        return self.values[ENTRY_PRICE]

    @property
    def bars_held(self) -> np.ndarray:
        """(N,) marks since the position was opened; 0 when flat."""
        return self.values[BARS_HELD]

    @property
    def peak_equity(self) -> np.ndarray:
        """(N,) highest mark so far, the start included."""
        return self.values[PEAK_EQUITY]

    @property
    def start_equity(self) -> np.ndarray:
        """(N,) equity the account began with."""
        return self.values[START_EQUITY]

    @property
    def last_target(self) -> np.ndarray:
        """(N,) last executed target weight, after clipping."""
        return self.values[LAST_TARGET]

    @property
    def decisions(self) -> np.ndarray:
        """(N,) decisions taken since the start."""
        return self.values[DECISIONS]

    @property
    def recent_trades(self) -> np.ndarray:
        """(N,) n_W, executed trades among the last W decisions."""
        return self.values[RECENT_TRADES]

    @property
    def trades(self) -> np.ndarray:
        """(N,) executed orders since the start."""
        return self.values[TRADES]

    @property
    def reward_sum(self) -> np.ndarray:
        """(N,) shaped reward since the start."""
        return self.values[REWARD_SUM]

    @property
    def done(self) -> np.ndarray:
        """(N,) 1.0 where the account was liquidated."""
        return self.values[DONE]

    @property
    def turnover(self) -> np.ndarray:
        """(N,) notional of the executed orders over equity, since the start or the last new budget."""
        return self.values[TURNOVER]

    @property
    def return_mean(self) -> np.ndarray:
        """(N,) running mean of the step returns; only `differential_sharpe` keeps it."""
        return self.values[RETURN_MEAN]

    @property
    def return_square(self) -> np.ndarray:
        """(N,) running mean of their squares; only `differential_sharpe` keeps it."""
        return self.values[RETURN_SQUARE]


def field_rows(n_fields: int, n_accounts: int) -> np.ndarray:
    """(n_fields, N) float64 zeros, rows an odd number of cache lines apart.

    A step touches every row at the same column. Rows a multiple of 4096 bytes apart would share
    one set of the processor's cache and drive each other out of it (measured: 30 ns an account).
    """
    line = 8  # numbers in a cache line of 64 bytes
    lines = (n_accounts // line + 1) | 1
    return np.zeros((n_fields, lines * line))[:, :n_accounts]


def new_accounts(n_accounts: int, settings: EnvSettings) -> Accounts:
    """`n_accounts` fresh accounts: all cash, flat, nothing of an earlier episode."""
    accounts = Accounts(
        field_rows(len(ACCOUNT_ROWS), n_accounts),
        np.zeros((n_accounts, settings.reward.max_trades_window), np.uint8),
    )
    open_accounts(accounts, slice(None), settings.account.initial_cash)
    return accounts


def open_accounts(accounts: Accounts, which: np.ndarray | slice, initial_cash: float) -> None:
    """Make the accounts `which` (indices) fresh, in place, with `initial_cash` of money."""
    fresh = np.zeros((len(ACCOUNT_ROWS), 1))
    fresh[[CASH, EQUITY, PEAK_EQUITY, START_EQUITY]] = initial_cash
    accounts.values[:, which] = fresh
    accounts.ring[which] = 0
