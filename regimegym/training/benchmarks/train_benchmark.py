"""The training benchmark: our DQN against stable-baselines3's, bf16, cached evaluation, memory of the LSTM."""

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import torch
from stable_baselines3 import DQN

from regimegym.agents.build import build_agent
from regimegym.agents.enhanced_dqn import EnhancedDQN
from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.policy import EnhancedDQNPolicyAdapter
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import EnvSettings, EpisodeSettings
from regimegym.envs.trading_env import TradingEnv
from regimegym.evaluate.rollout import rollout
from regimegym.features.splits import RowRange
from regimegym.training.benchmarks.env_benchmark import NOT_INSTALLED
from regimegym.training.benchmarks.lstm_memory import LstmSize, lstm_sizes
from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.market import RANDOM_SEED, Sizes, frame_of, random_tape
from regimegym.training.benchmarks.peers import OWN_FEATURES, peer_version
from regimegym.training.manifest import code_version, package_versions

FORMAT = 1
PEER = "gym-trading-env"
FULL = NetworkSettings(feature_width=128, pathway_width=64, memory_width=64, detector_width=64, head_width=32)
MLP = NetworkSettings(kind="mlp", feature_width=64, memory_width=64, head_width=32)
PLAIN = replace(MLP, dropout=0.0)  # as SB3's: two layers of 64, nothing dropped, nothing learned beside Q


@dataclass(frozen=True)
class TrainSizes:
    """How large the cases are; the defaults are the ones that count.

    Attributes:
        steps: environment steps of the two trainings.
        learning_starts, every, batch: both learn on `batch` transitions once in `every` steps after the first.
        full_steps: environment steps for which the full network is trained before it is measured.
        updates: timed gradient steps of each precision, of `wide_batch` transitions.
        agreement_rows: bars on which both precisions are asked for the best action.
        cached_bars, stepwise_bars: bars walked with a table of encodings, and by hand.
    """

    steps: int = 20_000
    learning_starts: int = 1_000
    every: int = 4
    batch: int = 64
    full_steps: int = 3_200
    updates: int = 30
    wide_batch: int = 256
    agreement_rows: int = 2_000
    cached_bars: int = 30_000
    stepwise_bars: int = 1_000


@dataclass(frozen=True)
class EvaluationTime:
    """CPU-seconds per bar of evaluation.

    Attributes:
        network: by its name in conf/network.
        cached: of a rollout, its table of encodings included.
        stepwise: of the policy asked for one window after the other in a loop over TradingEnv.step.
    """

    network: str
    cached: float
    stepwise: float


@dataclass(frozen=True)
class TrainBenchmark:
    """What one run measured; CPU-seconds of the process, medians over `repeats` where there are several.

    Attributes:
        ours, peer: CPU-seconds of the two trainings, ours without dropout and loss on the regime, as the peer's;
            `peer` None where it is missing, and why.
        whole: CPU-seconds of ours with both.
        float32, bf16: CPU-seconds of a gradient step of the full network.
        agreement: share of bars on which both precisions of a trained network choose alike.
        evaluation: of the default network and of the full one.
        lstm: time and memory of the full network's LSTM by layers and width.
    """

    started: datetime
    repeats: int
    sizes: TrainSizes
    ours: float
    whole: float
    peer: float | None
    peer_state: str
    float32: float
    bf16: float
    agreement: float
    evaluation: list[EvaluationTime]
    lstm: list[LstmSize]

    def to_json(self) -> dict[str, Any]:
        """The whole record, machine and versions."""
        return asdict(self) | {
            "format": FORMAT,
            "benchmark": "train",
            "started": self.started.isoformat(timespec="seconds"),
            "machine": describe_machine(),
            "code": code_version(),
            "packages": package_versions(),
        }


def benchmark_train(
    repeats: int, sizes: TrainSizes | None = None, on_progress: Callable[[str], None] = lambda _: None
) -> TrainBenchmark:
    """Measure, side by side in one process with one thread; a peer that is missing is said so."""
    sizes = TrainSizes() if sizes is None else sizes
    started = datetime.now(UTC)
    torch.set_num_threads(1)
    version = peer_version(PEER)
    ours, whole, theirs = [], [], []
    _learn_ours(TrainSizes(steps=600, learning_starts=200), MLP)  # kernels compile
    for i in range(repeats):
        on_progress(f"{sizes.steps:,} steps of training, round {i + 1} of {repeats}")
        ours.append(_learn_ours(sizes, PLAIN, regime_loss_weight=0.0))
        whole.append(_learn_ours(sizes, MLP))
        if version is not None:
            theirs.append(_learn_theirs(sizes))
    on_progress("float32 and bf16")
    model = full_model(sizes.full_steps)
    float32, bf16 = update_seconds(model, sizes)
    on_progress("evaluation with and without a table of encodings")
    evaluation = [
        _evaluation_time(name, found, sizes) for name, found in (("small", _model(NetworkSettings())), ("full", model))
    ]
    return TrainBenchmark(
        started,
        repeats,
        sizes,
        ours=float(np.median(ours)),
        whole=float(np.median(whole)),
        peer=float(np.median(theirs)) if theirs else None,
        peer_state=version or NOT_INSTALLED,
        float32=float32,
        bf16=bf16,
        agreement=greedy_agreement(model, sizes.agreement_rows),
        evaluation=evaluation,
        lstm=lstm_sizes(on_progress),
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _learn_ours(sizes: TrainSizes, network: NetworkSettings, **more: float) -> float:
    market = Sizes()
    settings = EnvSettings(episode=EpisodeSettings(window=market.window))
    env = TradingVecEnv(16, random_tape(market.n_bars, market.n_features), settings)
    agent = EnhancedDQNSettings(
        learning="sampled",
        learning_starts=sizes.learning_starts,
        updates_per_bar=1 / sizes.every,
        batch_size=sizes.batch,
        **more,  # type: ignore[arg-type]
    )
    model = build_agent(agent, env, network, RANDOM_SEED)
    return _seconds(lambda: model.learn(sizes.steps))


def _learn_theirs(sizes: TrainSizes) -> float:
    with warnings.catch_warnings():
        from gym_trading_env.environments import TradingEnv
    market = Sizes()
    n_features = market.n_features - OWN_FEATURES
    frame = frame_of(random_tape(market.n_bars, market.n_features), n_features)
    env = TradingEnv(frame, windows=market.window, verbose=0)
    model = DQN(
        "MlpPolicy",
        env,
        learning_starts=sizes.learning_starts,
        train_freq=sizes.every,
        gradient_steps=1,
        batch_size=sizes.batch,
        buffer_size=sizes.steps,
        seed=RANDOM_SEED,
        device="cpu",
    )
    return _seconds(lambda: model.learn(sizes.steps))


def full_model(steps: int) -> EnhancedDQN:
    """The full network, briefly trained on the benchmark's market, in float32."""
    return _model(FULL).learn(steps)


def _model(network: NetworkSettings) -> EnhancedDQN:
    market = Sizes()
    settings = EnvSettings(episode=EpisodeSettings(window=market.window))
    env = TradingVecEnv(16, random_tape(market.n_bars, market.n_features), settings)
    agent = EnhancedDQNSettings(learning="all_actions", learning_starts=512, updates_per_bar=1 / 32, batch_size=64)
    model = build_agent(agent, env, network, RANDOM_SEED)
    assert isinstance(model, EnhancedDQN)
    return model


def update_seconds(model: EnhancedDQN, sizes: TrainSizes) -> tuple[float, float]:
    """Median CPU-seconds of a gradient step in float32 and in bf16, taken in turns, with a full batch."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    batch = model.replay_buffer.draw(sizes.wide_batch)
    assert model._outcomes is not None
    outcomes = model._outcomes(batch)
    model.policy.train(True)

    def step(bf16: bool) -> None:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            loss = model._teacher.all_actions(batch, outcomes).loss
        model.policy.optimizer.zero_grad()
        loss.backward()

    for _ in range(sizes.updates):
        for bf16 in (False, True):
            taken[bf16].append(_seconds(partial(step, bf16)))
    model.policy.train(False)
    return float(np.median(taken[False])), float(np.median(taken[True]))


@torch.no_grad()
def greedy_agreement(model: EnhancedDQN, n_rows: int) -> float:
    """Share of replayed accounts for which float32 and bf16 choose the same action."""
    batch = model.replay_buffer.draw(n_rows)
    network = model.policy.acting
    exact = network(batch.market, batch.account)[0].argmax(dim=1)
    with torch.autocast(model.device.type, torch.bfloat16):
        rounded = network(batch.market, batch.account)[0].argmax(dim=1)
    return float((exact == rounded).double().mean())


def _evaluation_time(network: str, model: EnhancedDQN, sizes: TrainSizes) -> EvaluationTime:
    """Of a rollout from a table of encodings, and of one environment that is stepped by hand."""
    market = Sizes()
    tape = random_tape(sizes.cached_bars + market.window, market.n_features)
    settings = EnvSettings(episode=EpisodeSettings(window=market.window))
    policy = EnhancedDQNPolicyAdapter(model.policy)
    start = market.window

    def walk(n_bars: int) -> float:
        return _seconds(lambda: rollout(policy, tape, settings, RowRange(start, start + n_bars))) / n_bars

    walk(64)
    env = TradingEnv(random_tape(market.n_bars, market.n_features), settings)
    by_hand = _seconds(partial(_step_by_hand, policy, env, sizes.stepwise_bars))
    return EvaluationTime(network, walk(sizes.cached_bars), by_hand / sizes.stepwise_bars)


def _step_by_hand(policy: EnhancedDQNPolicyAdapter, env: TradingEnv, n_bars: int) -> None:
    """Show the policy the window of one environment, bar by bar, as one would who has only gymnasium's interface."""
    observation, _ = env.reset(seed=RANDOM_SEED)
    for _ in range(n_bars):
        decision, _ = policy.act({key: value[None] for key, value in observation.items()})
        observation, _, terminated, truncated, _ = env.step(int(decision.action[0]))
        if terminated or truncated:
            observation, _ = env.reset()
