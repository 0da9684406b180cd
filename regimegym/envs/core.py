"""step_batch: the one function in which time advances (DEFINITIONS §5).

N accounts, each on its own row t of the bars, decide at close t and are carried through bar t+1. calm.py steps
many of them at once while nothing but the ordinary happens, kernel.py one after the other whatever happens; both
call the same rules in the same order, written out in events.py, and give the same bits.
"""

import numpy as np

from regimegym.common.errors import RegimeGymError
from regimegym.envs.calm import step_many
from regimegym.envs.custom_reward import apply_reward_rule
from regimegym.envs.results import ORDER as ORDER  # for the layers above, beside StepResult
from regimegym.envs.results import StepResult, new_result
from regimegym.envs.reward_rules import RewardRule
from regimegym.envs.state import Accounts


def step_batch(
    bars: np.ndarray,
    rules: np.ndarray,
    rows: np.ndarray,
    accounts: Accounts,
    targets: np.ndarray,
    out: StepResult | None = None,
    reward_rule: RewardRule | None = None,
) -> StepResult:
    """Carry N accounts from their rows t to t+1.

    Args:
        bars: (T,) records of envs.state.bar_records.
        rules: (1,) record of envs.state.rule_record.
        rows: (N,) int64 rows t of the decisions, each below T − 1 and not the last of its segment.
        accounts: state at close t; not changed (unless the caller hands the same one in `out`).
        targets: (N,) float64 target weights; NaN keeps the position (HOLD).
        out: where the result goes; a new one where None.
        reward_rule: settings.reward.rule, which gives the reward in place of the kernel.

    Returns:
        The result at close t+1. A liquidated account stays as it is and earns 0.

    Raises:
        RegimeGymError: a row outside the bars, or an infinite target, naming the account;
            a reward rule that returned no numbers.
    """
    rows = np.ascontiguousarray(rows, np.int64)
    targets = np.ascontiguousarray(targets, np.float64)
    outside = np.flatnonzero((rows < 0) | (rows >= len(bars) - 1))
    if len(outside):
        raise RegimeGymError(
            "row-outside",
            f"account {outside[0]} decides on row {rows[outside[0]]}, needed 0 ≤ row < {len(bars) - 1}",
        )
    infinite = np.flatnonzero(np.isinf(targets))
    if len(infinite):
        raise RegimeGymError("bad-target", f"the target of account {infinite[0]} is {targets[infinite[0]]}")
    result = new_result(accounts) if out is None else out
    following = result.accounts
    step_many(
        bars,
        rules,
        rows,
        targets,
        accounts.values,
        accounts.ring,
        following.values,
        following.ring,
        result.values,
        result.fills,
    )
    if reward_rule is not None:
        apply_reward_rule(reward_rule, bars, rows, following, result)
    return result
