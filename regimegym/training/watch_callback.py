"""The side of a training that a watch hears (training/watch.py)."""

from collections.abc import Callable
from typing import Protocol

from stable_baselines3.common.callbacks import BaseCallback

from regimegym.common.state_file import Tree
from regimegym.training.watch import Look, Watch


class Validated(Protocol):
    """What knows how often validation was looked at, and the best score there."""

    best: float

    @property
    def looks(self) -> int:
        """Looks so far."""


class WatchCallback(BaseCallback):
    """Tells `watch` of each look, between two rollouts, where a checkpoint can be taken."""

    def __init__(self, watch: Watch, validated: Validated, state: Callable[[], Tree]) -> None:
        super().__init__()
        self._watch = watch
        self._validated = validated
        self._state = state
        self._told = 0

    def _on_training_start(self) -> None:
        self._told = self._validated.looks

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        looks = self._validated.looks
        if looks > self._told:
            self._told = looks
            self._watch(Look(looks, self.model.num_timesteps, self._validated.best, self._state))
