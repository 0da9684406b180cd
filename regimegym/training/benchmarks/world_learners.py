"""The learners that are compared on the worlds, and one run of one of them."""

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from regimegym.agents.build import build_agent
from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings
from regimegym.agents.ensemble_settings import EnsembleSettings
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.policy import policy_of
from regimegym.agents.settings import AgentSettings, DQNSettings, PPOSettings
from regimegym.common.registry import Registry
from regimegym.common.seeding import integer_seed
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape
from regimegym.training.benchmarks.selection import Selection
from regimegym.training.benchmarks.world_problem import WorldProblem, WorldSizes, world_problem

MLP = NetworkSettings(kind="mlp", feature_width=64, memory_width=64, detector_width=32, head_width=32)
SMALL = NetworkSettings()
FULL = NetworkSettings(feature_width=128, pathway_width=64, memory_width=64, detector_width=64, head_width=32)
CHECKPOINTS = 12


@dataclass(frozen=True)
class Learner:
    """How one contender is built.

    Attributes:
        agent: hyper-parameters; None is stable-baselines3's own DQN, defaults and network its own.
        network: our encoder in front.
        window: bars that it sees at once.
        n_accounts: accounts that trade side by side.
        features: name of world_problem.FEATURES.
        signals: what it is told of hidden states, of world_signals.SIGNALS.
    """

    agent: AgentSettings | None
    network: NetworkSettings
    window: int
    n_accounts: int = 16
    features: str = "trend"
    signals: str = "none"


LEARNERS: Registry[Learner] = Registry("learner")


def _enhanced(learning: str) -> EnhancedDQNSettings:
    return EnhancedDQNSettings(learning=learning, updates_per_bar=1 / 16)


for _learning in ("afterstate", "all_actions", "sampled"):
    LEARNERS.register(f"{_learning}-mlp")(Learner(_enhanced(_learning), MLP, 1))
    LEARNERS.register(f"{_learning}-small")(Learner(_enhanced(_learning), SMALL, 30))
    LEARNERS.register(f"{_learning}-full")(Learner(_enhanced(_learning), FULL, 30))
LEARNERS.register("ensemble-mlp")(Learner(EnsembleSettings(learning="all_actions", updates_per_bar=1 / 16), MLP, 1))
LEARNERS.register("afterstate-mlp-recipe")(Learner(_enhanced("afterstate"), MLP, 1, features="recipe"))
for _signals in ("hmm", "truth"):
    LEARNERS.register(f"afterstate-mlp-{_signals}")(Learner(_enhanced("afterstate"), MLP, 1, signals=_signals))
LEARNERS.register("dqn-defaults")(Learner(None, MLP, 1, n_accounts=1))
LEARNERS.register("dqn-tuned")(
    Learner(DQNSettings(weight_decay=1.0, gradient_steps=3, target_update_interval=1000, learning_starts=1000), MLP, 1)
)
LEARNERS.register("ppo")(Learner(PPOSettings(), MLP, 1))
DEFAULT_LEARNERS = ("afterstate-mlp", "all_actions-mlp", "sampled-mlp", "dqn-tuned", "dqn-defaults", "ppo")


@dataclass(frozen=True)
class WorldRun:
    """What one run ended with.

    Attributes:
        world, learner, random_seed: which run.
        share: log growth of the selected checkpoint on fresh bars over that of hindsight.
        gated_share: the same, 0 where the gate closed.
        last_share: of the last weights, without selection.
        log_growth, hindsight: the two behind `share`.
        t_statistic: of the selected checkpoint on validation.
        bars: environment steps of all accounts together.
        seconds: CPU-seconds of the process spent learning, validation left out.
        selected_at: environment steps of the selected checkpoint.
        trades: of the selected checkpoint on the fresh bars.
    """

    world: str
    learner: str
    random_seed: int
    share: float
    gated_share: float
    last_share: float
    log_growth: float
    hindsight: float
    t_statistic: float
    bars: int
    seconds: float
    selected_at: int
    trades: int


def run_learner(
    world: str,
    learner: str,
    random_seed: int,
    bars: int,
    gate: float,
    seconds: float | None = None,
    sizes: WorldSizes | None = None,
) -> WorldRun:
    """Train a learner on a world, select on validation, judge on fresh bars.

    Args:
        world, learner: names.
        random_seed: of the bars and of the learner.
        bars: environment steps of all accounts together.
        gate: least t-statistic on validation at which anything is traded.
        seconds: CPU-seconds to spend learning instead of `bars`, by the pace of a short run before.
        sizes: of the world.
    """
    chosen = LEARNERS.get(learner)
    problem = world_problem(world, random_seed, chosen.window, chosen.features, sizes, chosen.signals)
    if seconds is not None:
        bars = _affordable(chosen, problem, random_seed, seconds)
    algorithm = _build(chosen, problem, random_seed)
    selection = Selection(
        lambda model: _walked(model, problem, problem.tape, problem.validation), max(1, bars // CHECKPOINTS)
    )
    began = time.process_time()
    algorithm.learn(bars, callback=selection)
    spent = time.process_time() - began - selection.seconds
    growth, trades = _judge(algorithm, problem)
    last_share = growth / problem.hindsight
    algorithm.policy.load_state_dict(selection.weights)
    growth, trades = _judge(algorithm, problem)
    share = growth / problem.hindsight
    return WorldRun(
        world,
        learner,
        random_seed,
        share=share,
        gated_share=share if selection.t_statistic > gate else 0.0,
        last_share=last_share,
        log_growth=growth,
        hindsight=problem.hindsight,
        t_statistic=selection.t_statistic,
        bars=algorithm.num_timesteps,
        seconds=spent,
        selected_at=selection.selected_at,
        trades=trades,
    )


def _build(learner: Learner, problem: WorldProblem, random_seed: int) -> BaseAlgorithm:
    torch.set_num_threads(1)
    seed = integer_seed(random_seed, "world-episodes")
    env = TradingVecEnv(learner.n_accounts, problem.tape, problem.settings, problem.train, seed)
    if learner.agent is None:
        return DQN("MultiInputPolicy", env, seed=integer_seed(random_seed, "sb3"), buffer_size=100_000, device="cpu")
    return build_agent(learner.agent, env, learner.network, random_seed)


def _walked(algorithm: BaseAlgorithm, problem: WorldProblem, tape: MarketTape, rows: RowRange) -> Trajectory:
    """What the present weights do on `rows`."""
    (found,) = rollout(policy_of(algorithm.policy), tape, problem.settings, rows)
    return found


def _judge(algorithm: BaseAlgorithm, problem: WorldProblem) -> tuple[float, int]:
    """Log growth and trades on the fresh bars."""
    found = _walked(algorithm, problem, problem.test_tape, problem.test)
    return float(found.log_returns.sum()), int(found.n_trades)


def _affordable(learner: Learner, problem: WorldProblem, random_seed: int, seconds: float) -> int:
    """Environment steps that `seconds` CPU-seconds buy, by the pace of a short run after the warm-up."""
    warm = 2048
    short = learner
    if isinstance(learner.agent, EnhancedDQNSettings | DQNSettings):
        short = replace(learner, agent=replace(learner.agent, learning_starts=256))
    algorithm = _build(short, problem, random_seed)
    pace = Pace(warm // 4)
    algorithm.learn(warm, callback=pace)
    return max(warm, round(seconds * pace.steps_per_second))


class Pace(BaseCallback):
    """Environment steps per CPU-second once `warm_up` of them are over."""

    def __init__(self, warm_up: int) -> None:
        super().__init__()
        self._warm_up = warm_up
        self._mark: tuple[int, float] | None = None
        self.steps_per_second = np.nan

    def _on_step(self) -> bool:
        now = (self.num_timesteps, time.process_time())
        if self._mark is None:
            if now[0] >= self._warm_up:
                self._mark = now
        else:
            self.steps_per_second = (now[0] - self._mark[0]) / max(1e-9, now[1] - self._mark[1])
        return True
