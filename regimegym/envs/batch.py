"""AccountBatch: what the three environment classes share; they only translate its arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regimegym.common.errors import DataError
from regimegym.envs.actions import KEEP, ActionTranslator
from regimegym.envs.core import step_kernel
from regimegym.envs.custom_reward import apply_reward_rule
from regimegym.envs.holding import hold_equities
from regimegym.envs.observation import (
    ACCOUNT_FIELDS,
    check_observation,
    observation_space,
    write_account_blocks,
    write_windows,
)
from regimegym.envs.order_settings import OrderSettings
from regimegym.envs.reset_options import NO_OPTIONS, ResetOptions
from regimegym.envs.results import StepResult, new_result
from regimegym.envs.settings import EnvSettings
from regimegym.envs.stages import Stage, Terms, check_same_rows, check_same_spaces, make_terms
from regimegym.envs.state import (
    ACCOUNT_ROWS,
    BARS_HELD,
    DECISIONS,
    EQUITY,
    START_EQUITY,
    TRADES,
    TURNOVER,
    UNITS,
    Accounts,
    bar_records,
    field_rows,
    new_accounts,
    open_accounts,
)
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape


class EpisodeEnd(NamedTuple):
    """Statistics of one finished episode."""

    episode_return: float  # V_T / V_0 − 1
    buy_hold_return: float  # of the twin that bought first and held (envs.holding)
    episode_trades: int
    episode_length: int  # decisions
    symbol: str
    timeframe: str  # of its bars, such as 1h


class AccountBatch:
    """N accounts, each in an episode of its own.

    Args:
        n_accounts: N ≥ 1.
        tape: the market.
        settings: account, reward, actions, episodes.
        rows: rows of the tape that may be used; all after the warm-up where None.
        observation: `window` or `reference`.

    Attributes:
        tapes: the tape and those of later stages; all of T rows.
        references: (N,) row each account stands on in all tapes laid end to end: tape · T + row.
        first_references, last_references: (N,) where each episode began and will end at the latest.
        accounts: state of the N accounts, changed in place.
        result: StepResult of the last step.
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
        self.tapes = [tape]
        self.limits = _checked_rows(tape, rows)
        self.observation = check_observation(observation)
        self.terms = [make_terms(settings, self.tapes, (0,), self.limits)]
        self.terms_of = np.zeros(n_accounts, np.int64)
        self.actions = ActionTranslator(settings.action, settings.account.max_leverage)
        self.bars = bar_records(tape, settings.account.carry_clock)
        self.accounts = new_accounts(n_accounts, settings)
        self.result = _in_place(self.accounts)
        self.references = np.zeros(n_accounts, np.int64)
        self.first_references = np.zeros(n_accounts, np.int64)
        self.last_references = np.zeros(n_accounts, np.int64)
        self.episodes = np.zeros(n_accounts, np.int64)
        self.targets = np.full(n_accounts, KEEP)
        self.terminated = np.zeros(n_accounts, bool)
        self.truncated = np.zeros(n_accounts, bool)
        self._mixed = False  # whether accounts of several stages are under way
        self.space = observation_space(observation, settings.episode.window, tape.n_features)

    @property
    def settings(self) -> EnvSettings:
        """Those of the newest stage."""
        return self.terms[-1].settings

    @property
    def tape_rows(self) -> np.ndarray:
        """(N,) int64, new array: the row each account stands on, in its tape."""
        return self.references % len(self.tapes[0]) if len(self.tapes) > 1 else self.references.copy()

    @property
    def tape_indices(self) -> np.ndarray:
        """(N,) int64, new array: the tape each account stands on."""
        return self.references // len(self.tapes[0])

    @property
    def regimes(self) -> np.ndarray:
        """(N,) int64, new array: the regime of the row each account stands on."""
        return self.bars["regime"][self.references]

    # --- time ------------------------------------------------------------------------------------

    def set_stage(self, stage: Stage) -> None:
        """Let the episodes that begin from now on be as `stage` says.

        Raises:
            ConfigError, DataError: the stage does not fit (see Stage); nothing has changed then.
        """
        settings = stage.settings or self.settings
        check_same_spaces(self.settings, settings)
        tapes, chosen = list(self.tapes), self.terms[-1].tapes
        if stage.tapes is not None:
            check_same_rows(self.tapes[0], stage.tapes)
            tapes += [tape for tape in stage.tapes if not any(tape is known for known in tapes)]
            chosen = tuple(next(k for k, known in enumerate(tapes) if known is tape) for tape in stage.tapes)
        terms = make_terms(settings, tapes, chosen, self.limits, stage.starts)
        if len(tapes) > len(self.tapes):
            clock, others = settings.account.carry_clock, tapes[len(self.tapes) :]
            self.bars = np.concatenate([self.bars, *(bar_records(tape, clock) for tape in others)])
            self.bars.flags.writeable = False
        self.tapes = tapes
        in_use, self.terms_of = np.unique(self.terms_of, return_inverse=True)
        self.terms = [*(self.terms[k] for k in in_use), terms]

    def reset(
        self,
        which: Sequence[int] | np.ndarray,
        generators: Sequence[np.random.Generator],
        options: Sequence[ResetOptions] | None = None,
    ) -> None:
        """Begin new episodes for the accounts `which`; `generators` and `options` hold one per account of N.

        Raises:
            ConfigError, DataError: options that name no possible start; nothing has changed then.
        """
        terms = self.terms[-1]
        begun = [self._begin(terms, int(i), generators[i], options[i] if options else NO_OPTIONS) for i in which]
        which = np.asarray(which, np.int64)
        self.first_references[which], self.last_references[which] = np.array(begun, np.int64).T
        self.references[which] = self.first_references[which]
        self.terms_of[which] = len(self.terms) - 1
        self._mixed = bool((self.terms_of != self.terms_of[0]).any())
        open_accounts(self.accounts, which, terms.settings.account.initial_cash)

    def step(self, actions: object) -> None:
        """Take one decision for every account; afterwards all stand on the next row."""
        self.targets[:] = self.actions.targets(actions, self.n)
        if self._mixed:
            self._advance_each()
        else:
            self._advance(self.terms[self.terms_of[0]], self.references, self.targets, self.accounts, self.result)
        self.references += 1
        np.greater(self.accounts.done, 0, out=self.terminated)
        np.greater_equal(self.references, self.last_references, out=self.truncated)
        self.truncated &= ~self.terminated

    def hold_equities(self, which: np.ndarray) -> np.ndarray:
        """(n,) marks, on the rows where the accounts `which` stand, of twins that bought first and held."""
        equities = np.empty(len(which))
        for k, terms in enumerate(self.terms):
            part = np.flatnonzero(self.terms_of[which] == k)
            first, last = self.first_references[which[part]], self.references[which[part]]
            equities[part] = hold_equities(self.bars, terms.rules, terms.settings, first, last)
        return equities

    def episode_ends(self, which: np.ndarray) -> list[EpisodeEnd]:
        """Statistics of the episodes that the accounts `which` have just finished."""
        ended = self.accounts.values[:, which]
        columns = (
            ended[EQUITY] / ended[START_EQUITY] - 1,
            self.hold_equities(which) / ended[START_EQUITY] - 1,
            ended[TRADES].astype(np.int64),
            ended[DECISIONS].astype(np.int64),
        )
        numbers = zip(*(column.tolist() for column in columns), strict=True)
        return [EpisodeEnd._make((*end, *self.market_of(int(i)))) for i, end in zip(which, numbers, strict=True)]

    def market_of(self, i: int) -> tuple[str, str]:
        """Symbol and timeframe of the segment account `i` stands in."""
        tape, row = divmod(int(self.references[i]), len(self.tapes[0]))
        segment = self.tapes[tape].segment_of(row)
        return segment.symbol, segment.timeframe

    def fills_of(self, i: int) -> list[tuple[int, float, float]]:
        """(tape row, signed units, price) of what account `i` filled in the last step."""
        records = self.result.fills[i, : int(self.result.n_fills[i])]
        n_rows = len(self.tapes[0])
        return [(int(fill["row"]) % n_rows, float(fill["units"]), float(fill["price"])) for fill in records]

    def _begin(self, terms: Terms, i: int, generator: np.random.Generator, options: ResetOptions) -> tuple[int, int]:
        """First and last reference of the next episode of account `i`."""
        k = int(generator.integers(len(terms.tapes))) if len(terms.tapes) > 1 else 0
        starts, offset = terms.starts[k], terms.tapes[k] * len(self.tapes[0])
        if options.start is not None:
            row = starts.at(options)
        elif options != NO_OPTIONS or starts.random:
            row = starts.draw(generator, options)
        else:
            row = starts.tile(i + self.n * int(self.episodes[i]))
            self.episodes[i] += 1
        return offset + row, offset + starts.end_of(row)

    def _advance(
        self, terms: Terms, references: np.ndarray, targets: np.ndarray, accounts: Accounts, result: StepResult
    ) -> None:
        """Step `accounts`, which are those of `result`, in place."""
        values, ring = accounts.values, accounts.ring
        step_kernel(
            self.bars, terms.rules, references, targets, values, ring, values, ring, result.values, result.fills
        )
        if terms.settings.reward.rule is not None:
            apply_reward_rule(terms.settings.reward.rule, self.bars, references, accounts, result)

    def _advance_each(self) -> None:
        """Step the accounts of each stage by themselves, while some still live under an earlier one."""
        for k, terms in enumerate(self.terms):
            which = np.flatnonzero(self.terms_of == k)
            if len(which):
                # Laid out as all accounts are, or the kernel would be compiled once more.
                part = Accounts(field_rows(len(ACCOUNT_ROWS), len(which)), self.accounts.ring[which])
                part.values[:] = self.accounts.values[:, which]
                result = _in_place(part)
                self._advance(terms, self.references[which], self.targets[which], part, result)
                self.accounts.values[:, which], self.accounts.ring[which] = part.values, part.ring
                self.result.values[:, which], self.result.fills[which] = result.values, result.fills

    # --- what is seen ------------------------------------------------------------------------------

    def observe(self) -> dict[str, np.ndarray]:
        """New arrays `account` (N, K) and `market` (N, W, F) or `row` (N, 1), the reference."""
        account = np.empty((self.n, len(ACCOUNT_FIELDS)), np.float32)
        ring_length = self.accounts.ring.shape[1]
        write_account_blocks(self.bars, self.references, self.accounts.values, ring_length, account)
        if self.observation == "reference":
            return {"account": account, "row": self.references[:, None].copy()}
        market = np.empty((self.n, self.settings.episode.window, self.tapes[0].n_features), np.float32)
        if len(self.tapes) == 1:
            write_windows(self.tapes[0].features, self.tapes[0].segment_start, self.references, market)
        else:
            self._write_windows_of_several(market)
        return {"account": account, "market": market}

    def masks(self) -> np.ndarray:
        """(N, A) bool, the admissible actions; see ActionTranslator.masks."""
        accounts, n = self.accounts, self.n
        is_held, is_spent = np.zeros(n, bool), np.zeros(n, bool)
        for k, terms in enumerate(self.terms):
            which = np.flatnonzero(self.terms_of == k)
            is_held[which], is_spent[which] = refusals(accounts.values[:, which], terms.settings.orders)
        return self.actions.masks(is_held, is_spent)

    def _write_windows_of_several(self, market: np.ndarray) -> None:
        rows, indices = self.tape_rows, self.tape_indices
        for k in np.unique(indices):
            which = np.flatnonzero(indices == k)
            part = np.empty((len(which), *market.shape[1:]), np.float32)
            write_windows(self.tapes[k].features, self.tapes[k].segment_start, rows[which], part)
            market[which] = part


def refusals(accounts: np.ndarray, orders: OrderSettings) -> tuple[np.ndarray, np.ndarray]:
    """What envs.exits.braked_target refuses on the next decision, (n,) bool each.

    Args:
        accounts: Accounts.values of n accounts.
        orders: the brakes.

    Returns:
        Whether the position is too young for another order, and whether the turnover budget is used up.
    """
    is_held = (accounts[UNITS] != 0) & (accounts[BARS_HELD] < orders.minimum_hold)
    turnover = accounts[TURNOVER]
    if orders.turnover_window > 0:
        turnover = np.where(accounts[DECISIONS] % orders.turnover_window == 0, 0.0, turnover)
    return is_held, (orders.turnover_budget > 0) & (turnover >= orders.turnover_budget)


def _in_place(accounts: Accounts) -> StepResult:
    """Room for the result of stepping `accounts` where they are."""
    room = new_result(accounts)
    return StepResult(accounts, room.values, room.fills)


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
