"""Stages: what may change for the episodes that begin from now on, without a new environment.

A stage is the hook of a curriculum: other costs, other episodes, noisy copies of the tape. An
account lives under the stage its episode began in until that episode ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regimegym.common.errors import ConfigError, DataError
from regimegym.envs.episodes import EpisodeStarts
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import rule_record
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape


@dataclass(frozen=True, eq=False)
class Stage:
    """What the episodes that begin from now on are like.

    Attributes:
        settings: costs, rewards, account and episodes; None keeps the present ones. What the
            spaces, the account block and the bars are made of cannot change: actions, window, the
            leverage, the window of recent trades, the clock of the carry.
        tapes: M tapes of the same length, segments and features as the environment's own, each
            equally likely for an episode; None keeps the present ones. The environment keeps
            every tape it was ever given: `tape` in an info is the index into its `tapes`.
        starts: (n,) tape rows on which episodes begin, or a list of such arrays, one for each of the
            tapes; None: as `settings.episode` says.
    """

    settings: EnvSettings | None = None
    tapes: Sequence[MarketTape] | None = None
    starts: np.ndarray | Sequence[np.ndarray] | None = None


class Terms(NamedTuple):
    """A stage as the accounts that live under it need it."""

    settings: EnvSettings
    rules: np.ndarray  # envs.state.rule_record
    tapes: tuple[int, ...]  # indices into the environment's tapes
    starts: tuple[EpisodeStarts, ...]  # of each of them


def make_terms(
    settings: EnvSettings,
    tapes: Sequence[MarketTape],
    chosen: tuple[int, ...],
    rows: RowRange,
    starts: np.ndarray | Sequence[np.ndarray] | None = None,
) -> Terms:
    """Terms under `settings` on the tapes `chosen`.

    Raises:
        DataError: as EpisodeStarts does, or `wrong-starts`, lists of starts for another number of tapes.
    """
    each = [starts] * len(chosen) if starts is None or isinstance(starts, np.ndarray) else list(starts)
    if len(each) != len(chosen):
        raise DataError(
            "wrong-starts",
            "a stage was given lists of starts for another number of tapes",
            needed=f"{len(chosen)} arrays of rows, or one for all",
            found=str(len(each)),
        )
    found = tuple(EpisodeStarts(tapes[k], rows, settings.episode, only) for k, only in zip(chosen, each, strict=True))
    return Terms(settings, rule_record(settings), chosen, found)


def check_same_spaces(settings: EnvSettings, new: EnvSettings) -> None:
    """Raise ConfigError where a stage changes what an environment is built around."""
    for name, old_value, value in (
        ("action", settings.action, new.action),
        ("account.carry_clock", settings.account.carry_clock, new.account.carry_clock),
        ("account.max_leverage", settings.account.max_leverage, new.account.max_leverage),
        ("episode.window", settings.episode.window, new.episode.window),
        ("reward.max_trades_window", settings.reward.max_trades_window, new.reward.max_trades_window),
    ):
        check_unchanged(name, old_value, value)


def check_unchanged(name: str, old_value: object, value: object) -> None:
    """Raise ConfigError where a stage changes the setting `name`."""
    if value != old_value:
        raise ConfigError(
            "fixed-setting",
            f"a stage cannot change '{name}'",
            needed=f"{old_value}, as the environment was built",
            found=str(value),
        )


def check_same_rows(tape: MarketTape, others: Sequence[MarketTape]) -> None:
    """Raise DataError unless row t of each of `others`, a stage's tapes, is the bar of row t of `tape`."""
    if not others:
        raise DataError("other-tape", "a stage was given an empty list of tapes", needed="one or more, or None")
    for index, other in enumerate(others):
        for name, old_value, value in (
            ("rows", len(tape), len(other)),
            ("segments", tape.segments, other.segments),
            ("features", tape.feature_names, other.feature_names),
        ):
            if value != old_value:
                raise DataError(
                    "other-tape",
                    f"tape {index} of the stage has other {name} than the environment's",
                    needed=str(old_value),
                    found=str(value),
                )
