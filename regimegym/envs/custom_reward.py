"""Where a reward rule of the user's own takes the place of the kernel's reward."""

import numpy as np

from regimegym.common.errors import RegimeGymError
from regimegym.envs.results import REWARD, StepResult
from regimegym.envs.reward_rules import RewardRule, StepFacts
from regimegym.envs.state import REWARD_SUM, Accounts


def apply_reward_rule(
    rule: RewardRule, bars: np.ndarray, rows: np.ndarray, accounts: Accounts, result: StepResult
) -> None:
    """Replace the rewards of `result`, in place, by those of `rule`, and add them up in `accounts`.

    `rows` (N,) are those of the decisions, `accounts` the N accounts after the step, where they lie.

    Accounts that were liquidated before this step earn 0, as always.

    Raises:
        RegimeGymError: `bad-reward`, the rule returned another shape, NaN or infinity; names the account.
    """
    done = accounts.done > 0
    frozen = done & (result.n_fills == 0)
    rewards = np.asarray(rule.reward(_facts(bars, rows, accounts, result, done & ~frozen)))
    name = type(rule).__name__
    if rewards.shape != frozen.shape:
        raise RegimeGymError(
            "bad-reward", f"{name}.reward returned shape {rewards.shape}", needed=f"{frozen.shape}, one per account"
        )
    wrong = np.flatnonzero(~np.isfinite(rewards) & ~frozen)
    if len(wrong):
        raise RegimeGymError("bad-reward", f"{name}.reward of account {wrong[0]} is {rewards[wrong[0]]}")
    result.values[REWARD] = np.where(frozen, 0.0, rewards)
    accounts.values[REWARD_SUM] += result.values[REWARD]


def _facts(
    bars: np.ndarray, rows: np.ndarray, accounts: Accounts, result: StepResult, terminated: np.ndarray
) -> StepFacts:
    peak, equity = accounts.peak_equity, accounts.equity
    facts = StepFacts(
        log_return=result.log_return.copy(),
        exposure=result.exposure_at_fill.copy(),
        regime=bars["regime"][rows],
        traded=result.traded > 0,
        notional=result.notional.copy(),
        costs=result.spread + result.slippage + result.fees,
        equity=equity.copy(),
        drawdown=(peak - equity) / peak,
        terminated=terminated,
    )
    for array in facts:
        array.flags.writeable = False
    return facts
