"""A policy through many scenarios at once: tapes joined, every bar encoded once.

Scenarios of one instrument and one length walk together. Those that show the policy the same
features (other costs, another delay) share its encodings; those that live under the same account
share a lane. The trajectories are those of `rollout`, scenario by scenario.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from regimegym.common.policy import Policy
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import bar_records
from regimegym.evaluate.rollout import Lane, bind, check_rows, walk
from regimegym.evaluate.scenarios import Scenario
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape, cut_tape, join_tapes

MOST_ROWS = 200_000  # of a joined tape, which bounds the memory of encodings and windows


def rollout_scenarios(
    policy_for: Callable[[str], Policy], scenarios: Sequence[Scenario], most_rows: int = MOST_ROWS
) -> list[Trajectory]:
    """The trajectory of one account in every scenario, in their order.

    Args:
        policy_for: symbol → the policy for that instrument; asked once for each.
        most_rows: rows of tape that are joined at once.

    Raises:
        RunError: `bad-rows`, of a scenario outside its tape's usable part.
        DataError: the scenarios' tapes hold other features than one another.
    """
    found: list[Trajectory | None] = [None] * len(scenarios)
    policies: dict[str, Policy] = {}
    for group in _groups(scenarios, most_rows):
        symbol = _symbol(scenarios[group[0]])
        policy = policies.setdefault(symbol, policy_for(symbol))
        for i, trajectory in zip(group, _walk_together(policy, [scenarios[i] for i in group]), strict=True):
            found[i] = trajectory
    return [trajectory for trajectory in found if trajectory is not None]


def _symbol(scenario: Scenario) -> str:
    return scenario.tape.segment_of(scenario.rows.start).symbol


def _groups(scenarios: Sequence[Scenario], most_rows: int) -> list[list[int]]:
    """Indices that walk together: one instrument, one length, one window, not too many rows."""
    alike: dict[tuple, list[int]] = {}
    for i, scenario in enumerate(scenarios):
        check_rows(scenario.tape, scenario.rows)
        key = (_symbol(scenario), scenario.rows.count, scenario.settings.episode.window)
        alike.setdefault(key, []).append(i)
    groups = []
    for (_, n_rows, _), members in alike.items():
        size = max(1, most_rows // n_rows)
        groups += [members[i : i + size] for i in range(0, len(members), size)]
    return groups


def _walk_together(policy: Policy, scenarios: Sequence[Scenario]) -> list[Trajectory]:
    """Trajectories of scenarios of one length."""
    n_rows, window = scenarios[0].rows.count, scenarios[0].settings.episode.window
    shown, offsets = _joined([_seen(scenario, window) for scenario in scenarios])
    members = _by_account(scenarios)
    lanes, starts = [], np.empty(len(scenarios), np.int64)
    for (settings, delay), of in members:
        bars = [bar_records(scenarios[i].tape, settings.account.carry_clock)[slice(*scenarios[i].rows)] for i in of]
        firsts = np.arange(len(of)) * n_rows
        starts[of] = firsts
        records = np.concatenate(bars)
        records.flags.writeable = False  # as all bars are: the kernel is compiled for such
        lanes.append(Lane(settings, records, firsts, delay, offsets[of]))
    bound = bind(policy, shown, RowRange(0, len(shown)))
    order = [i for _, of in members for i in of]
    walked = [run for lane in walk(bound, shown, lanes, n_rows) for run in lane]
    runs = dict(zip(order, walked, strict=True))
    return [_at_home(runs[i], scenario, int(starts[i])) for i, scenario in enumerate(scenarios)]


def _seen(scenario: Scenario, window: int) -> tuple[MarketTape, int]:
    """The rows that the policy sees, its first window among them, and the place of the first decision in them."""
    tape, rows = scenario.tape, scenario.rows
    begin = max(tape.segment_of(rows.start).start, rows.start - window)
    return cut_tape(tape, begin, rows.stop), rows.start - begin


def _joined(parts: Sequence[tuple[MarketTape, int]]) -> tuple[MarketTape, np.ndarray]:
    """One tape of all that differ in what a policy sees, and the first row of every part in it."""
    known: dict[tuple, int] = {}
    distinct, ends, firsts = [], [0], []
    for tape, first in parts:
        # The same memory is the same market, however it is traded.
        memory = tape.features.__array_interface__["data"][0]
        key = (memory, len(tape), tape.timestamps[0], tape.close[0], tape.close[-1])
        if key not in known:
            known[key] = ends[-1]
            distinct.append(tape)
            ends.append(ends[-1] + len(tape))
        firsts.append(known[key] + first)
    return (distinct[0] if len(distinct) == 1 else join_tapes(distinct)), np.array(firsts, np.int64)


def _by_account(scenarios: Sequence[Scenario]) -> list[tuple[tuple[EnvSettings, int], list[int]]]:
    """Indices of the scenarios by what their accounts live under."""
    found: list[tuple[tuple[EnvSettings, int], list[int]]] = []
    for i, scenario in enumerate(scenarios):
        key = (scenario.settings, scenario.delay)
        for known, members in found:
            if known == key:
                members.append(i)
                break
        else:
            found.append((key, [i]))
    return found


def _at_home(run: Trajectory, scenario: Scenario, start: int) -> Trajectory:
    """The trajectory in the rows of its scenario's own tape."""
    rows, tape = scenario.rows, scenario.tape
    fills = run.fills.copy()
    fills["row"] += rows.start - start
    return replace(
        run,
        first_row=rows.start,
        fills=fills,
        timestamps=tape.timestamps[rows.start : rows.stop],
        close=tape.close[rows.start : rows.stop],
        regimes=tape.regimes[rows.start : rows.stop - 1],
    )
