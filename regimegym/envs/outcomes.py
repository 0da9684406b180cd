"""Every outcome: what each action of the ladder would lead to, from any row and any account.

Prices do not react to the agent, so the step kernel can be asked for the actions that were not
taken. One call of step_batch over N · A accounts; nothing is stepped twice.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from regimegym.common.errors import ConfigError
from regimegym.envs.actions import ActionTranslator
from regimegym.envs.core import step_batch
from regimegym.envs.results import StepResult
from regimegym.envs.reward_rules import RewardRule
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import Accounts, bar_records, rule_record
from regimegym.features.tape import MarketTape

_RECORDS: WeakKeyDictionary[MarketTape, dict[str, np.ndarray]] = WeakKeyDictionary()  # by clock; a tape never changes


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What A actions did to N accounts.

    Attributes:
        targets: (A,) target weight of each action; NaN keeps the position.
        result: StepResult of N · A accounts; account n under action a is number n · A + a.
    """

    targets: np.ndarray
    result: StepResult

    @property
    def accounts(self) -> np.ndarray:
        """(K, N, A) float64, the next accounts: one row per field of envs.state.ACCOUNT_ROWS."""
        return self._by_action(self.result.accounts.values)

    @property
    def reward(self) -> np.ndarray:
        """(N, A) R of DEFINITIONS §6."""
        return self._by_action(self.result.reward)

    @property
    def log_return(self) -> np.ndarray:
        """(N, A) ℓ, unshaped."""
        return self._by_action(self.result.log_return)

    @property
    def terminated(self) -> np.ndarray:
        """(N, A) bool, the account is liquidated."""
        return self._by_action(self.result.terminated)

    @property
    def traded(self) -> np.ndarray:
        """(N, A) bool, the action executed a trade."""
        return self._by_action(self.result.traded) > 0

    def _by_action(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(*values.shape[:-1], -1, len(self.targets))


def all_outcomes(tape: MarketTape, rows: np.ndarray, accounts: Accounts, settings: EnvSettings) -> Outcomes:
    """Next accounts, rewards and flags of every action, exactly as one step each would give them.

    Args:
        tape: the market.
        rows: (N,) rows t of the decisions, each below T − 1 and not the last of its segment.
        accounts: N accounts at close t; not changed.
        settings: account, reward and actions: HOLD, SELL, BUY in mode `trade`, the rungs of the
            ladder in mode `target`.

    Raises:
        ConfigError: `no-ladder`, continuous actions cannot be listed.
        RegimeGymError: a row outside the tape, naming the account (n · A + a).
    """
    weights = ladder_of(settings)
    clock, known = settings.account.carry_clock, _RECORDS.setdefault(tape, {})
    if clock not in known:
        known[clock] = bar_records(tape, clock)
    return outcome_batch(known[clock], rule_record(settings), rows, accounts, weights, settings.reward.rule)


def ladder_of(settings: EnvSettings) -> np.ndarray:
    """(A,) target weight of each action; NaN keeps the position.

    Raises:
        ConfigError: `no-ladder`, continuous actions cannot be listed.
    """
    weights = ActionTranslator(settings.action, settings.account.max_leverage).weights
    if weights is None:
        raise ConfigError("no-ladder", "continuous actions cannot be listed; use mode trade or target")
    return weights


def outcome_batch(
    bars: np.ndarray,
    rules: np.ndarray,
    rows: np.ndarray,
    accounts: Accounts,
    targets: np.ndarray,
    reward_rule: RewardRule | None = None,
) -> Outcomes:
    """all_outcomes on the kernel's own records, with the actions as target weights (A,).

    `reward_rule` is settings.reward.rule; without it a `custom` reward is 0.
    """
    n_actions = len(targets)
    asked = Accounts(np.repeat(accounts.values, n_actions, axis=1), np.repeat(accounts.ring, n_actions, axis=0))
    rows = np.repeat(np.asarray(rows, np.int64), n_actions)
    return Outcomes(
        targets, step_batch(bars, rules, rows, asked, np.tile(targets, len(accounts)), reward_rule=reward_rule)
    )
