"""One run of the curriculum benchmark: a learner, a market, a curriculum, judged on the test bars."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from regimegym.agents.build import build_agent
from regimegym.agents.policy import policy_of
from regimegym.evaluate.metrics import max_drawdown
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.splits import RowRange
from regimegym.training.benchmarks.selection import Selection
from regimegym.training.compose import compose_config
from regimegym.training.curriculum import curriculum_of
from regimegym.training.experiment import Experiment, build_experiment
from regimegym.training.wiring import build

LOOKS = 12  # at validation
STAGES = ("basic", "intermediate", "advanced", "expert")
OWN_COSTS = tuple(f"curriculum.stages.{name}.cost_rate=null" for name in STAGES)
NO_NOISE = "curriculum.noise_scale=0"
CURRICULA = {
    "none": ("curriculum=none",),
    "staged": ("curriculum=staged",),
    "gated": ("curriculum=gated",),
    "staged-own-costs": ("curriculum=staged", *OWN_COSTS),
    "staged-no-noise": ("curriculum=staged", NO_NOISE),
    "staged-episodes-alone": ("curriculum=staged", *OWN_COSTS, NO_NOISE),
}
SETTINGS = ("network=mlp",)


@dataclass(frozen=True)
class CurriculumRun:
    """What one run ended with.

    Attributes:
        market, learner, curriculum, random_seed: which run.
        selected: log growth on the test bars of the weights that earned most on validation.
        last: the same of the last weights.
        drawdown, trades: of the selected weights there.
        validation: log growth on validation that selected them. selected_at: their environment step.
        buy_and_hold: log growth of the test bars, without costs.
        stages: stages that were entered.
        seconds: CPU-seconds of learning, looks at validation left out.
    """

    market: str
    learner: str
    curriculum: str
    random_seed: int
    selected: float
    last: float
    drawdown: float
    trades: int
    validation: float
    selected_at: int
    buy_and_hold: float
    stages: int
    seconds: float


def run_curriculum(
    market: str, learner: str, curriculum: str, random_seed: int, bars: int, overrides: Sequence[str]
) -> CurriculumRun:
    """Train for `bars` environment steps under `overrides` and a curriculum of CURRICULA.

    The random seed draws market and learner.
    """
    torch.set_num_threads(1)
    seeds = (f"random_seed={random_seed}", f"data.market_seed={random_seed}", f"trainer.total_steps={bars}")
    config = compose_config("train", [*overrides, *SETTINGS, *CURRICULA[curriculum], *seeds])
    experiment = build_experiment(config)
    stages = curriculum_of(config, experiment)
    env = experiment.vec_env(int(config.trainer.n_accounts), random_seed)
    algorithm = build_agent(build(config.agent), env, build(config.network), random_seed, replay=build(config.replay))
    validation = experiment.split.validation

    def tell(step: int, growth: float) -> None:
        """The curriculum hears every look but one at the end."""
        if stages is not None and step < bars:
            stages.scored(growth)

    look = Selection(lambda model: score(model, experiment, validation), max(1, bars // LOOKS), tell)
    if stages is not None:
        stages.begin(algorithm)
    began = time.process_time()
    algorithm.learn(bars, callback=[look] if stages is None else [stages, look])
    seconds = time.process_time() - began - look.seconds
    test = experiment.split.test
    last = score(algorithm, experiment, test)
    algorithm.policy.load_state_dict(look.weights)
    selected = score(algorithm, experiment, test)
    close = experiment.tape.close
    return CurriculumRun(
        market,
        learner,
        curriculum,
        random_seed,
        selected=float(selected.log_returns.sum()),
        last=float(last.log_returns.sum()),
        drawdown=max_drawdown(selected.equity),
        trades=int(selected.n_trades),
        validation=look.best,
        selected_at=look.selected_at,
        buy_and_hold=float(np.log(close[test.stop - 1] / close[test.start])),
        stages=0 if stages is None else stages.n_entered,
        seconds=seconds,
    )


def score(algorithm: BaseAlgorithm, experiment: Experiment, rows: RowRange) -> Trajectory:
    """What the present weights do on `rows`, at the venue's costs."""
    (found,) = rollout(policy_of(algorithm.policy), experiment.tape, experiment.settings, rows)
    return found
