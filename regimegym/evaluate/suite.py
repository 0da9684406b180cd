"""A suite: named families of scenarios, one policy (or one per training run) through all of them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError, DataError
from regimegym.common.policy import Policy
from regimegym.evaluate.baselines import (
    CONTEXT_BARS,
    SIMPLE_RULES,
    BaselineRuns,
    RuleSettings,
    captured_share,
    regret,
    run_baselines,
)
from regimegym.evaluate.metrics import all_metrics
from regimegym.evaluate.scenario_rollout import rollout_scenarios
from regimegym.evaluate.scenarios import Family, Ground, Plan, Scenario
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.splits import RowRange
from regimegym.features.tape import cut_tape

LOG = logging.getLogger(__name__)
OnScenario = Callable[[int, int, str], None]


@dataclass(frozen=True)
class SuiteSettings:
    """Which scenarios a suite holds; conf/suite/ has one file for each.

    Attributes:
        name: of the suite.
        families: by any name, in the order of the tables.
        random_seed: of everything that the scenarios draw.
        random_accounts: random traders of each scenario, of which the median is reported; odd.
        least_bars: a scenario with fewer is left out.
    """

    name: str = "default"
    families: Mapping[str, Family] = field(default_factory=dict)
    random_seed: int = 0
    random_accounts: int = 11
    least_bars: int = 20

    def __post_init__(self) -> None:
        if not self.families:
            raise ConfigError("empty-suite", f"the suite '{self.name}' holds no family of scenarios")
        check_at_least("least_bars", self.least_bars, 2)
        check_at_least("random_accounts", self.random_accounts, 1)

    def plans(self, ground: Ground) -> list[Plan]:
        """Every scenario of every family. Raises ConfigError where two have one name."""
        found = [plan for family in self.families.values() for plan in family.plans(ground)]
        names = [plan.name for plan in found]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ConfigError("repeated-scenario", f"the suite '{self.name}' holds the scenario '{twice[0]}' twice")
        return found


class Skipped(NamedTuple):
    """A scenario that could not be built, and why."""

    name: str
    group: str
    reason: str


@dataclass(frozen=True, eq=False)
class ScenarioResult:
    """One policy and the baselines in one scenario.

    Attributes:
        agent: its trajectory, and metrics of every policy by key, `agent` first.
        ceiling_is_exact: see BaselineRuns.
    """

    scenario: Scenario
    agent: Trajectory
    metrics: dict[str, dict[str, float]]
    labels: dict[str, str]
    ceiling_is_exact: bool | None

    @property
    def log_return(self) -> float:
        """Of the agent."""
        return self.metrics["agent"]["log_return"]

    @property
    def above_buy_and_hold(self) -> float:
        """Agent minus buy and hold, log return."""
        return self.log_return - self.metrics["buy_and_hold"]["log_return"]

    @property
    def best_rule(self) -> str:
        """Key of the simple rule that earned most."""
        return max(SIMPLE_RULES, key=lambda key: self.metrics[key]["log_return"])

    @property
    def ceiling(self) -> float:
        """Log return of hindsight; NaN where the scenario is too long for it."""
        return self.metrics.get("hindsight", {}).get("log_return", float("nan"))

    @property
    def regret(self) -> float:
        """Hindsight minus agent, log return."""
        return regret(self.ceiling, self.log_return)

    @property
    def captured_share(self) -> float:
        """The agent's log return as a share of hindsight's."""
        return captured_share(self.ceiling, self.log_return)


@dataclass(frozen=True, eq=False)
class SuiteRun:
    """What one policy did in a suite.

    Attributes:
        results: in the order of the suite.
        skipped: what could not be built.
    """

    suite: SuiteSettings
    results: tuple[ScenarioResult, ...]
    skipped: tuple[Skipped, ...]


def build_scenarios(
    suite: SuiteSettings, ground: Ground, on_scenario: OnScenario | None = None
) -> tuple[list[Scenario], list[Skipped]]:
    """The scenarios of the suite that this history and model allow, and those that they do not.

    Raises:
        DataError: `no-scenarios`, none is left.
    """
    built, skipped = [], []
    plans = suite.plans(ground)
    for i, plan in enumerate(plans):
        if on_scenario is not None:
            on_scenario(i, len(plans), plan.name)
        try:
            scenario = plan.build()
        except (DataError, ConfigError) as error:
            if isinstance(error, ConfigError) and error.name != "too-few-bars":  # a mistake in the suite itself
                raise
            skipped.append(Skipped(plan.name, plan.group, error.sentence))
            continue
        if scenario.rows.count <= suite.least_bars:
            skipped.append(Skipped(plan.name, plan.group, f"it has {scenario.rows.count:,} bars only"))
            continue
        built.append(scenario)
    if skipped:
        LOG.info("%d of %d scenarios are left out, first %s: %s", len(skipped), len(plans), *skipped[0][::2])
    if not built:
        raise DataError(
            "no-scenarios",
            f"none of the {len(plans)} scenarios of the suite '{suite.name}' can be built on this data",
            found="; ".join(f"{one.name}: {one.reason}" for one in skipped[:3]),
        )
    return built, skipped


def run_suite(
    policy_for: Callable[[str], Policy],
    scenarios: Sequence[Scenario],
    suite: SuiteSettings,
    skipped: Sequence[Skipped] = (),
    rules: RuleSettings | None = None,
    label: str = "Agent",
    others: Mapping[str, tuple[str, Policy]] | None = None,
) -> SuiteRun:
    """One policy and all baselines through the scenarios; the same call gives the same numbers.

    Args:
        policy_for: symbol → policy.
        rules, others: as in `run_baselines`.
        label: name of the agent for people.
    """
    agents = rollout_scenarios(policy_for, scenarios)
    results = [
        _judged(scenario, agent, suite, rules, label, others) for scenario, agent in zip(scenarios, agents, strict=True)
    ]
    return SuiteRun(suite, tuple(results), tuple(skipped))


def _judged(
    scenario: Scenario,
    agent: Trajectory,
    suite: SuiteSettings,
    rules: RuleSettings | None,
    label: str,
    others: Mapping[str, tuple[str, Policy]] | None,
) -> ScenarioResult:
    tape, rows = scenario.tape, scenario.rows
    begin = max(tape.segment_of(rows.start).start, rows.start - CONTEXT_BARS)
    part = cut_tape(tape, begin, rows.stop)
    runs: BaselineRuns = run_baselines(
        part,
        scenario.settings,
        RowRange(rows.start - begin, rows.stop - begin),
        suite.random_seed,
        agent.n_trades,
        suite.random_accounts,
        rules,
        others,
    )
    trajectories = {"agent": agent, **runs.trajectories}
    metrics = {key: all_metrics(run) for key, run in trajectories.items()}
    return ScenarioResult(scenario, agent, metrics, {"agent": label, **runs.labels}, runs.ceiling_is_exact)


def median_run(runs: Sequence[ScenarioResult]) -> ScenarioResult:
    """The run with the (lower) median log return of the agent: never the best seed."""
    order = np.argsort([run.log_return for run in runs], kind="stable")
    return runs[order[(len(runs) - 1) // 2]]
