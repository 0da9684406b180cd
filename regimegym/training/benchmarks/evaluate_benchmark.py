"""The evaluation benchmark: many scenarios in one batch against single environments one after the other."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.agents.build import build_policy
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.policy import policy_of
from regimegym.agents.settings import EnhancedDQNSettings
from regimegym.common.policy import Policy
from regimegym.common.seeding import generator
from regimegym.envs.settings import EnvSettings, EpisodeSettings
from regimegym.envs.trading_env import TradingEnv
from regimegym.evaluate.ab_test import compare_agents
from regimegym.evaluate.cost_curve import scaled_costs
from regimegym.evaluate.evaluation import evaluate_policy
from regimegym.evaluate.report.build import write_report
from regimegym.evaluate.report_content import to_report
from regimegym.evaluate.scenario_rollout import rollout_scenarios
from regimegym.evaluate.scenarios import Scenario
from regimegym.evaluate.statistics import improvement_interval, performance_profile, score_interval
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape
from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.market import random_tape
from regimegym.training.benchmarks.record import Judged, described
from regimegym.training.benchmarks.table import VERDICTS
from regimegym.training.benchmarks.target import Target
from regimegym.training.formatting import count, number

FORMAT = 1
WINDOW, N_FEATURES = 30, 35
ACCOUNTS = 10  # of 60 scenarios, so many share a market and differ in costs or delay, as in conf/suite/default.yaml
BATCH_TARGET = Target(20.0, at_least=True)
SECONDS_TARGET = Target(10.0, at_least=False)
LOOP_STEPS = 600  # of each looked-at scenario that the loop walks
LOOPED = 4  # scenarios that the loop walks


@dataclass(frozen=True)
class Sizes:
    """How large it is: one agent × scenarios × seeds × bars."""

    n_scenarios: int = 60
    n_seeds: int = 10
    n_bars: int = 2_000


@dataclass(frozen=True)
class EvaluateRow(Judged):
    """One line: what, the figure as text, the value that the target judges."""

    name: str
    figure: str
    value: float
    unit: str
    target: Target | None = None


@dataclass(frozen=True)
class EvaluateBenchmark:
    """What one run measured.

    Attributes:
        same_decisions: share of the looked-at bars on which batch and loop decided alike; another batch
            size may round a Q value differently, which turns a decision that hangs by a thread.
    """

    started: datetime
    repeats: int
    sizes: Sizes
    same_decisions: float
    rows: list[EvaluateRow]

    def to_json(self) -> dict[str, Any]:
        """The whole record: rows with their verdicts, versions, machine."""
        return described("evaluate", FORMAT, self.started) | {
            "repeats": self.repeats,
            "sizes": asdict(self.sizes),
            "same_decisions": self.same_decisions,
            "rows": [asdict(row) | {"met": row.is_met} for row in self.rows],
        }


def benchmark_evaluate(
    repeats: int, sizes: Sizes | None = None, on_progress: Callable[[str], None] = lambda _: None
) -> EvaluateBenchmark:
    """Measure an EnhancedDQN of the default size with fresh weights; medians over `repeats`, CPU time of one thread.

    Each round walks all scenarios of one seed in one batch, and a slice of the loop beside it; both
    are scaled to all seeds.
    """
    sizes = sizes or Sizes()
    torch.set_num_threads(1)
    started, policy = datetime.now(UTC), fresh_policy()
    scenarios = make_scenarios(sizes.n_scenarios, sizes.n_bars)
    on_progress("kernels are compiled")
    rollout_scenarios(lambda symbol: policy, make_scenarios(ACCOUNTS, WINDOW + 40))
    _looped(policy, scenarios[0], 3)
    batched, looped, same = [], [], []
    walked: list[Trajectory] = []
    n_looped = min(sizes.n_bars - WINDOW - 1, LOOP_STEPS)
    for i in range(repeats):
        on_progress(f"round {i + 1} of {repeats}")
        seconds, walked = _timed(lambda: rollout_scenarios(lambda symbol: policy, scenarios))
        batched.append(seconds / sum(map(len, walked)))
        for scenario, run in list(zip(scenarios, walked, strict=True))[-LOOPED:]:
            seconds, actions = _timed(partial(_looped, policy, scenario, n_looped))
            looped.append(seconds / n_looped)
            same.append(float((run.actions[:n_looped] == actions).mean()))
    on_progress("statistics and report")
    fast, slow = statistics.median(batched), statistics.median(looped)
    statistic_s, _ = _timed(lambda: _statistics(sizes))
    report_s, _ = _timed(lambda: _report(policy, scenarios[0]))
    n_bars = sum(map(len, walked)) * sizes.n_seeds
    rows = [
        EvaluateRow("one batch, bars per CPU-s", count(1 / fast), 1 / fast, "bars/s"),
        EvaluateRow("loop, bars per CPU-s", count(1 / slow), 1 / slow, "bars/s"),
        EvaluateRow("batch / loop", f"{number(slow / fast, 1)} ×", slow / fast, "×", BATCH_TARGET),
        EvaluateRow("all seeds in batches", f"{number(fast * n_bars, 1)} s", fast * n_bars, "s"),
        EvaluateRow("all seeds in the loop", f"{number(slow * n_bars, 0)} s", slow * n_bars, "s"),
        EvaluateRow("statistics", f"{number(statistic_s, 2)} s", statistic_s, "s", SECONDS_TARGET),
        EvaluateRow("evaluation and report", f"{number(report_s, 2)} s", report_s, "s", SECONDS_TARGET),
    ]
    return EvaluateBenchmark(started, repeats, sizes, statistics.mean(same), rows)


def fresh_policy() -> Policy:
    """An EnhancedDQN of the default size; what it has learned does not change what it costs."""
    env = TradingEnv(random_tape(400, N_FEATURES), _settings(300))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = build_policy(EnhancedDQNSettings(), NetworkSettings(), env.observation_space, env.action_space)  # type: ignore[arg-type]
    return policy_of(found)


def make_scenarios(n_scenarios: int, n_bars: int) -> list[Scenario]:
    """Scenarios of one seed: markets of their own but for ACCOUNTS of them, which trade the first at other costs."""
    settings, rows = _settings(n_bars), RowRange(WINDOW, n_bars)
    markets = [_market(i, n_bars) for i in range(max(1, n_scenarios - ACCOUNTS))]
    found = [Scenario(f"market {i}", "markets", "", tape, rows, settings, "new") for i, tape in enumerate(markets)]
    for i in range(n_scenarios - len(found)):
        dear = scaled_costs(settings, float(i % 5))
        found.append(Scenario(f"account {i}", "accounts", "", markets[0], rows, dear, "new", delay=0))
    return found


def _settings(n_bars: int) -> EnvSettings:
    return EnvSettings(episode=EpisodeSettings(window=WINDOW, length=n_bars - WINDOW - 1))


def _market(i: int, n_bars: int) -> MarketTape:
    rng = generator(i, "benchmark-market")
    close = 100.0 * np.exp(np.cumsum(0.004 * rng.standard_normal(n_bars)))
    features = rng.standard_normal((n_bars, N_FEATURES), dtype=np.float32)
    start = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(start, close), np.minimum(start, close)
    tape = random_tape(n_bars, N_FEATURES)
    return replace(tape, open=start, high=high, low=low, close=close, features=features)


def _looped(policy: Policy, scenario: Scenario, n_steps: int) -> np.ndarray:
    """Actions (n_steps,) of one environment that asks the policy at every bar, as an evaluation loop is written."""
    env = TradingEnv(scenario.tape, scenario.settings, scenario.rows)
    observation, _ = env.reset(seed=0)
    actions, state = [], None
    for k in range(n_steps):
        batch = {key: value[None] for key, value in observation.items()}
        decision, state = policy.act(batch, state, np.array([k == 0]))
        actions.append(int(decision.action[0]))
        observation, _, terminated, truncated, _ = env.step(actions[-1])
        assert not (terminated or truncated) or k == n_steps - 1
    return np.array(actions)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def _statistics(sizes: Sizes) -> None:
    """What a sceptic asks of seeds × scenarios, with the settings of a report."""
    rng = generator(0, "benchmark-scores")
    ours, theirs = rng.standard_normal((2, sizes.n_seeds, sizes.n_scenarios))
    score_interval(ours, rng)
    improvement_interval(ours, theirs, rng)
    performance_profile(ours, np.linspace(-3, 3, 61), rng)
    compare_agents({"ours": ours, "a": theirs, "b": theirs[::-1]}, "a", rng)


def _report(policy: Policy, scenario: Scenario) -> None:
    """Evaluation with baselines, intervals and cost curve, and the report as a file."""
    found = evaluate_policy(policy, scenario.tape, scenario.settings, scenario.rows, "test", 1)
    with TemporaryDirectory() as folder:
        write_report(to_report(found), Path(folder) / "report.html")


def evaluate_table(benchmark: EvaluateBenchmark) -> RenderableType:
    """The rows, and below them how they were measured."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("one agent through scenarios", no_wrap=True)
    for heading in ("figure", "target", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in benchmark.rows:
        target = "" if row.target is None else f"{'≥' if row.target.at_least else '≤'} {row.target.limit:g} {row.unit}"
        style = "bold" if row.is_met is False else ""
        table.add_row(row.name, row.figure, target, VERDICTS[row.is_met], style=style)
    return Group(table, Text(), *(Text(note) for note in _notes(benchmark)))


def _notes(benchmark: EvaluateBenchmark) -> Sequence[str]:
    sizes, machine = benchmark.sizes, describe_machine()
    return (
        f"{sizes.n_scenarios} scenarios × {sizes.n_seeds} seeds × {sizes.n_bars:,} bars",
        f"EnhancedDQN, network small, window {WINDOW} × {N_FEATURES} features",
        f"medians of {benchmark.repeats} rounds, CPU time of one thread: one seed in a batch,",
        f"{LOOPED} scenarios × {LOOP_STEPS} bars in the loop; all seeds are scaled from that",
        f"batch and loop decide alike on {100 * benchmark.same_decisions:.2f} % of those bars",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
    )
