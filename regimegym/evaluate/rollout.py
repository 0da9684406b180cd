"""Rollout: a policy walks once over a range of bars, and what its accounts did is recorded.

There are no episodes here: the accounts start with cash on their first row and live through to the
last. Accounts on other rows, under other settings, of other scenarios walk side by side in one batch.
Time advances in envs.core.step_batch alone. Nothing is drawn at random; a policy that is random
brings its own generators, so the same call gives the same trajectories.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from regimegym.agents.folded_heads import FoldedPolicy
from regimegym.common.errors import RunError
from regimegym.common.policy import MASKS, Decision, Observations, Policy, TapePolicy
from regimegym.envs.actions import KEEP, ActionTranslator
from regimegym.envs.batch import refusals
from regimegym.envs.core import step_batch
from regimegym.envs.observation import ACCOUNT_FIELDS, write_account_blocks
from regimegym.envs.results import LOG_RETURN, N_FILLS, REWARD, StepResult, new_result
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import (
    CASH,
    EQUITY,
    EXPOSURE,
    UNITS,
    bar_records,
    new_accounts,
    rule_record,
)
from regimegym.envs.trades import FILL_DTYPE
from regimegym.evaluate.compiled_walk import Decided, Deciding, live_by_heads
from regimegym.evaluate.trajectory import Lived, Trajectory, trajectory_of
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

MARK_NAMES = ("cash", "units", "equity", "exposure")
MARKS = slice(CASH, EXPOSURE + 1)  # rows of the accounts, in the order of the names
STEPS = slice(REWARD, LOG_RETURN + 1)  # rows of the results
assert tuple(range(CASH, CASH + 4)) == (CASH, UNITS, EQUITY, EXPOSURE)
assert LOG_RETURN == REWARD + 1


class Lane(NamedTuple):
    """Accounts that live under the same settings on the same bars; lanes share the decisions' batch.

    Attributes:
        bars: envs.state.BAR records of the tape's rows.
        starts: (N,) int64 first row of each account.
        delay: decisions that an order waits for before it is given: with 1, what is decided at a
            close fills one bar later than it would.
        seen: (N,) int64 first row of each account on the tape that the policy sees, where `bars`
            are not the records of that tape; None: the same rows.
    """

    settings: EnvSettings
    bars: np.ndarray
    starts: np.ndarray
    delay: int = 0
    seen: np.ndarray | None = None

    @property
    def shown(self) -> np.ndarray:
        """(N,) first row of each account on the tape that the policy sees."""
        return self.starts if self.seen is None else self.seen


class _Record:
    """Marks, steps and fills of one lane while it walks; the accounts are stepped in place."""

    def __init__(self, lane: Lane, n_steps: int) -> None:
        n_accounts = len(lane.starts)
        self.bars = lane.bars
        self.starts = np.asarray(lane.starts, np.int64)
        self.translator = ActionTranslator(lane.settings.action, lane.settings.account.max_leverage)
        self.rules = rule_record(lane.settings)
        self.reward_rule = lane.settings.reward.rule
        self.waiting = deque([np.full(n_accounts, KEEP)] * lane.delay)
        self.accounts = new_accounts(n_accounts, lane.settings)
        room = new_result(self.accounts)
        self.out = StepResult(self.accounts, room.values, room.fills)
        self.marks = np.empty((n_steps + 1, len(MARK_NAMES), n_accounts))
        self.steps = np.empty((n_steps, 2, n_accounts))
        self.fills: list[list[tuple]] = [[] for _ in range(n_accounts)]
        self.marks[0] = self.accounts.values[MARKS]
        self.orders = lane.settings.orders
        self.is_braked = self.orders.is_braked and self.translator.weights is not None

    def masks(self) -> np.ndarray:
        """(n, A) bool, the actions that the brakes of the lane admit; discrete actions only."""
        return self.translator.masks(*refusals(self.accounts.values, self.orders))

    def step(self, k: int, actions: np.ndarray, targets: np.ndarray | None) -> None:
        """Decision k with the `actions` of this lane's accounts, or the `targets` in their place."""
        rows = self.starts + k
        if targets is None:
            targets = np.empty(len(rows))
            self.translator.write_targets(actions, targets)
        self.waiting.append(targets)
        targets = self.waiting.popleft()
        result = step_batch(self.bars, self.rules, rows, self.accounts, targets, self.out, self.reward_rule)
        self.marks[k + 1] = result.accounts.values[MARKS]
        self.steps[k] = result.values[STEPS]
        n_fills = result.values[N_FILLS]
        if np.count_nonzero(n_fills):
            for account in np.flatnonzero(n_fills):
                self._note(k, int(account), result.fills[account, : int(n_fills[account])])

    def lived(self, actions: np.ndarray, account: int) -> Lived:
        """What one account did; actions (n, N, …) are those of all."""
        return Lived(
            marks=self.marks[:, :, account].T.copy(),
            steps=self.steps[:, :, account].T.copy(),
            actions=actions[:, account].copy(),
            fills=np.array(self.fills[account], dtype=FILL_DTYPE),
            is_done=bool(self.accounts.done[account]),
        )

    def _note(self, k: int, account: int, records: np.ndarray) -> None:
        for row, units, mid, price, fee, reason in records.tolist():
            side = 1 if units > 0 else -1
            self.fills[account].append((k, row, side, abs(units), mid, price, fee, reason))


def rollout(
    policy: Policy, tape: MarketTape, settings: EnvSettings, rows: RowRange, n_accounts: int = 1
) -> list[Trajectory]:
    """One continuous pass over `rows`: decisions on rows start … stop − 2, the last row is a mark.

    Args:
        policy: a TapePolicy is asked by tape rows, any other is shown windows.
        tape: the market.
        settings: accounts, reward, actions; of the episode only the window length counts.
        rows: inside one segment of the tape, after its warm-up.
        n_accounts: accounts that walk side by side.

    Raises:
        RunError: `bad-rows`, fewer than two rows, or rows outside a segment's usable part.
    """
    check_rows(tape, rows)
    lane = Lane(settings, bar_records(tape, settings.account.carry_clock), np.full(n_accounts, rows.start))
    return walk(bind(policy, tape, rows), tape, [lane], rows.count)[0]


class Scored(NamedTuple):
    """What one account did, and what the policy thought of its choices.

    Attributes:
        trajectory: n decisions.
        scores: (n, A) scores of the decisions; None where the policy has none.
    """

    trajectory: Trajectory
    scores: np.ndarray | None


def rollout_with_scores(policy: Policy, tape: MarketTape, settings: EnvSettings, rows: RowRange) -> Scored:
    """`rollout` of one account that keeps the scores of every decision; raises alike."""
    check_rows(tape, rows)
    lane = Lane(settings, bar_records(tape, settings.account.carry_clock), np.full(1, rows.start))
    bound = bind(policy, tape, rows)
    if stays_compiled(bound, [lane], rows.count):
        (decided,) = _walk_compiled(bound, lane, rows.count)
        return Scored(trajectory_of(tape, rows.start, rows.start, decided.lived), decided.scores)
    told = _Told(bound.policy)
    ((trajectory,),) = walk(Bound(told, bound.by_row), tape, [lane], rows.count)
    known = [scores for scores in told.scores if scores is not None]
    return Scored(trajectory, np.concatenate(known) if len(known) == len(trajectory) else None)


class _Told:
    """A policy whose scores are kept."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.scores: list[np.ndarray | None] = []

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """As the policy acts."""
        decision, state = self._policy.act(observations, state, episode_starts)
        self.scores.append(decision.scores)
        return decision, state


class Bound(NamedTuple):
    """A policy as it is asked on a stretch of the tape."""

    policy: Policy
    by_row: bool  # its observations hold tape rows instead of windows


def bind(policy: Policy, tape: MarketTape, rows: RowRange) -> Bound:
    """Bound to the tape where the policy can be; what it computes for the tape is computed here, once."""
    if isinstance(policy, TapePolicy):
        return Bound(policy.on_tape(tape, rows.start, rows.stop), True)
    return Bound(policy, False)


def walk(bound: Bound, tape: MarketTape, lanes: Sequence[Lane], n_rows: int) -> list[list[Trajectory]]:
    """Trajectories of every lane, each over `n_rows` rows from its start.

    All decide in one batch; those of a policy that is folded heads walk one after the other in
    compiled code, to the same bits.
    """
    if stays_compiled(bound, lanes, n_rows):
        lived = [[one.lived for one in _walk_compiled(bound, lane, n_rows)] for lane in lanes]
    else:
        lived = _walk_together(bound, tape, lanes, n_rows)
    return [
        [
            trajectory_of(tape, int(shown), int(start), one)
            for shown, start, one in zip(lane.shown, lane.starts, accounts, strict=True)
        ]
        for lane, accounts in zip(lanes, lived, strict=True)
    ]


def stays_compiled(bound: Bound, lanes: Sequence[Lane], n_rows: int) -> bool:
    """Whether the policy is folded heads over all rows of the lanes, whose rewards are the kernel's own."""
    policy = bound.policy
    if not isinstance(policy, FoldedPolicy) or policy.heads is None:
        return False
    return all(
        lane.settings.reward.rule is None
        and policy.start <= lane.shown.min()
        and lane.shown.max() + n_rows - 1 <= policy.stop
        for lane in lanes
    )


def _walk_compiled(bound: Bound, lane: Lane, n_rows: int) -> list[Decided]:
    """What every account of a lane does, one after the other."""
    policy, settings = bound.policy, lane.settings
    weights = ActionTranslator(settings.action, settings.account.max_leverage).weights
    assert isinstance(policy, FoldedPolicy)
    assert policy.heads is not None
    assert weights is not None
    return [
        live_by_heads(
            lane.bars,
            settings,
            int(start),
            n_rows - 1,
            Deciding(policy.heads, int(shown) - policy.start, weights, lane.delay),
        )
        for start, shown in zip(lane.starts, lane.shown, strict=True)
    ]


def _walk_together(bound: Bound, tape: MarketTape, lanes: Sequence[Lane], n_rows: int) -> list[list[Lived]]:
    """What every account of every lane does, all in one batch."""
    records = [_Record(lane, n_rows - 1) for lane in lanes]
    parts = _slices([len(lane.starts) for lane in lanes])
    first = np.concatenate([lane.shown for lane in lanes])
    actions = []
    state: Any = None
    starts = np.ones(len(first), dtype=bool)
    window = lanes[0].settings.episode.window
    for k in range(n_rows - 1):
        observations = _observe(bound, tape, first + k, k, records, parts, window)
        decision, state = bound.policy.act(observations, state, starts)
        starts = np.zeros(len(first), dtype=bool)
        taken = np.asarray(decision.action)
        actions.append(taken)
        for record, part in zip(records, parts, strict=True):
            record.step(k, taken[part], None if decision.target is None else decision.target[part])
    all_actions = np.stack(actions)
    return [
        [record.lived(all_actions[:, part], i) for i in range(len(record.accounts))]
        for record, part in zip(records, parts, strict=True)
    ]


def check_rows(tape: MarketTape, rows: RowRange) -> None:
    """Raise RunError `bad-rows` unless `rows` are two or more inside the usable part of one segment."""
    usable = [s.first_row <= rows.start and rows.stop <= s.stop for s in tape.segments]
    if rows.count < 2 or not any(usable):
        stretches = ", ".join(f"[{s.first_row}, {s.stop})" for s in tape.segments)
        raise RunError(
            "bad-rows",
            f"a rollout needs two rows or more inside one segment of the tape, got [{rows.start}, {rows.stop})",
            needed=f"rows within {stretches} (after warm-up)",
        )


def _slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def _observe(
    bound: Bound,
    tape: MarketTape,
    at: np.ndarray,
    k: int,
    records: Sequence[_Record],
    parts: Sequence[slice],
    window: int,
) -> Observations:
    """What all accounts see at decision k, each on its row `at` of the tape."""
    account = np.empty((len(at), len(ACCOUNT_FIELDS)), np.float32)
    for record, part in zip(records, parts, strict=True):
        values, ring = record.accounts.values, record.accounts.ring
        write_account_blocks(record.bars, record.starts + k, values, ring.shape[1], account[part])
    seen: Observations = {"account": account}
    if any(record.is_braked for record in records):
        seen[MASKS] = np.concatenate([record.masks() for record in records])
    if bound.by_row:
        return seen | {"row": at}
    rows, which = np.unique(at, return_inverse=True)
    return seen | {"market": tape.windows(rows, window)[which]}
