"""What every decision maker looks like: a function of a batch of observations.

Baselines, stable-baselines3 models, EnhancedDQN and everything that wraps one of them satisfy
`Policy`, so metrics, reports and tests never ask which one they hold.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

Observations = dict[str, np.ndarray]
MASKS = "masks"  # key of an observation: (N, A) bool, the actions that the account's brakes admit


class Decision(NamedTuple):
    """Decisions for N accounts; every field has length N, or is None where a policy has none."""

    action: np.ndarray  # (N,) integers of the action space, or (N, 1) float weights
    scores: np.ndarray | None = None  # (N, A) Q values or probabilities, larger is better
    regime_probabilities: np.ndarray | None = None  # (N, 4) in the order of Regime
    uncertainty: np.ndarray | None = None  # (N,) ≥ 0
    target: np.ndarray | None = None  # (N,) target weights in place of the actions' own; NaN keeps the position
    confidence: np.ndarray | None = None  # (N,) calibrated probability that the action pays
    contributions: np.ndarray | None = None  # (N, M, A) what each member adds to the scores; they sum to them


class Policy(Protocol):
    """Chooses actions; `state` is None for memoryless policies."""

    def act(self, observations: Observations, state: Any, episode_starts: np.ndarray) -> tuple[Decision, Any]:
        """Decide for a batch.

        Args:
            observations: `account` (N, K) float32 and either `market` (N, W, F) float32 windows
                or, for a policy that is bound to a tape, `row` (N,) int64 tape rows; where the
                environment brakes orders (OrderSettings) also MASKS: a refused order is a HOLD.
            state: what the previous call returned, None at first.
            episode_starts: (N,) bool, True where an episode begins and memory must be dropped.
        """
        ...


@runtime_checkable
class TapePolicy(Protocol):
    """A policy that can answer from tape rows instead of windows, much faster."""

    def on_tape(self, tape: Any, start: int, stop: int) -> Policy:
        """A policy over the rows [start, stop) of `tape` (features.tape.MarketTape).

        Its observations hold `row` and `account`; it decides exactly as this policy would on
        the windows of those rows.
        """
        ...
