"""Where the change of equity of one step came from, asked when it is wanted and never while stepping.

What a position earned between two fills is telescoped: with u units after the fills at the close the
order was decided on, Δ_k units filled at mids m_k inside the next bar, and u′ units at its end,

    gap = u·(O_{t+1} − C_t),    intrabar = u′·C_{t+1} − u·O_{t+1} − Σ_k Δ_k·m_k

`backtest` keeps the same parts by bar.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from regimegym.common.errors import ConfigError
from regimegym.envs.history import Attribution
from regimegym.envs.portfolio_state import PortfolioAccounts, PortfolioResult
from regimegym.envs.results import StepResult
from regimegym.envs.state import Accounts
from regimegym.envs.trading_env import TradingEnv


@dataclass(frozen=True, eq=False)
class PortfolioAttribution:
    """Of one step of N portfolios of M instruments, money.

    Attributes:
        total: the parts, (N,) each.
        gap, intrabar: (N, M), those of each instrument.
    """

    total: Attribution
    gap: np.ndarray
    intrabar: np.ndarray


def step_attribution(bars: np.ndarray, rows: np.ndarray, before: Accounts, result: StepResult) -> Attribution:
    """The parts of V_{t+1} − V_t of N accounts, (N,) each.

    With `same_close` V_t is the mark before the fill of its own bar, so the step holds that fill's costs.

    Args:
        bars: the records that were stepped along.
        rows: (N,) rows t of the decisions.
        before: the accounts before the step; copy them where the step is made in place.
        result: what step_batch made of them.
    """
    price = bars[rows]["close"], bars[rows + 1]["open"], bars[rows + 1]["close"]
    own, later = _fills_by_bar(result.fills, result.n_fills, rows)
    held = before.units + _sum(result.fills["units"], own)
    gap, intrabar = _moves(held, result.accounts.units, _sum(_values(result.fills), later), *price)
    return _attribution(before, result, gap, intrabar)


def portfolio_attribution(
    bars: np.ndarray, rows: np.ndarray, before: PortfolioAccounts, result: PortfolioResult
) -> PortfolioAttribution:
    """The parts of V_{t+1} − V_t of N portfolios; arguments as of step_attribution, bars (T, M)."""
    price = bars[rows]["close"], bars[rows + 1]["open"], bars[rows + 1]["close"]
    own, later = _fills_by_bar(result.fills, result.n_fills, rows)
    is_of = result.fills["asset"][..., None] == np.arange(bars.shape[1])
    held = before.units + _sum(result.fills["units"][..., None] * is_of, own[..., None])
    traded = _sum(_values(result.fills)[..., None] * is_of, later[..., None])
    gap, intrabar = _moves(held, result.accounts.units, traded, *price)
    return PortfolioAttribution(_attribution(before, result, gap.sum(axis=1), intrabar.sum(axis=1)), gap, intrabar)


class AttributionInfo(gymnasium.Wrapper):
    """Adds `attribution` to every info of a TradingEnv's steps: the parts by name, money.

    Args:
        env: a TradingEnv, wrapped or not.

    Raises:
        ConfigError: another environment.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        if not isinstance(env.unwrapped, TradingEnv):
            raise ConfigError(
                "no-trading-env",
                f"AttributionInfo wraps a TradingEnv, got {type(env.unwrapped).__name__}",
                help=("step_attribution and portfolio_attribution account for the steps of many accounts",),
            )
        super().__init__(env)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """The step of the environment, accounted for."""
        env = self.env.unwrapped
        assert isinstance(env, TradingEnv)
        batch = env.batch
        before, rows = Accounts(batch.accounts.values.copy(), batch.accounts.ring), batch.references.copy()
        observation, reward, terminated, truncated, info = self.env.step(action)
        parts = step_attribution(batch.bars, rows, before, batch.result)
        return observation, reward, terminated, truncated, info | {"attribution": parts.totals()}


def _fills_by_bar(fills: np.ndarray, n_fills: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the fills (N, K) belong to the bar of the decision, and which to the one behind it."""
    valid = np.arange(fills.shape[1]) < n_fills[:, None]
    own = valid & (fills["row"] == rows[:, None])
    return own, valid & ~own


def _sum(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Sum of the K fills, of those in `which`."""
    return np.where(which, values, 0.0).sum(axis=1)


def _values(fills: np.ndarray) -> np.ndarray:
    """Δ·m of every fill, money."""
    return fills["units"] * fills["mid"]


def _moves(
    held: np.ndarray, units: np.ndarray, traded: np.ndarray, close_t: np.ndarray, open_: np.ndarray, close: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(gap, intrabar) as the module says."""
    return held * (open_ - close_t), units * close - held * open_ - traded


def _attribution(
    before: Accounts | PortfolioAccounts, result: StepResult | PortfolioResult, gap: np.ndarray, intrabar: np.ndarray
) -> Attribution:
    fills, after = result.fills, result.accounts
    valid = np.arange(fills.shape[1]) < result.n_fills[:, None]
    paid = _sum(fills["units"] * fills["price"] + fills["fee"], valid)
    cash = before.cash + result.credit - result.borrow - result.debit - result.funding - paid
    is_forgiven = (after.done > before.done) & (after.cash == 0) & (cash < 0)
    return Attribution(
        change=after.equity - before.equity,
        credit=result.credit.copy(),
        borrow=result.borrow.copy(),
        debit=result.debit.copy(),
        funding=result.funding.copy(),
        gap=gap,
        intrabar=intrabar,
        spread=result.spread.copy(),
        slippage=result.slippage.copy(),
        fees=result.fees.copy(),
        forgiven=np.where(is_forgiven, -cash, 0.0),
    )
