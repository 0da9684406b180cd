"""What happens while an agent learns: display, TensorBoard, validation, the best weights kept."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from regimegym.common.regimes import N_REGIMES
from regimegym.curriculum.callback import CurriculumCallback
from regimegym.training.board import REGIME_TAGS, Board
from regimegym.training.display import Snapshot, TrainingDisplay, ValidationLine
from regimegym.training.episodes import NAN, EpisodeStats
from regimegym.training.insight import Insight, show_insight
from regimegym.training.replay_scalars import replay_scalars

LOSSES = 100  # latest losses in the displayed mean
SCALARS_EVERY = 1_000  # steps between two rows of scalars


class Score(NamedTuple):
    """One look at validation.

    Attributes:
        metrics: metrics (keys of evaluate.metrics) by policy key over the whole validation part,
            `agent` among them.
        interval: bounds of the agent's log return.
        insight: what is to be seen of it beside numbers.
    """

    metrics: Mapping[str, Mapping[str, float]]
    interval: tuple[float, float]
    insight: Insight


class TrainingCallback(BaseCallback):
    """Validates every `validate_every` steps and hands the best algorithm to `keep`.

    Args:
        validate: scores the algorithm as it stands.
        keep: saves the algorithm as the best one so far and returns where, for people.
        patience: looks without a new best that end the training; None: never.
        curriculum: is told what validation said; its scalars are filed.
    """

    def __init__(
        self,
        validate: Callable[[BaseAlgorithm], Score],
        keep: Callable[[BaseAlgorithm, int], str],
        validate_every: int,
        total_steps: int,
        display: TrainingDisplay,
        board: Board,
        curriculum: CurriculumCallback | None = None,
        patience: int | None = None,
    ) -> None:
        super().__init__()
        self._validate = validate
        self._keep = keep
        self._validate_every = validate_every
        self._total_steps = total_steps
        self._display = display
        self._board = board
        self.curriculum = curriculum
        self._stages_noted = 0
        self._patience = patience
        self._validated = 0  # step of the last look
        self._episodes = EpisodeStats()
        self._regime_counts = np.zeros(N_REGIMES, dtype=np.int64)
        self._next_validation = min(validate_every, total_steps)
        self._next_scalars = SCALARS_EVERY
        self._clock = Stopwatch()
        self._seen: dict[str, float] = {}
        self._losses: deque[float] = deque(maxlen=LOSSES)
        self.best = -math.inf  # validation log return
        self.best_step = 0
        self.seconds = NAN  # wall time of the learning, known at its end
        self._without_best = 0

    @property
    def looks(self) -> int:
        """Looks at validation so far, without a last one at the end."""
        first = min(self._validate_every, self._total_steps)
        return (self._next_validation - first) // self._validate_every

    def state(self) -> dict[str, Any]:
        """What decides about validation and the best model, and the running statistics; plain."""
        return {
            "calls": self.n_calls,
            "episodes": self._episodes.rows(),
            "regime_counts": self._regime_counts.copy(),
            "next_validation": self._next_validation,
            "next_scalars": self._next_scalars,
            "losses": list(self._losses),
            "best": self.best,
            "best_step": self.best_step,
            "without_best": self._without_best,
            "validated": self._validated,
            "stages_noted": self._stages_noted,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        self.n_calls = state["calls"]
        self._episodes.load_rows(state["episodes"])
        self._regime_counts[:] = state["regime_counts"]
        self._next_validation = state["next_validation"]
        self._next_scalars = state["next_scalars"]
        self._losses.extend(state["losses"])
        self.best, self.best_step = state["best"], state["best_step"]
        self._without_best = state["without_best"]
        self._validated = state["validated"]
        self._stages_noted = state["stages_noted"]

    @property
    def is_out_of_patience(self) -> bool:
        """Whether enough looks in a row have found nothing better, so that the training ends early."""
        return self._patience is not None and self._without_best >= self._patience

    def _on_rollout_start(self) -> None:
        self._clock.switch("env")

    def _on_rollout_end(self) -> None:
        self._clock.switch("learn")

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if info["regime"] >= 0:
                self._regime_counts[info["regime"]] += 1
            if "episode" in info:
                self._episodes.add(info)
        self._note_logged()
        self._note_stage()
        if self.num_timesteps >= self._next_validation:
            self._look_at_validation()
            self._next_validation += self._validate_every
        if self._display.due():
            self._display.update(self._snapshot())
        if self.num_timesteps >= self._next_scalars:
            self._board.scalars(self.num_timesteps, self._scalars())
            self._next_scalars += SCALARS_EVERY
        return not self.is_out_of_patience

    def _note_logged(self) -> None:
        """Remember what the algorithm logged; its own writer forgets it at every dump."""
        logged = self.logger.name_to_value
        if "train/loss" in logged and logged["train/loss"] != self._seen.get("train/loss"):
            self._losses.append(logged["train/loss"])
        self._seen.update(logged)

    def _note_stage(self) -> None:
        """File every change of the curriculum at its own step."""
        if self.curriculum is not None and self.curriculum.n_entered != self._stages_noted:
            self._stages_noted = self.curriculum.n_entered
            self._board.scalars(self.num_timesteps, self.curriculum.scalars())

    def _regime_shares(self) -> tuple[float, ...]:
        known = self._regime_counts.sum()
        return tuple(self._regime_counts / known) if known else ()

    def note_stop(self) -> None:
        """The training ends here, before its end; the display closes on this state."""
        self._display.update(self._snapshot())

    def _on_training_end(self) -> None:
        if self.num_timesteps > self._validated:
            self._look_at_validation()
        self.seconds = self._clock.elapsed
        self._display.update(self._snapshot())

    def _look_at_validation(self) -> None:
        self._clock.switch("validate")
        step = self._validated = self.num_timesteps
        metrics, interval, insight = self._validate(self.model)
        agent = metrics["agent"]
        is_best = agent["log_return"] > self.best
        self._without_best = 0 if is_best else self._without_best + 1
        saved = None
        if is_best:
            self.best, self.best_step = agent["log_return"], step
            saved = self._keep(self.model, step)
        is_last = step >= self._total_steps or self.is_out_of_patience
        self._board.validation(step, metrics, interval)
        show_insight(self._board, step, insight)
        self._display.validation(
            ValidationLine(
                step,
                agent["log_return"],
                metrics["buy_and_hold"]["log_return"],
                metrics["ma_cross"]["log_return"],
                agent["max_drawdown"],
                int(agent["trades"]),
                is_best,
                saved,
                next_step=None if is_last else step + self._validate_every,
                without_best=self._without_best,
                patience=self._patience,
            )
        )
        if self.curriculum is not None and not is_last:
            self.curriculum.scored(agent["log_return"])
        self._clock.switch("env")

    def _snapshot(self) -> Snapshot:
        shares = self._clock.shares()
        return Snapshot(
            self.num_timesteps,
            self._episodes.summary(),
            loss_now=self._seen.get("train/loss", NAN),
            loss_mean=float(np.mean(self._losses)) if self._losses else NAN,
            q_mean=self._seen.get("train/q_mean", NAN),
            epsilon=self._seen.get("rollout/epsilon", NAN),
            regime_shares=self._regime_shares(),
            share_env=shares["env"],
            share_learn=shares["learn"],
            share_validate=shares["validate"],
        )

    def _scalars(self) -> dict[str, float]:
        episodes = self._episodes.summary()
        return {
            "env/reward_shaped": episodes.reward_mean,
            "env/equity_return": episodes.equity_mean,
            "env/buy_hold_return": episodes.buy_hold_mean,
            "env/exposure": episodes.exposure_mean,
            "env/trades_per_1000_bars": episodes.trades_per_1000,
            "time/steps_per_second": self.num_timesteps / self._clock.elapsed,
            **{f"time/share_{name}": share for name, share in self._clock.shares().items()},
            **dict(zip(REGIME_TAGS, self._regime_shares(), strict=False)),
            **({} if self.curriculum is None else self.curriculum.scalars()),
            **replay_scalars(self.model),
        }


class Stopwatch:
    """Wall time by activity; one activity runs at a time."""

    def __init__(self) -> None:
        self._seconds = {"env": 0.0, "learn": 0.0, "validate": 0.0}
        self._since = self._start = time.monotonic()
        self._running = "env"

    def switch(self, activity: str) -> None:
        """End the running activity and begin another one."""
        now = time.monotonic()
        self._seconds[self._running] += now - self._since
        self._running, self._since = activity, now

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def shares(self) -> dict[str, float]:
        """Share of each activity in the time so far."""
        total = sum(self._seconds.values())
        return {name: seconds / total if total > 0 else NAN for name, seconds in self._seconds.items()}
