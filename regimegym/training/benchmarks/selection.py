"""Which weights of a learner count: those that earned most on validation, looked at every so often."""

import time
from collections.abc import Callable

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from regimegym.agents.gate import gate_statistic
from regimegym.evaluate.trajectory import Trajectory


class Selection(BaseCallback):
    """Looks at validation and keeps the weights that earned most there.

    Args:
        validate: what the present weights of an algorithm do on validation.
        every: environment steps between two looks.
        on_look: hears the step and the log growth of each look.

    Attributes:
        weights, best, t_statistic, selected_at: weights of the best look, its log growth, the t-statistic of its
            log returns, and its environment step.
        seconds: CPU-seconds that looking took.
    """

    def __init__(
        self,
        validate: Callable[[BaseAlgorithm], Trajectory],
        every: int,
        on_look: Callable[[int, float], None] | None = None,
    ) -> None:
        super().__init__()
        self._validate, self._on_look = validate, on_look
        self._every = self._next = every
        self.weights: dict[str, Tensor] = {}
        self.best, self.t_statistic, self.selected_at, self.seconds = -np.inf, 0.0, 0, 0.0

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next:
            self._look()
            self._next += self._every
        return True

    def _on_training_end(self) -> None:
        if not self.weights:
            self._look()

    def _look(self) -> None:
        began = time.process_time()
        found = self._validate(self.model)
        growth = float(found.log_returns.sum())
        if growth > self.best or not self.weights:
            self.best, self.selected_at = growth, self.num_timesteps
            self.t_statistic = gate_statistic(found.log_returns)
            self.weights = {name: tensor.clone() for name, tensor in self.model.policy.state_dict().items()}
        self.model.policy.set_training_mode(False)
        self.seconds += time.process_time() - began
        if self._on_look is not None:
            self._on_look(self.num_timesteps, growth)
