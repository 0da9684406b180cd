"""Evaluation: everything that is measured about one policy on one stretch of bars."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from regimegym.common.errors import ConfigError
from regimegym.common.policy import Policy
from regimegym.common.seeding import generator
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import bar_records
from regimegym.evaluate.baselines import (
    SIMPLE_RULES,
    RuleSettings,
    captured_share,
    regret,
    rule_run,
    run_baselines,
)
from regimegym.evaluate.breakdowns import per_trade
from regimegym.evaluate.cost_curve import CostCurve, scaled_costs, scaled_spreads
from regimegym.evaluate.intervals import Interval, log_return_intervals, sharpe_intervals
from regimegym.evaluate.metrics import all_metrics, simple_returns
from regimegym.evaluate.regime_table import per_regime
from regimegym.evaluate.rollout import Lane, bind, check_rows, walk
from regimegym.evaluate.rules import BuyAndHold
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.evaluate.trajectory import Trajectory
from regimegym.evaluate.verdict import Evidence, Verdict, judge
from regimegym.evaluate.weaknesses import Weakness, weaknesses
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

BOOTSTRAP = "bootstrap"  # name of the generator


class Intervals(NamedTuple):
    """Bootstrap intervals, by policy; `above` is agent minus that policy, paired."""

    log_return: dict[str, Interval]
    sharpe_ratio: dict[str, Interval]
    log_return_above: dict[str, Interval]
    sharpe_ratio_above: dict[str, Interval]
    strict_log_return: Interval  # of the agent, at the level of the verdict
    strict_above_buy_and_hold: Interval
    block_length: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Results of an agent and the baselines on the same bars, costs and execution.

    Attributes:
        part: `validation` or `test`.
        symbol: name of the instrument.
        trajectories: by policy, `agent` and `buy_and_hold` first; the others as in BaselineRuns.
        labels: names of the policies for people. notes: what else should be said of some of them.
        metrics: by policy, all of METRICS; undefined ones are NaN.
        random_band: (2, n + 1) 5 % and 95 % quantile of the random traders' equity, money.
        intervals: bootstrap intervals of log return and Sharpe ratio.
        regimes: by policy, the table of `per_regime`.
        trades: the agent's closed trades, see breakdowns.per_trade.
        costs: the cost curve.
        ceiling_is_exact: whether no path of the agent's actions earns more than `hindsight`; None without it.
        settings, evaluation: what it was measured under.
    """

    part: str
    symbol: str
    trajectories: dict[str, Trajectory]
    labels: dict[str, str]
    notes: dict[str, str]
    metrics: dict[str, dict[str, float]]
    random_band: np.ndarray
    intervals: Intervals
    regimes: dict[str, dict[str, dict[str, float]]]
    trades: pd.DataFrame
    costs: CostCurve
    ceiling_is_exact: bool | None
    settings: EnvSettings
    evaluation: EvaluationSettings

    @property
    def agent(self) -> Trajectory:
        """The agent's trajectory."""
        return self.trajectories["agent"]

    @property
    def regret(self) -> float:
        """Log return that hindsight had and the agent had not; NaN without a ceiling."""
        return regret(self._ceiling, self.metrics["agent"]["log_return"])

    @property
    def captured_share(self) -> float:
        """The agent's log return as a share of hindsight's; NaN without a ceiling."""
        return captured_share(self._ceiling, self.metrics["agent"]["log_return"])

    @property
    def _ceiling(self) -> float:
        return self.metrics["hindsight"]["log_return"] if "hindsight" in self.metrics else float("nan")

    @property
    def years(self) -> float:
        """Length of the part in years of the data's own calendar."""
        return len(self.agent) / self.agent.periods_per_year

    @property
    def weaknesses(self) -> list[Weakness]:
        """What was looked for in the agent's result, what is weak first."""
        least = self.evaluation.verdict.least_break_even
        return weaknesses(self.agent, self.settings.action, self.costs.break_even_flat, least)

    def evidence(self, test_looks_before: int | None = None) -> Evidence:
        """What the verdict looks at."""
        best = max(SIMPLE_RULES, key=lambda key: self.metrics[key]["log_return"])
        return Evidence(
            log_return=self.intervals.log_return["agent"],
            above_buy_and_hold=self.intervals.log_return_above["buy_and_hold"],
            strict_log_return=self.intervals.strict_log_return,
            strict_above_buy_and_hold=self.intervals.strict_above_buy_and_hold,
            buy_and_hold_log_return=self.intervals.log_return["buy_and_hold"].value,
            best_rule=self.labels[best],
            above_best_rule=self.intervals.log_return_above[best],
            break_even=self.costs.break_even_flat,
            n_trades=self.agent.n_trades,
            n_bars=len(self.agent),
            years=self.years,
            level=self.evaluation.intervals.level,
            terminated=self.agent.terminated,
            optimistic_fills=self.settings.account.execution == "same_close",
            test_looks_before=test_looks_before,
        )

    def verdict(self, test_looks_before: int | None = None) -> Verdict:
        """Stamp, sentences and checks, given how often this part was looked at before."""
        return judge(self.evidence(test_looks_before), self.evaluation.verdict)


def evaluate_policy(
    policy: Policy,
    tape: MarketTape,
    settings: EnvSettings,
    rows: RowRange,
    part: str,
    random_seed: int,
    label: str = "Agent",
    evaluation: EvaluationSettings | None = None,
    rules: RuleSettings | None = None,
    others: Mapping[str, tuple[str, Policy]] | None = None,
) -> Evaluation:
    """Measure `policy` and the baselines on `rows`; the same call gives the same numbers.

    Args:
        policy: memoryless or not; what it computes for the tape is computed once.
        tape, settings, rows: as of `rollout`.
        part: name of the rows, `validation` or `test`.
        random_seed: of the random traders and the bootstrap.
        label: name of the agent for people.
        evaluation: what to measure; the defaults where None.
        rules: what `fit_rules` found on training rows; None takes what is fixed for the timeframe.
        others: (label, policy) by key, to be compared with as the baselines are.

    Raises:
        RunError: `bad-rows`, as of `rollout`.
    """
    evaluation = evaluation or EvaluationSettings()
    agent, costs = _agent_and_costs(policy, tape, settings, rows, evaluation)
    runs = run_baselines(tape, settings, rows, random_seed, agent.n_trades, evaluation.random_accounts, rules, others)
    trajectories = {"agent": agent, **runs.trajectories}
    return Evaluation(
        part=part,
        symbol=tape.segment_of(rows.start).symbol,
        trajectories=trajectories,
        labels={"agent": label, **runs.labels},
        notes=runs.notes,
        metrics={key: all_metrics(trajectory) for key, trajectory in trajectories.items()},
        random_band=runs.random_band,
        intervals=_intervals(trajectories, evaluation, random_seed),
        regimes={key: per_regime(trajectory) for key, trajectory in trajectories.items()},
        trades=per_trade(agent, tape.high[slice(*rows)], tape.low[slice(*rows)]),
        costs=costs,
        ceiling_is_exact=runs.ceiling_is_exact,
        settings=settings,
        evaluation=evaluation,
    )


def _agent_and_costs(
    policy: Policy, tape: MarketTape, settings: EnvSettings, rows: RowRange, evaluation: EvaluationSettings
) -> tuple[Trajectory, CostCurve]:
    """The agent under the assumed costs, and under scaled ones, walked side by side."""
    check_rows(tape, rows)
    multiples = [m for m in evaluation.cost_multiples if _is_possible(settings, m)]
    costs = [(scaled_spreads(tape, m), scaled_costs(settings, m)) for m in multiples]
    start = np.array([rows.start])
    lanes = [Lane(dear, bar_records(market, dear.account.carry_clock), start) for market, dear in costs]
    agents = [lane[0] for lane in walk(bind(policy, tape, rows), tape, lanes, rows.count)]
    held = [rule_run(BuyAndHold(dear), market, rows) for market, dear in costs]
    curve = CostCurve(
        np.array(multiples),
        np.array([trajectory.log_returns.sum() for trajectory in agents]),
        np.array([trajectory.log_returns.sum() for trajectory in held]),
    )
    return agents[multiples.index(1.0)], curve


def _is_possible(settings: EnvSettings, multiple: float) -> bool:
    """Whether scaled costs still leave something to trade with."""
    try:
        scaled_costs(settings, multiple)
    except ConfigError:
        return False
    return True


def _intervals(trajectories: dict[str, Trajectory], evaluation: EvaluationSettings, random_seed: int) -> Intervals:
    settings = evaluation.intervals
    strict = replace(settings, level=evaluation.verdict.level)
    keys = list(trajectories)
    agent = trajectories["agent"]
    trades, periods = agent.n_trades, agent.periods_per_year
    log_returns = np.stack([trajectory.log_returns for trajectory in trajectories.values()])
    returns = np.stack([simple_returns(trajectory.equity) for trajectory in trajectories.values()])
    # The same generator again: both levels are quantiles of the same resampled paths.
    own, above = log_return_intervals(log_returns, trades, settings, generator(random_seed, BOOTSTRAP))
    strict_own, strict_above = log_return_intervals(log_returns[:2], trades, strict, generator(random_seed, BOOTSTRAP))
    own_sharpe, above_sharpe = sharpe_intervals(returns, trades, periods, settings, generator(random_seed, BOOTSTRAP))
    return Intervals(
        dict(zip(keys, own, strict=True)),
        dict(zip(keys, own_sharpe, strict=True)),
        dict(zip(keys[1:], above, strict=True)),
        dict(zip(keys[1:], above_sharpe, strict=True)),
        strict_own[0],
        strict_above[0],
        settings.block_length(log_returns.shape[1], trades),
    )
