"""What TensorBoard shows of a look at validation beside numbers: choices by regime, equity, exposure, attention."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from regimegym.common.regimes import REGIMES
from regimegym.evaluate.trajectory import Trajectory
from regimegym.training.board import Board
from regimegym.training.figure import exposure_figure
from regimegym.training.heat_map import attention_figure


class Insight(NamedTuple):
    """One look.

    Attributes:
        agent: what the agent did on validation.
        scores: (n, A) what it thought of its actions; None where it says nothing.
        baselines: equity curves by policy key.
        attention: (T, T) mean attention; None where nothing attends.
    """

    agent: Trajectory
    scores: np.ndarray | None
    baselines: Mapping[str, np.ndarray]
    attention: np.ndarray | None


def show_insight(board: Board, step: int, insight: Insight) -> None:
    """File the histograms and figures of a look."""
    agent = insight.agent
    for name, actions, scores in by_regime(insight):
        board.histogram(f"regime/actions_{name}", actions, step, action_edges(agent.actions))
        if scores is not None:
            board.histogram(f"regime/q_{name}", scores.ravel(), step)
    board.equity_image(step, agent.timestamps, {"agent": agent.equity, **insight.baselines})
    title = f"validation · exposure at step {step:,}"
    board.image("eval/exposure_validation", exposure_figure(agent.timestamps, agent.exposure, title), step)
    if insight.attention is not None:
        title = f"mean attention on validation at step {step:,}"
        board.image("eval/attention", attention_figure(insight.attention, title), step)


def by_regime(insight: Insight) -> list[tuple[str, np.ndarray, np.ndarray | None]]:
    """(name, actions (n,), scores (n, A) or None) of the decisions in each regime that occurred."""
    found = []
    for regime in REGIMES:
        which = insight.agent.regimes == regime
        if which.any():
            scores = None if insight.scores is None else insight.scores[which]
            found.append((regime.name.lower(), insight.agent.actions[which].ravel(), scores))
    return found


def action_edges(actions: np.ndarray) -> np.ndarray | None:
    """Edges of one bin for each whole action, from the least to the greatest; None for weights."""
    if not np.issubdtype(actions.dtype, np.integer):
        return None
    return np.arange(int(actions.min()), int(actions.max()) + 2) - 0.5
