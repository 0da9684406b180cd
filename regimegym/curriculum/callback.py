"""CurriculumCallback: sets the stages of a running training, in whatever environments it has."""

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from regimegym.curriculum.build import BuiltStage
from regimegym.curriculum.difficulty import difficulty
from regimegym.curriculum.schedules import Schedule

LOG = logging.getLogger(__name__)
EPISODES = 32  # finished episodes in the measured difficulty: few, so that it follows the stages


class CurriculumCallback(BaseCallback):
    """Counts the episodes of all accounts together and begins each stage when its turn has come.

    One counter for all workers: episode e is the e-th to begin, wherever. Accounts whose episodes
    end in the same step begin in the same stage, that of the first of them. No environment is built
    anew; an episode under way ends as it began.

    Call `begin` before `learn` (or `load_state` of a training that goes on): SB3 resets the
    environments before it asks a callback.

    Args:
        build: makes the k-th stage.
        schedule: says which stage it is.
    """

    def __init__(self, build: Callable[[int], BuiltStage], schedule: Schedule) -> None:
        super().__init__()
        self._build = build
        self._schedule = schedule
        self._difficulties: deque[float] = deque(maxlen=EPISODES)
        self._entered: list[int] = []  # stages in the order they were set
        self.begun = 0  # episodes begun so far, which is the index of the next one

    @property
    def stage(self) -> BuiltStage:
        """The stage in which the next episode begins."""
        return self._build(self._entered[-1])

    @property
    def n_entered(self) -> int:
        """Stages entered so far, those gone back to among them."""
        return len(self._entered)

    def begin(self, algorithm: BaseAlgorithm) -> None:
        """Set the first stage in the environments of `algorithm`, which have not begun yet."""
        self._enter(algorithm, self._schedule.stage_at(0))
        assert algorithm.env is not None
        self.begun = algorithm.env.num_envs

    def scored(self, log_return: float) -> None:
        """Tell the schedule what validation said of the model (unshaped log return)."""
        self._schedule.scored(log_return, self.begun)
        self._go_on()

    def scalars(self) -> dict[str, float]:
        """What TensorBoard shows, by tag; NaN where nothing is known yet."""
        stage = self.stage
        known = [value for value in self._difficulties if not math.isnan(value)]
        return {
            "curriculum/stage": float(self._entered[-1]),
            "curriculum/cost_rate": stage.cost_rate,
            "curriculum/noise_level": stage.settings.noise_level,
            "curriculum/pool_size": stage.pool_size,
            "curriculum/episodes": float(self.begun),
            "curriculum/difficulty": float(np.mean(known)) if known else math.nan,
            "curriculum/gate_score": self._schedule.score(),
        }

    def state(self) -> dict[str, Any]:
        """Counter, stages so far and the schedule, plain; the noise is drawn again from its seed."""
        return {
            "begun": self.begun,
            "entered": list(self._entered),
            "difficulties": list(self._difficulties),
            "schedule": self._schedule.state(),
        }

    def load_state(self, algorithm: BaseAlgorithm, state: Mapping[str, Any]) -> None:
        """The inverse of `state`: the environments of `algorithm` are given every stage once more, in order."""
        for k in state["entered"]:
            self._enter(algorithm, k)
        self.begun = state["begun"]
        self._difficulties.extend(state["difficulties"])
        self._schedule.load_state(state["schedule"])

    def _on_training_start(self) -> None:
        self._go_on()  # the first episodes have begun; the next may belong to another stage

    def _on_step(self) -> bool:
        ended = np.flatnonzero(self.locals["dones"])
        if len(ended):
            for i in ended.tolist():
                self._difficulties.append(self._difficulty(self.locals["infos"][i]))
            self.begun += len(ended)
            self._go_on()
        return True

    def _go_on(self) -> None:
        """Enter the stage of the next episode where it is another one."""
        k, now = self._schedule.stage_at(self.begun), self._entered[-1]
        if k == now:
            return
        for skipped in range(now + 1, k):
            LOG.warning(
                "stage '%s' of the curriculum is passed over: %d accounts begin together, and it has fewer episodes",
                self._build(skipped).name,
                self.training_env.num_envs,
            )
        self._enter(self.model, k)

    def _enter(self, algorithm: BaseAlgorithm, k: int) -> None:
        built = self._build(k)
        assert algorithm.env is not None
        algorithm.env.env_method("set_stage", built.stage)
        if hasattr(algorithm, "stage_began"):
            algorithm.stage_began()
        self._entered.append(k)
        LOG.info("curriculum: stage '%s' from episode %d on", built.name, self.begun)

    def _difficulty(self, info: Mapping[str, Any]) -> float:
        """Of the episode that ended with `info`, at the costs of the present stage."""
        (tapes,) = self.training_env.get_attr("tapes", indices=[0])
        last = info["row"] + 1  # the mark after the last decision
        return difficulty(tapes[info["tape"]].close[last - info["episode_length"] : last + 1], self.stage.cost_rate)
