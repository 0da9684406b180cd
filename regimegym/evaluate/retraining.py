"""Is a model still worth following? Asked of its inputs and of its results before the next stretch is traded.

Both questions see nothing later than the stretch that was traded last.
"""

from collections.abc import Sequence

import numpy as np

from regimegym.envs.settings import EnvSettings
from regimegym.evaluate.monitoring.drift import DriftSettings, feature_drift, performance_drift
from regimegym.evaluate.walk_forward import FoldModel, trade_in_turn
from regimegym.features.splits import RowRange

LEAST_BARS = 50  # bars traded, below which nothing can be said
SURE = 0.01  # p-value below which results have fallen
SHOWN = 3  # features named in a reason


def feature_reason(
    before: np.ndarray,
    now: np.ndarray,
    names: Sequence[str],
    generator: np.random.Generator,
    settings: DriftSettings | None = None,
) -> str:
    """Why the inputs ask for a new model, "" where they do not.

    Args:
        before: (n, F) features the model learned on. now: (m, F) those of the stretch that was traded last.
    """
    if len(now) < LEAST_BARS:
        return ""
    named = [drift.name for drift in feature_drift(before, now, names, generator, settings) if drift.drifted]
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return f"{', '.join(named[:SHOWN])}{more} drifted" if named else ""


def performance_reason(before: np.ndarray, now: np.ndarray, generator: np.random.Generator) -> str:
    """Why the results ask for a new model, "" where they do not; an improvement never does.

    Args:
        before: (n,) log returns per bar on bars that the model had not learned from (its validation). It was
            chosen there, so they flatter it a little.
        now: (m,) log returns per bar of the stretch that it traded last.
    """
    if min(len(before), len(now)) < LEAST_BARS:
        return ""
    found = performance_drift(before, now, generator)
    if found.p_value >= SURE:
        return ""
    before_now = " to ".join(f"{100 * mean:+.4f} %".replace("-", "−") for mean in (found.before, found.now))
    return f"log return per bar fell from {before_now} (p = {found.p_value:.3f})"


def results_of(model: FoldModel, rows: RowRange, settings: EnvSettings) -> np.ndarray:
    """Log returns per bar of a fresh account that follows `model` over `rows`; none where no two of them are joined."""
    if rows.count < 2:
        return np.empty(0)
    found = trade_in_turn([model._replace(rows=rows)], settings)
    return np.concatenate([trajectory.log_returns for trajectory in found.trajectories] or [np.empty(0)])
