"""AccountBatch: what the three environment classes share; they only translate its arrays.

Beside every agent's account walks a twin that bought at the first fill of the episode and holds:
the same bars, costs and execution, stepped in the same call.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regimegym.common.errors import DataError
from regimegym.envs.actions import KEEP, ActionTranslator
from regimegym.envs.core import step_kernel
from regimegym.envs.custom_reward import apply_reward_rule
from regimegym.envs.episodes import EpisodeStarts
from regimegym.envs.observation import (
    ACCOUNT_FIELDS,
    check_observation,
    observation_space,
    write_account_blocks,
    write_windows,
)
from regimegym.envs.results import new_result
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import EQUITY, START_EQUITY, bar_records, new_accounts, open_accounts, rule_record
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

BUY_AND_HOLD = 1.0  # target weight of the twin


class EpisodeEnd(NamedTuple):
    """Statistics of one finished episode."""

    episode_return: float  # V_T / V_0 − 1
    buy_hold_return: float  # of the twin
    episode_trades: int
    episode_length: int  # decisions


class AccountBatch:
    """N accounts on one tape, each in an episode of its own.

    Args:
        n_accounts: N ≥ 1.
        tape: the market.
        settings: account, reward, actions, episodes.
        rows: rows of the tape that may be used; all after the warm-up where None.
        observation: `window` or `reference`.

    Attributes:
        rows: (N,) row each account stands on.
        accounts: state of the N accounts and, behind them, their N twins; changed in place.
        result: StepResult of the last step over all 2N.
        truncated, terminated: (N,) bool of the last step; never both.

    Raises:
        DataError: too few rows for one episode.
        ConfigError: an unknown observation.
    """

    def __init__(
        self,
        n_accounts: int,
        tape: MarketTape,
        settings: EnvSettings,
        rows: RowRange | None,
        observation: str,
    ) -> None:
        self.n = n_accounts
        self.tape = tape
        self.settings = settings
        self.limits = _checked_rows(tape, rows)
        self.observation = check_observation(observation)
        self.starts = EpisodeStarts(tape, self.limits, settings.episode)
        self.actions = ActionTranslator(settings.action, settings.account.max_leverage)
        self.bars = bar_records(tape)
        self.rules = rule_record(settings, tape.periods_per_year)
        self.accounts = new_accounts(2 * n_accounts, settings)
        self.result = new_result(self.accounts)
        self.both_rows = np.zeros(2 * n_accounts, np.int64)
        self.rows = self.both_rows[:n_accounts]
        self.last_rows = np.zeros(n_accounts, np.int64)
        self.episodes = np.zeros(n_accounts, np.int64)
        self.targets = np.full(2 * n_accounts, KEEP)
        self.terminated = np.zeros(n_accounts, bool)
        self.truncated = np.zeros(n_accounts, bool)
        self.space = observation_space(observation, settings.episode.window, tape.n_features)

    # --- time ------------------------------------------------------------------------------------

    def reset(self, which: Sequence[int] | np.ndarray, generators: Sequence[np.random.Generator]) -> None:
        """Begin new episodes for the accounts `which`; `generators` holds one per account of N."""
        for i in which:
            self.rows[i] = self._next_start(int(i), generators[i])
        which = np.asarray(which, np.int64)
        both = np.concatenate([which, which + self.n])
        self.both_rows[which + self.n] = self.rows[which]
        self.last_rows[which] = self.rows[which] + self.settings.episode.length
        open_accounts(self.accounts, both, self.settings.account.initial_cash)
        self.targets[which + self.n] = BUY_AND_HOLD

    def step(self, actions: object) -> None:
        """Take one decision for every account; afterwards all stand on the next row."""
        n = self.n
        self.targets[:n] = self.actions.targets(actions, n)
        values, ring, result = self.accounts.values, self.accounts.ring, self.result
        step_kernel(
            self.bars, self.rules, self.both_rows, self.targets,
            values, ring, values, ring, result.values, result.fills,
        )  # fmt: skip
        if self.settings.reward.rule is not None:
            apply_reward_rule(self.settings.reward.rule, self.bars, self.both_rows, self.accounts, result)
        self.targets[n:] = KEEP
        self.both_rows += 1
        np.greater(self.accounts.done[:n], 0, out=self.terminated)
        np.greater_equal(self.rows, self.last_rows, out=self.truncated)
        self.truncated &= ~self.terminated

    def episode_end(self, i: int) -> EpisodeEnd:
        """Statistics of the episode account `i` has just finished."""
        values = self.accounts.values
        return EpisodeEnd(
            float(values[EQUITY, i] / values[START_EQUITY, i] - 1),
            float(values[EQUITY, i + self.n] / values[START_EQUITY, i + self.n] - 1),
            int(self.accounts.trades[i]),
            int(self.accounts.decisions[i]),
        )

    # --- what is seen ------------------------------------------------------------------------------

    def observe(self) -> dict[str, np.ndarray]:
        """New arrays `account` (N, K) and `market` (N, W, F) or `row` (N, 1)."""
        account = np.empty((self.n, len(ACCOUNT_FIELDS)), np.float32)
        ring_length = self.accounts.ring.shape[1]
        write_account_blocks(self.bars, self.rows, self.accounts.values, ring_length, account)
        if self.observation == "reference":
            return {"account": account, "row": self.rows[:, None].copy()}
        market = np.empty((self.n, self.settings.episode.window, self.tape.n_features), np.float32)
        write_windows(self.tape.features, self.tape.segment_start, self.rows, market)
        return {"account": account, "market": market}

    def _next_start(self, i: int, generator: np.random.Generator) -> int:
        if self.starts.random:
            return self.starts.draw(generator)
        index = i + self.n * int(self.episodes[i])
        self.episodes[i] += 1
        return self.starts.tile(index)


def _checked_rows(tape: MarketTape, rows: RowRange | None) -> RowRange:
    if rows is None:
        return RowRange(0, len(tape))
    if not 0 <= rows.start < rows.stop <= len(tape):
        raise DataError(
            "rows-outside",
            f"the rows [{rows.start}, {rows.stop}) do not lie within the tape",
            needed=f"0 ≤ start < stop ≤ {len(tape)}",
        )
    return RowRange(*rows)
