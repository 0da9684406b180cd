"""What a policy decides when its features are not what they were: a shock table of its predictions."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from regimegym.agents.decision.fit import ask
from regimegym.common.policy import Policy
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

Shock = Callable[[np.ndarray], np.ndarray]
# Scaled features (T, F): one is the standard deviation of the training rows.
SHOCKS: Mapping[str, Shock] = {
    "all features + 2 sd": lambda features: features + 2.0,
    "all features − 2 sd": lambda features: features - 2.0,
    "all features doubled": lambda features: 2.0 * features,
    "all features at their mean": np.zeros_like,
}


class StressedPrediction(NamedTuple):
    """One shock.

    Attributes:
        name: of the shock.
        changed: share of the bars on which another action is chosen.
        score_change: root mean square change of the scores over their standard deviation; NaN without scores.
        finite: whether every score is still a number.
    """

    name: str
    changed: float
    score_change: float
    finite: bool


def stress_predictions(
    policy: Policy, tape: MarketTape, rows: RowRange, window: int, shocks: Mapping[str, Shock] = SHOCKS
) -> list[StressedPrediction]:
    """Decisions of a flat account on every row of `rows`, with the features of the tape as they are and shocked."""
    calm = ask(policy, tape, rows, window, 1).decision
    found = []
    for name, shock in shocks.items():
        shocked = replace(tape, features=np.asarray(shock(tape.features), np.float32))
        after = ask(policy, shocked, rows, window, 1).decision
        changed = float(np.mean(np.asarray(after.action) != np.asarray(calm.action)))
        if calm.scores is None or after.scores is None:
            found.append(StressedPrediction(name, changed, float("nan"), True))
            continue
        spread = float(np.std(calm.scores))
        moved = float(np.sqrt(np.mean((after.scores - calm.scores) ** 2)))
        relative = moved / spread if spread > 0 else float("nan")
        found.append(StressedPrediction(name, changed, relative, bool(np.isfinite(after.scores).all())))
    return found
