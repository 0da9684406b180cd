"""What targets that are known beforehand would have done, in one compiled loop.

A rule that looks at the market alone knows its targets for all bars before the first step. Its
trajectory is that of `rollout`, number by number, without asking a policy at every bar.
"""

import numpy as np

from regimegym.envs.actions import ActionTranslator
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import bar_records
from regimegym.evaluate.compiled_walk import live_by_targets
from regimegym.evaluate.trajectory import Trajectory, trajectory_of
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape


def replay_actions(tape: MarketTape, settings: EnvSettings, rows: RowRange, actions: np.ndarray) -> Trajectory:
    """The trajectory of an account that takes `actions` (n,) or (n, 1) at the rows start … stop − 2.

    A reward of the user's own is not paid: shaped rewards are 0 there.
    """
    translator = ActionTranslator(settings.action, settings.account.max_leverage)
    targets = translator.targets(actions, rows.count - 1)
    return replay_targets(tape, settings, rows, targets, actions)


def replay_targets(
    tape: MarketTape,
    settings: EnvSettings,
    rows: RowRange,
    targets: np.ndarray,
    actions: np.ndarray,
) -> Trajectory:
    """As `replay_actions`, with the target weights (n,) said themselves; NaN keeps the position."""
    bars = bar_records(tape, settings.account.carry_clock)
    lived = live_by_targets(bars, settings, rows.start, targets, np.asarray(actions))
    return trajectory_of(tape, rows.start, rows.start, lived)
