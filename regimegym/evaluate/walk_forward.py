"""Walk-forward: trained on what was, tested on what came next, window after window, as one account.

Each fold trains on an interval, selects on the end of it, and trades the interval behind it. The
account passes from model to model: what one holds at the end the next one begins with, so nothing is
sold or bought for free between two folds. How a model is trained is handed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from regimegym.common.checks import check_between
from regimegym.common.errors import DataError
from regimegym.common.policy import Decision, Observations, Policy
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import bar_records
from regimegym.evaluate.metrics import METRICS, all_metrics
from regimegym.evaluate.rollout import Bound, Lane, bind, walk
from regimegym.evaluate.trajectory import MARK_FIELDS, STEP_FIELDS, Trajectory, to_frame
from regimegym.features.splits import Fold, LabelIntervals, RowRange, WalkForward, row_ranges
from regimegym.features.tape import MarketTape, Segment

ADDED = ("trades", "closed_trades", "open_trades", "costs_paid")  # metrics that sum over stretches


class FoldDates(NamedTuple):
    """One fold on the calendar, int64 UTC nanoseconds; intervals are [from, until).

    Rows purged before validation and test belong to the part before it.
    """

    name: str
    train_from: int
    validation_from: int
    test_from: int
    test_until: int


class FoldModel(NamedTuple):
    """A policy and the rows it trades; its tape is scaled and labelled as it was trained."""

    policy: Policy
    tape: MarketTape
    rows: RowRange


@dataclass(frozen=True, eq=False)
class WalkedForward:
    """One account that traded every fold's test interval in turn.

    Attributes:
        trajectories: one per run of rows without a long gap; each begins with what the one before left.
        metrics: of METRICS over everything, undefined ones NaN.
        frame: marks in the order of time: timestamp, close, regime, agent_equity, agent_exposure, fold (the
            model that decides at this bar, from 1).
    """

    trajectories: tuple[Trajectory, ...]
    metrics: dict[str, float]
    frame: pd.DataFrame


def decision_intervals(timestamps: np.ndarray, segments: Sequence[Segment], purge: int) -> LabelIntervals:
    """Rows that may train or trade, each with the interval [t, t + purge] that its decisions touch.

    No row of the warm-up is among them. A later row whose window of `purge` bars reaches back to t would
    see what t was trained on; that is why a training row this near to the test is purged.

    Args:
        timestamps: (T,) int64 UTC nanoseconds of the tape rows.
        segments: histories of the tape.
        purge: bars, the length of the observation window.
    """
    rows = np.concatenate([np.arange(s.first_row, s.stop) for s in segments])
    last = np.concatenate([np.minimum(np.arange(s.first_row, s.stop) + purge, s.stop - 1) for s in segments])
    return LabelIntervals(rows, timestamps[rows], timestamps[last])


def plan_folds(
    timestamps: np.ndarray,
    segments: Sequence[Segment],
    windows: WalkForward,
    purge: int,
    validation_share: float = 0.2,
) -> list[tuple[Fold, FoldDates]]:
    """The folds in the order of time, and their dates.

    Args:
        timestamps, segments, purge: as of `decision_intervals`.
        windows: spans of training and test.
        validation_share: last part of the training rows, on which a model is selected.

    Raises:
        DataError: as of WalkForward.folds.
    """
    check_between("validation_share", validation_share, 0.01, 0.9)
    folds = windows.folds(decision_intervals(timestamps, segments, purge))
    bar = int(np.diff(timestamps).min())
    return [(fold, _dates(fold, timestamps, validation_share, bar)) for fold in folds]


def _dates(fold: Fold, timestamps: np.ndarray, validation_share: float, bar: int) -> FoldDates:
    first = len(fold.train) - max(1, round(validation_share * len(fold.train)))
    validation = int(timestamps[fold.train[first]])
    return FoldDates(fold.name, fold.train_span[0], validation, fold.test_span[0], fold.test_span[1] + bar)


def choose_models(n: int, train: Callable[[int], None], retrain: Callable[[int, int], bool] | None) -> list[int]:
    """Train fold by fold in the order of time; which fold's model trades each of the `n` folds.

    Args:
        train: makes the model of a fold. retrain: asked before every later fold `k` about the fold of the model
            at work, `retrain(at_work, k)`; where it says no that model goes on. None trains for every fold.
    """
    used: list[int] = []
    for k in range(n):
        if not used or retrain is None or retrain(used[-1], k):
            train(k)
            used.append(k)
        else:
            used.append(used[-1])
    return used


def walk_forward(
    folds: Sequence[Fold],
    fit: Callable[[Fold, FoldModel | None], FoldModel],
    settings: EnvSettings,
    retrain: Callable[[Fold, FoldModel], bool] | None = None,
) -> tuple[WalkedForward, list[FoldModel]]:
    """Train fold by fold with `fit`, then let one account trade all tests in turn.

    Args:
        folds: in the order of time, their tests not overlapping.
        fit: makes the model of a fold, given the one before it (None for the first) to start from.
        settings: of the account.
        retrain: asked before every later fold about the fold that the model at work was trained on, and about
            that model with the rows that it traded last; None trains for every fold.

    Returns:
        The result, and the model that traded each fold, its rows those of the test.
    """
    trained: dict[int, FoldModel] = {}

    def train(k: int) -> None:
        trained[k] = fit(folds[k], trained[max(trained)] if trained else None)

    def asked(at_work: int, k: int) -> bool:
        return retrain is None or retrain(folds[at_work], trained[at_work]._replace(rows=_test_rows(folds[k - 1])))

    used = choose_models(len(folds), train, asked)
    models = [trained[model]._replace(rows=_test_rows(fold)) for fold, model in zip(folds, used, strict=True)]
    return trade_in_turn(models, settings), models


def _test_rows(fold: Fold) -> RowRange:
    return RowRange(int(fold.test[0]), int(fold.test[-1]) + 1)


def trade_in_turn(models: Sequence[FoldModel], settings: EnvSettings) -> WalkedForward:
    """One account over the rows of all `models`, each deciding on its own rows.

    Where a long gap lies between two rows the account is in cash at the last mark's equity and begins anew.

    Raises:
        DataError: models whose rows overlap or are out of order.
    """
    _check_order(models)
    all_rows = np.concatenate([np.arange(*model.rows) for model in models])
    tape = models[0].tape
    trajectories: list[Trajectory] = []
    for stretch in _stretches(all_rows, tape):
        cash = trajectories[-1].equity[-1] if trajectories else settings.account.initial_cash
        if not cash > 0.0:
            break  # nothing is left to trade with
        begun = replace(settings, account=replace(settings.account, initial_cash=float(cash)))
        trajectories.append(_walk_stretch(models, begun, stretch))
    return WalkedForward(tuple(trajectories), _metrics(trajectories), _frame(trajectories, models))


def _check_order(models: Sequence[FoldModel]) -> None:
    if not models:
        raise DataError("no-fold", "there is no fold to trade")
    for earlier, later in pairwise(models):
        if later.rows.start < earlier.rows.stop:
            raise DataError(
                "folds-overlap",
                f"the test rows [{later.rows.start}, {later.rows.stop}) begin before [{earlier.rows.start}, "
                f"{earlier.rows.stop}) end, so one account cannot trade both",
                needed="a step as long as the test",
            )


def _stretches(rows: np.ndarray, tape: MarketTape) -> list[RowRange]:
    """Runs of neighbouring `rows` in one segment, two rows or more."""
    found = []
    for run in row_ranges(rows):
        for segment in tape.segments:
            part = RowRange(max(run.start, segment.first_row), min(run.stop, segment.stop))
            if part.count >= 2:
                found.append(part)
    return sorted(found)


def _walk_stretch(models: Sequence[FoldModel], settings: EnvSettings, rows: RowRange) -> Trajectory:
    tape = models[0].tape
    parts = [
        (part.start, _by_row(model, part, settings.episode.window))
        for model in models
        if (part := RowRange(max(model.rows.start, rows.start), min(model.rows.stop, rows.stop))).count > 0
    ]
    lane = Lane(settings, bar_records(tape, settings.account.carry_clock), np.array([rows.start]))
    return walk(Bound(_InTurn(parts), True), tape, [lane], rows.count)[0][0]


def _by_row(model: FoldModel, rows: RowRange, window: int) -> Policy:
    """The model as a policy that is asked by tape rows, whether it can be bound to them or not."""
    bound = bind(model.policy, model.tape, rows)
    return bound.policy if bound.by_row else _Windowed(bound.policy, model.tape, window)


@dataclass(frozen=True)
class _Windowed:
    """Shows a policy the windows of the rows it is asked about."""

    policy: Policy
    tape: MarketTape
    window: int

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """See common.policy.Policy."""
        shown = {"market": self.tape.windows(observations["row"], self.window), "account": observations["account"]}
        return self.policy.act(shown, state, episode_starts)


class _InTurn:
    """Policies that decide one after the other; `parts` are (first row, policy), ascending.

    A policy with a memory begins without one.
    """

    def __init__(self, parts: Sequence[tuple[int, Policy]]) -> None:
        self.firsts = np.array([first for first, _ in parts])
        self.policies = [policy for _, policy in parts]

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """The decision of the policy whose row it is; `state` is (its place, its own state)."""
        place = int(np.searchsorted(self.firsts, observations["row"][0], side="right")) - 1
        if state is None or state[0] != place:
            state, episode_starts = (place, None), np.ones_like(episode_starts)
        decision, after = self.policies[place].act(observations, state[1], episode_starts)
        return decision, (place, after)


def _metrics(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    """Metrics over all stretches as one: equity and exposure joined, counts and costs summed."""
    first = trajectories[0]
    if len(trajectories) == 1:
        return all_metrics(first)
    fills, steps = [], 0
    for trajectory in trajectories:
        moved = trajectory.fills.copy()
        moved["step"] += steps
        fills.append(moved)
        steps += len(trajectory)
    columns: dict[str, Any] = {
        **{name: _joined(trajectories, name, marks=True) for name in MARK_FIELDS},
        **{name: _joined(trajectories, name, marks=False) for name in STEP_FIELDS},
        "fills": np.concatenate(fills),
    }
    joined = replace(first, terminated=trajectories[-1].terminated, **columns)
    # Trades are closed within a stretch; across the gap between two there is no position.
    own = [all_metrics(trajectory) for trajectory in trajectories]
    found = all_metrics(joined)
    summed = {name: float(sum(metrics[name] for metrics in own)) for name in ADDED}
    return {name: summed.get(name, found[name]) for name in METRICS}


def _joined(trajectories: Sequence[Trajectory], name: str, marks: bool) -> np.ndarray:
    """One column of all stretches; of a mark's column the first mark of later stretches, which repeats the last."""
    columns = [getattr(trajectory, name) for trajectory in trajectories]
    return np.concatenate([columns[0], *(column[1:] if marks else column for column in columns[1:])])


def _frame(trajectories: Sequence[Trajectory], models: Sequence[FoldModel]) -> pd.DataFrame:
    frames = []
    firsts = np.array([model.rows.start for model in models])
    for trajectory in trajectories:
        rows = trajectory.first_row + np.arange(len(trajectory) + 1)
        fold = np.searchsorted(firsts, rows, side="right")
        frames.append(to_frame({"agent": trajectory}).assign(fold=fold.astype(np.int64)))
    return pd.concat(frames, ignore_index=True)
