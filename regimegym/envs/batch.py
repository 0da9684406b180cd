"""AccountBatch: what the three environment classes share; they only translate its arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from regimegym.common.errors import DataError
from regimegym.envs.actions import KEEP, ActionTranslator
from regimegym.envs.calm import step_many
from regimegym.envs.custom_reward import apply_reward_rule
from regimegym.envs.episode_watch import EpisodeWatch
from regimegym.envs.holding import extremes_of, hold_equities
from regimegym.envs.observation import check_observation, observation_space, write_account_blocks
from regimegym.envs.order_settings import OrderSettings
from regimegym.envs.outputs import Outputs, outputs_of, report_step
from regimegym.envs.recorder import StepRecorder
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
        terms, all_terms: of the stages that accounts live under, the newest last, and of all so far.
        references: (N,) row each account stands on in all tapes laid end to end: tape · T + row.
        first_references, last_references: (N,) where each episode began and will end at the latest.
        accounts: state of the N accounts, changed in place.
        result: StepResult of the last step.
        recorder: told of every step and new episode, for a replay buffer; None where nobody asks.
        watch: the same, for pictures of one account.

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
        self.all_terms = list(self.terms)
        self.terms_of = np.zeros(n_accounts, np.int64)
        self.actions = ActionTranslator(settings.action, settings.account.max_leverage)
        self.bars = bar_records(tape, settings.account.carry_clock)
        self._extremes = extremes_of(self.bars)
        self.accounts = new_accounts(n_accounts, settings)
        self.result = _in_place(self.accounts)
        self.references = np.zeros(n_accounts, np.int64)
        self.first_references = np.zeros(n_accounts, np.int64)
        self.last_references = np.zeros(n_accounts, np.int64)
        self.episodes = np.zeros(n_accounts, np.int64)
        self.targets = np.full(n_accounts, KEEP)
        self.recorder: StepRecorder | None = None
        self.watch: EpisodeWatch | None = None
        self._mixed = False  # whether accounts of several stages are under way
        self._segment_starts = np.array([segment.start for segment in tape.segments])
        self._symbols = np.array([segment.symbol for segment in tape.segments], object)
        self._timeframes = np.array([segment.timeframe for segment in tape.segments], object)
        self.window = None if observation == "reference" else (settings.episode.window, tape.n_features)
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
        if self.recorder is not None:
            self.recorder.check(settings)
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
            self._extremes = extremes_of(self.bars)
        self.tapes = tapes
        in_use, self.terms_of = np.unique(self.terms_of, return_inverse=True)
        self.terms = [*(self.terms[k] for k in in_use), terms]
        self.all_terms.append(terms)

    def stand_under(self, stages: Sequence[int], terms_of: np.ndarray) -> None:
        """Let account i live under the stage `stages[terms_of[i]]`, counted in the order of `set_stage` from 1.

        0 is how the environment was built; the last of `stages` is that of the next episodes.
        """
        self.terms = [self.all_terms[number] for number in stages]
        self.terms_of[:] = terms_of
        self._note_mixture()

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
        terms, which = self.terms[-1], np.asarray(which, np.int64)
        if options is None and len(terms.tapes) == 1 and terms.starts[0].random:
            rows = terms.starts[0].draw_each([generators[i] for i in which.tolist()])
            begun = terms.tapes[0] * len(self.tapes[0]) + np.stack([rows, terms.starts[0].ends_of(rows)])
        else:
            each = [self._begin(terms, i, generators[i], options[i] if options else NO_OPTIONS) for i in which.tolist()]
            begun = np.array(each, np.int64).T
        self.first_references[which], self.last_references[which] = begun
        self.references[which] = begun[0]
        self.terms_of[which] = len(self.terms) - 1
        self._note_mixture()
        open_accounts(self.accounts, which, terms.settings.account.initial_cash)
        if self.recorder is not None:
            self.recorder.began(which)
        if self.watch is not None:
            self.watch.began(which)

    def _note_mixture(self) -> None:
        self._mixed = len(self.terms) > 1 and bool((self.terms_of != self.terms_of[0]).any())

    def decide(self, actions: object) -> None:
        """Keep the decisions of the next step; actions are as ActionTranslator.targets takes them, and raise alike."""
        self.actions.write_targets(actions, self.targets)

    def step(self, out: Outputs) -> int:
        """Carry out what every account has decided; afterwards all stand on the next row.

        Everything the step says is written to `out`.

        Returns:
            How many episodes have ended.
        """
        if self._mixed:
            self._advance_each()
        else:
            self._advance(self.terms[self.terms_of[0]], self.references, self.targets, self.accounts, self.result)
        n_ended = report_step(
            self.bars, self.accounts.values, self.result.values, self.accounts.ring.shape[1],
            self.references, self.last_references, len(self.tapes[0]), out.observation["account"],
            (out.reward, out.log_return, out.equity, out.exposure), (out.row, out.regime),
            (out.terminated, out.truncated, out.traded),
        )  # fmt: skip
        self.show(out)
        if self.recorder is not None:
            self.recorder.stepped()
        if self.watch is not None:
            self.watch.stepped()
        return n_ended

    def hold_equities(self, which: np.ndarray) -> np.ndarray:
        """(n,) marks, on the rows where the accounts `which` stand, of twins that bought first and held."""
        equities = np.empty(len(which))
        for k, terms in enumerate(self.terms):
            part = np.flatnonzero(self.terms_of[which] == k)
            first, last = self.first_references[which[part]], self.references[which[part]]
            equities[part] = hold_equities(self.bars, terms.rules, terms.settings, first, last, self._extremes)
        return equities

    def episode_ends(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """EpisodeEnd of the episodes that the accounts `which` have just finished, (n,) each, by field."""
        fields = np.array([START_EQUITY, EQUITY, TRADES, DECISIONS])
        start, equity, trades, decisions = self.accounts.values[fields[:, None], which]
        columns = (
            equity / start - 1,
            self.hold_equities(which) / start - 1,
            trades.astype(np.int64),
            decisions.astype(np.int64),
            *self.markets_of(which),
        )
        return dict(zip(EpisodeEnd._fields, columns, strict=True))

    def markets_of(self, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Symbols and timeframes (n,) of the segments the accounts `which` stand in, as objects."""
        rows = self.references[which] % len(self.tapes[0])
        k = np.searchsorted(self._segment_starts, rows, side="right") - 1
        return self._symbols[k], self._timeframes[k]

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
        step_many(self.bars, terms.rules, references, targets, values, ring, values, ring, result.values, result.fills)
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

    def show_begun(self, which: np.ndarray, out: Outputs) -> None:
        """Write what the accounts `which`, whose episodes have just begun, see into the observation of all N."""
        out.observation["account"][which] = 0.0  # a fresh account is at its peak, and flat
        if out.windows is None:
            out.observation["row"][which, 0] = self.references[which]
        else:
            out.windows.show_again(self.tapes, self.references, which)

    def observe(self) -> dict[str, np.ndarray]:
        """New arrays `account` (N, K) and `market` (N, W, F) or `row` (N, 1), the reference."""
        out = outputs_of(self.n, self.window, copy=True)()
        account, ring_length = out.observation["account"], self.accounts.ring.shape[1]
        write_account_blocks(self.bars, self.references, self.accounts.values, ring_length, account)
        self.show(out)
        return out.observation

    def show(self, out: Outputs) -> None:
        """Write what all accounts see of the market."""
        if out.windows is None:
            out.observation["row"][:, 0] = self.references
        else:
            out.observation["market"] = out.windows.show(self.tapes, self.references)

    def masks(self) -> np.ndarray:
        """(N, A) bool, the admissible actions; see ActionTranslator.masks."""
        accounts, n = self.accounts, self.n
        is_held, is_spent = np.zeros(n, bool), np.zeros(n, bool)
        for k, terms in enumerate(self.terms):
            which = np.flatnonzero(self.terms_of == k)
            is_held[which], is_spent[which] = refusals(accounts.values[:, which], terms.settings.orders)
        return self.actions.masks(is_held, is_spent)


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
