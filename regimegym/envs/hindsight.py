"""hindsight_optimal: the best that could have been done, by dynamic programming over the action ladder.

After a `post_cost` fill an account stands exactly at its target weight. Where costs are proportional,
everything that follows (drift, carry, margin, the costs of the next order) therefore depends on that
weight and on the bar alone, times the equity. With rungs a of the ladder and ℓ_t(a, a′) the log
return of the step from row t when a was ordered before and a′ is ordered now,

    J_t(a) = max_{a′} [ ℓ_t(a, a′) + J_{t+1}(a′) ],    J = 0 behind the last bar and after a liquidation.

ℓ is asked of the step kernel (envs.outcomes), T·A² steps; no rule is written here a second time.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from regimegym.envs.actions import KEEP
from regimegym.envs.backtest import backtest, one_tape
from regimegym.envs.outcomes import ladder_of, outcome_batch
from regimegym.envs.settings import AccountSettings, EnvSettings, OrderSettings, RewardSettings
from regimegym.envs.state import bar_records, new_accounts, rule_record
from regimegym.features.bars import Bars, freeze_arrays
from regimegym.features.tape import MarketTape

CHUNK = 1 << 12  # rows whose steps are asked for at once
NEVER_DRIFTS = (0.0, 1.0)  # weights that prices alone do not move


@dataclass(frozen=True, eq=False)
class HindsightPath:
    """The best action path over T bars, as `backtest` replays it under the same settings.

    Attributes:
        targets: (T,) target weight decided at each close; the last decides nothing (NaN).
        equity: (T,) V_t, money, of the replay.
        log_return: ln(V_T / V_0), net of all costs; −∞ where nothing is left.
        planned_log_return: what the dynamic program expected of it; the same where it is exact.
        is_exact: no path over the ladder earns more. Otherwise an approximate ceiling: a very good
            path that can be traded, while a better one may exist.
    """

    targets: np.ndarray
    equity: np.ndarray
    log_return: float
    planned_log_return: float
    is_exact: bool

    def __post_init__(self) -> None:
        freeze_arrays(self)


def hindsight_optimal(
    bars: Bars | MarketTape | pd.DataFrame | Mapping[str, Any], settings: AccountSettings | EnvSettings | None = None
) -> HindsightPath:
    """The action path that would have earned most on `bars`, knowing all of them in advance.

    Args:
        bars: as for `backtest`; of one symbol, two bars or more.
        settings: costs, execution and margin, and the actions: rungs of the ladder in mode
            `target`, in mode `trade` 1 and 0 (−1 with `allow_short`); the defaults where None.

    Returns:
        The path. It is exact for `post_cost` sizing with proportional costs (no fixed fee, impact
        or lot) and no exits or brakes on orders, when either every rung is re-targeted at every
        bar (mode `target`, `rebalance: always`, band 0) or no rung drifts (0 and 1 without
        funding, band 0).

    Raises:
        ConfigError: `no-ladder`, continuous actions cannot be listed.
        DataError: as `backtest`.
    """
    tape = one_tape(bars)
    env_settings = EnvSettings(account=settings) if isinstance(settings, AccountSettings) else settings or EnvSettings()
    weights = ladder_of(env_settings)
    weights = weights[~np.isnan(weights)]
    log_returns, dead = _log_returns(tape, env_settings.account, weights)
    path, planned = _best_path(log_returns, dead, int(np.argmin(np.abs(weights))))
    targets = np.append(weights[path], KEEP)
    history = backtest(tape, targets, env_settings)
    end = float(history.equity[-1]) / env_settings.account.initial_cash
    log_return = math.log(end) if end > 0 else -math.inf
    return HindsightPath(targets, history.equity, log_return, planned, _is_exact(tape, env_settings, weights))


def _log_returns(tape: MarketTape, account: AccountSettings, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ℓ of every step and whether it liquidates, (T−1, A, A) by rung before and rung ordered now.

    On row 0 there is nothing but cash, whatever the rung before.
    """
    # Brakes look at an account's past, which a rung does not tell: they only count in the replay.
    settings = EnvSettings(account, RewardSettings(kind="log_return", max_trades_window=1), OrderSettings())
    bars, rules = bar_records(tape, account.carry_clock), rule_record(settings)
    n, n_rungs = len(tape) - 1, len(weights)
    log_returns, dead = np.empty((n, n_rungs, n_rungs)), np.empty((n, n_rungs, n_rungs), bool)
    first = outcome_batch(bars, rules, np.zeros(1, np.int64), new_accounts(1, settings), weights)
    log_returns[0], dead[0] = first.log_return, first.terminated
    for start in range(1, n, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n))
        # An account that has just gone from cash to rung a is, up to its size, every account on that rung.
        on_rungs = outcome_batch(bars, rules, rows - 1, new_accounts(len(rows), settings), weights).result.accounts
        outcomes = outcome_batch(bars, rules, np.repeat(rows, n_rungs), on_rungs, weights)
        log_returns[rows] = outcomes.log_return.reshape(-1, n_rungs, n_rungs)
        dead[rows] = outcomes.terminated.reshape(-1, n_rungs, n_rungs)
    return log_returns, dead


@njit(cache=True)
def _best_path(log_returns: np.ndarray, dead: np.ndarray, start: int) -> tuple[np.ndarray, float]:
    """(T−1,) rungs of the best path from rung `start` and J; of equally good ones the one that stays where it is."""
    n, n_rungs = log_returns.shape[:2]
    choice = np.empty((n, n_rungs), np.int64)
    value, value_before = np.zeros(n_rungs), np.zeros(n_rungs)
    for t in range(n - 1, -1, -1):
        for a in range(n_rungs):
            best, best_value = a, log_returns[t, a, a] + (0.0 if dead[t, a, a] else value[a])
            for b in range(n_rungs):
                candidate = log_returns[t, a, b] + (0.0 if dead[t, a, b] else value[b])
                if candidate > best_value:
                    best, best_value = b, candidate
            choice[t, a], value_before[a] = best, best_value
        value, value_before = value_before, value
    path, rung = np.empty(n, np.int64), start
    for t in range(n):
        rung = choice[t, rung]
        path[t] = rung
    return path, value[start]


def _is_exact(tape: MarketTape, settings: EnvSettings, weights: np.ndarray) -> bool:
    account = settings.account
    proportional = account.fixed_fee == 0 and account.impact == 0 and account.lot == 0
    if not (proportional and account.sizing == "post_cost" and settings.orders == OrderSettings()):
        return False
    if account.rebalance == "always" and account.band > 0:
        return False
    reached = np.clip(weights, -account.max_leverage, account.max_leverage)
    no_funding = tape.funding_rate is None or not tape.funding_rate.any()
    if no_funding and np.isin(reached, NEVER_DRIFTS).all():
        return True
    return settings.action.mode == "target" and account.rebalance == "always"
