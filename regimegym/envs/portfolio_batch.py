"""PortfolioBatch: what the portfolio environments share; they only translate its arrays.

Beside every agent's account walks a twin that bought equal weights at the first fill of the
episode and holds: the same bars, costs and execution, stepped in the same call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numba import njit

from regimegym.common.errors import DataError, RegimeGymError
from regimegym.envs.actions import KEEP
from regimegym.envs.batch import EpisodeEnd
from regimegym.envs.episodes import EpisodeStarts
from regimegym.envs.observation import LARGEST, MOST_EXPOSURE
from regimegym.envs.portfolio_core import portfolio_kernel
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.portfolio_state import (
    DECISIONS,
    EQUITY,
    EXPOSURE,
    LAST_TARGET,
    PEAK_EQUITY,
    START_EQUITY,
    TRADES,
    PortfolioAccounts,
    PortfolioResult,
    new_portfolio_result,
    new_portfolios,
    open_portfolios,
    portfolio_bars,
)
from regimegym.envs.reset_options import NO_OPTIONS, ResetOptions
from regimegym.envs.stages import check_same_rows, check_unchanged
from regimegym.features.portfolio_tape import PortfolioTape
from regimegym.features.splits import RowRange
from regimegym.features.windows import write_window


@dataclass(frozen=True, eq=False)
class PortfolioStage:
    """What the episodes that begin from now on are like.

    Attributes:
        settings: costs, account, orders and episodes; None keeps the present ones. What the spaces
            and the bars are made of cannot change: window, leverage, shorts, the clock of the carry.
        tapes: portfolios of the same instruments, rows, segments and features as the environment's
            own, each equally likely for an episode; None keeps the present ones. The environment
            keeps every tape it was ever given: `tape` in an info is the index into its `tapes`.
        starts: (n,) tape rows on which episodes begin; None: as `settings.episode` says.
    """

    settings: PortfolioSettings | None = None
    starts: np.ndarray | None = None
    tapes: Sequence[PortfolioTape] | None = None


class Terms(NamedTuple):
    """A stage as the accounts that live under it need it."""

    settings: PortfolioSettings
    rules: np.ndarray  # envs.state.rule_record
    tapes: tuple[int, ...]  # indices into the environment's tapes
    starts: tuple[EpisodeStarts, ...]  # of each of them


def check_same_portfolio_spaces(settings: PortfolioSettings, new: PortfolioSettings) -> None:
    """Raise ConfigError where a stage changes what an environment is built around."""
    for name, old_value, value in (
        ("account.carry_clock", settings.account.carry_clock, new.account.carry_clock),
        ("account.max_leverage", settings.account.max_leverage, new.account.max_leverage),
        ("allow_short", settings.allow_short, new.allow_short),
        ("episode.window", settings.episode.window, new.episode.window),
    ):
        check_unchanged(name, old_value, value)


def check_same_portfolio(tape: PortfolioTape, others: Sequence[PortfolioTape]) -> None:
    """Raise DataError unless each of `others`, a stage's tapes, holds the instruments and rows of `tape`."""
    for index, other in enumerate(others):
        if other.symbols != tape.symbols:
            raise DataError(
                "other-tape",
                f"tape {index} of the stage has other instruments than the environment's",
                needed=", ".join(tape.symbols),
                found=", ".join(other.symbols),
            )
    for j, market in enumerate(tape.markets):
        check_same_rows(market, [other.markets[j] for other in others])


class PortfolioBatch:
    """N accounts of M instruments on one tape, each in an episode of its own.

    Args:
        n_accounts: N ≥ 1.
        tape: the market.
        settings: account, reward, actions, episodes.
        rows: rows of the tape that may be used; all after the warm-up where None.

    Attributes:
        terms: a stage each, the newest last; terms_of: (N,) the one each account lives under.
        tapes: the tape and those of later stages; all of T rows.
        references: (N,) row each account stands on in all tapes laid end to end: tape · T + row.
        accounts: state of the N accounts and, behind them, their N twins; changed in place.
        result: PortfolioResult of the last step over all 2N.
        truncated, terminated: (N,) bool of the last step; never both.
        space, action_space: of one account.

    Raises:
        DataError: rows outside the tape, or too few for one episode.
        ConfigError: costs so high that no trade reaches its target.
    """

    def __init__(self, n_accounts: int, tape: PortfolioTape, settings: PortfolioSettings, rows: RowRange | None):
        self.n = n_accounts
        self.tapes = [tape]
        self.limits = _checked_rows(tape, rows)
        self.terms = [self._terms_for(settings, self.tapes, (0,))]
        self.terms_of = np.zeros(n_accounts, np.int64)
        self.bars = portfolio_bars(tape, settings.account.carry_clock)
        self.accounts = new_portfolios(2 * n_accounts, tape.n_assets, settings.account.initial_cash)
        self.result = new_portfolio_result(self.accounts)
        self.both_references = np.zeros(2 * n_accounts, np.int64)
        self.references = self.both_references[:n_accounts]
        self.last_references = np.zeros(n_accounts, np.int64)
        self.episodes = np.zeros(n_accounts, np.int64)
        self.targets = np.full((2 * n_accounts, tape.n_assets), KEEP)
        self.terminated = np.zeros(n_accounts, bool)
        self.truncated = np.zeros(n_accounts, bool)
        self.space = portfolio_space(tape, settings.episode.window)
        self.action_space = spaces.Box(-1.0, 1.0, (tape.n_assets,), np.float32)

    @property
    def settings(self) -> PortfolioSettings:
        """Those of the newest stage."""
        return self.terms[-1].settings

    @property
    def tape(self) -> PortfolioTape:
        """The market the accounts began on."""
        return self.tapes[0]

    @property
    def tape_rows(self) -> np.ndarray:
        """(N,) int64, new array: the row each account stands on, in its tape."""
        return self.references % len(self.tape)

    @property
    def tape_indices(self) -> np.ndarray:
        """(N,) int64, new array: the tape each account stands on."""
        return self.references // len(self.tape)

    # --- time ------------------------------------------------------------------------------------

    def set_stage(self, stage: PortfolioStage) -> None:
        """Let the episodes that begin from now on be as `stage` says.

        Raises:
            ConfigError, DataError: the stage does not fit (see PortfolioStage); nothing has changed then.
        """
        settings = stage.settings or self.settings
        check_same_portfolio_spaces(self.settings, settings)
        tapes, chosen = list(self.tapes), self.terms[-1].tapes
        if stage.tapes is not None:
            check_same_portfolio(self.tape, stage.tapes)
            tapes += [tape for tape in stage.tapes if not any(tape is known for known in tapes)]
            chosen = tuple(next(k for k, known in enumerate(tapes) if known is tape) for tape in stage.tapes)
        terms = self._terms_for(settings, tapes, chosen, stage.starts)
        if len(tapes) > len(self.tapes):
            clock, others = settings.account.carry_clock, tapes[len(self.tapes) :]
            self.bars = np.concatenate([self.bars, *(portfolio_bars(tape, clock) for tape in others)])
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
        which = np.asarray(which, np.int64)
        begun = [self._begin(int(i), generators[i], options[i] if options else NO_OPTIONS) for i in which]
        first, last = np.array(begun, np.int64).reshape(-1, 2).T
        self.references[which] = self.both_references[which + self.n] = first
        self.last_references[which] = last
        self.terms_of[which] = len(self.terms) - 1
        open_portfolios(self.accounts, np.concatenate([which, which + self.n]), self.settings.account.initial_cash)
        self.targets[which + self.n] = 1.0 / self.tape.n_assets

    def step(self, actions: Any) -> None:
        """Take one decision for every account; afterwards all stand on the next row."""
        n = self.n
        self.targets[:n] = self.weights(actions)
        if (self.terms_of == self.terms_of[0]).all():
            terms = self.terms[self.terms_of[0]]
            self._advance(terms, self.both_references, self.targets, self.accounts, self.result)
        else:
            self._advance_each()
        self.targets[n:] = KEEP
        self.both_references += 1
        np.greater(self.accounts.done[:n], 0, out=self.terminated)
        np.greater_equal(self.references, self.last_references, out=self.truncated)
        self.truncated &= ~self.terminated

    def weights(self, actions: Any) -> np.ndarray:
        """(N, M) target weights of N actions (M,) in [−1, 1], before they are scaled to max_leverage.

        Raises:
            RegimeGymError: actions of another shape, or one that is NaN or outside the space; it
                names the account and the instrument.
        """
        given = np.asarray(actions, np.float64)
        if given.size != self.n * self.tape.n_assets:
            raise RegimeGymError(
                "wrong-actions", f"needed actions of shape {(self.n, self.tape.n_assets)}, got shape {given.shape}"
            )
        given = given.reshape(self.n, self.tape.n_assets)
        outside = np.argwhere(~(np.abs(given) <= 1.0))  # also catches NaN
        if len(outside):
            i, j = outside[0]
            raise RegimeGymError(
                "bad-action",
                f"the action of account {i} for asset {j} ({self.tape.symbols[j]}) is {given[i, j]},"
                " needed a number in [-1, 1]",
            )
        leverage = self.settings.account.max_leverage
        return np.maximum(given * leverage, -leverage if self.settings.allow_short else 0.0)

    def episode_end(self, i: int) -> EpisodeEnd:
        """Statistics of the episode account `i` has just finished."""
        values = self.accounts.values
        return EpisodeEnd(
            episode_return=float(values[EQUITY, i] / values[START_EQUITY, i] - 1),
            buy_hold_return=float(values[EQUITY, i + self.n] / values[START_EQUITY, i + self.n] - 1),
            episode_trades=int(values[TRADES, i]),
            episode_length=int(values[DECISIONS, i]),
            symbol="+".join(self.tape.symbols),
            timeframe=self.tape.markets[0].segments[0].timeframe,
        )

    def _terms_for(
        self,
        settings: PortfolioSettings,
        tapes: Sequence[PortfolioTape],
        chosen: tuple[int, ...],
        starts: np.ndarray | None = None,
    ) -> Terms:
        episodes = [EpisodeStarts(tapes[k].markets[0], self.limits, settings.episode, starts) for k in chosen]
        return Terms(settings, settings.rules(tapes[0]), chosen, tuple(episodes))

    def _begin(self, i: int, generator: np.random.Generator, options: ResetOptions) -> tuple[int, int]:
        """First and last reference of the next episode of account `i`."""
        terms = self.terms[-1]
        k = int(generator.integers(len(terms.tapes))) if len(terms.tapes) > 1 else 0
        starts, offset = terms.starts[k], terms.tapes[k] * len(self.tape)
        if options.start is not None:
            row = starts.at(options)
        elif starts.random:
            row = starts.draw(generator)
        else:
            row = starts.tile(i + self.n * int(self.episodes[i]))
            self.episodes[i] += 1
        return offset + row, offset + starts.end_of(row)

    def _advance(
        self, terms: Terms, rows: np.ndarray, targets: np.ndarray, accounts: PortfolioAccounts, result: PortfolioResult
    ) -> None:
        """Step `accounts` in place."""
        values, legs = accounts.values, accounts.legs
        portfolio_kernel(self.bars, terms.rules, rows, targets, values, legs, result.values, result.fills)

    def _advance_each(self) -> None:
        """Step the accounts of each stage, with their twins, by themselves."""
        for k, terms in enumerate(self.terms):
            which = np.flatnonzero(np.tile(self.terms_of, 2) == k)
            if len(which):
                # Contiguous, or the kernel would be compiled once more.
                values, legs = self.accounts.values[:, which], self.accounts.legs[:, which]
                part = PortfolioAccounts(np.ascontiguousarray(values), np.ascontiguousarray(legs))
                result = new_portfolio_result(part)
                self._advance(terms, self.both_references[which], self.targets[which], part, result)
                self.accounts.values[:, which], self.accounts.legs[:, which] = part.values, part.legs
                self.result.values[:, which], self.result.fills[which] = result.values, result.fills

    # --- what is seen ------------------------------------------------------------------------------

    def observe(self) -> dict[str, np.ndarray]:
        """New arrays `account` (N, 2M + 2) and `market` (N, M, W, F), float32."""
        tape = self.tape
        account = np.empty((self.n, 2 * tape.n_assets + 2), np.float32)
        write_portfolio_blocks(self.accounts.values, self.accounts.legs, account)
        market = np.empty((self.n, tape.n_assets, self.settings.episode.window, tape.n_features), np.float32)
        if len(self.tapes) == 1:
            write_portfolio_windows(tape.features, tape.segment_start, self.references, market)
        else:
            self._show_each(market)
        return {"account": account, "market": market}

    def _show_each(self, market: np.ndarray) -> None:
        """Write the windows of the accounts on each tape by themselves."""
        indices, rows = self.tape_indices, self.tape_rows
        for k in np.unique(indices):
            which = np.flatnonzero(indices == k)
            part = np.empty((len(which), *market.shape[1:]), np.float32)
            write_portfolio_windows(self.tapes[k].features, self.tapes[k].segment_start, rows[which], part)
            market[which] = part


def portfolio_space(tape: PortfolioTape, window: int) -> spaces.Dict:
    """Dict of `account` (2M + 2,) and `market` (M, W, F), float32.

    `account` holds M exposures, M last executed target weights (both clipped to ±10), the gross
    exposure Σ|x| (clipped to 10) and the drawdown (clipped to [0, 1]).
    """
    m = tape.n_assets
    highest = np.array([MOST_EXPOSURE] * (2 * m + 1) + [1.0], np.float32)
    lowest = np.array([-MOST_EXPOSURE] * (2 * m) + [0.0, 0.0], np.float32)
    market = spaces.Box(-LARGEST, LARGEST, (m, window, tape.n_features), np.float32)
    return spaces.Dict({"account": spaces.Box(lowest, highest, dtype=np.float32), "market": market})


@njit(cache=True, error_model="numpy")
def write_portfolio_windows(features: np.ndarray, segment_start: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Copy the windows of `features` (M, T, F) that end at `rows` (N,) into `out` (N, M, W, F).

    Rows before the segment are zeros.
    """
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            write_window(out[i, j], 0, features[j], segment_start[rows[i]], rows[i], out.shape[2])


@njit(cache=True, error_model="numpy")
def write_portfolio_blocks(values: np.ndarray, legs: np.ndarray, out: np.ndarray) -> None:
    """Account blocks (N, 2M + 2) float32 as portfolio_space describes them; the first N accounts."""
    m = legs.shape[2]
    for i in range(out.shape[0]):
        gross = 0.0
        for j in range(m):
            exposure = legs[EXPOSURE, i, j]
            gross += abs(exposure)
            out[i, j] = min(max(exposure, -MOST_EXPOSURE), MOST_EXPOSURE)
            out[i, m + j] = min(max(legs[LAST_TARGET, i, j], -MOST_EXPOSURE), MOST_EXPOSURE)
        out[i, 2 * m] = min(gross, MOST_EXPOSURE)
        peak = values[PEAK_EQUITY, i]
        out[i, 2 * m + 1] = min((peak - values[EQUITY, i]) / peak, 1.0)


def _checked_rows(tape: PortfolioTape, rows: RowRange | None) -> RowRange:
    if rows is None:
        return RowRange(0, len(tape))
    if not 0 <= rows.start < rows.stop <= len(tape):
        raise DataError(
            "rows-outside",
            f"the rows [{rows.start}, {rows.stop}) do not lie within the tape",
            needed=f"0 ≤ start < stop ≤ {len(tape)}",
        )
    return RowRange(*rows)
