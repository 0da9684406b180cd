"""What report.json says of the data, the costs and the run that a result comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regimegym.envs.settings import AccountSettings
from regimegym.evaluate.evaluation import Evaluation
from regimegym.evaluate.report_series import close_ms
from regimegym.features.durations import timeframe_words

FILL_WORDS = {
    "next_open": "an order decided at a close fills at the next bar's open",
    "same_close": "an order fills at the very close it was decided on (optimistic)",
}


@dataclass(frozen=True)
class ReportContext:
    """What the report says that an Evaluation does not know.

    Attributes:
        source: file or generator of the data.
        data_fingerprint: of the bars.
        run_id, run_folder: of the run.
        random_seeds: seeds of the runs shown.
        created_ms: when the report was made, UTC milliseconds; None leaves it out.
        test_looks_before: looks at this part before this one; None where unknown.
        trials_counted: configurations scored on validation so far; None where unknown.
        validation: metrics of the agent on validation, for the shrinkage; None without.
        run_card: nested settings, versions and seeds, shown as they are.
        commands: (label, command) pairs to repeat or go on.
        warnings: said by the run itself.
        seed_band: (2, n + 1) lowest and highest equity of all seeds, multiples of the start; None for one seed.
        seed_log_returns: of every seed, in the order of `random_seeds`; empty for one.
        latencies_ms: of measured decisions of one account; None where none was measured.
        scenarios: content of scenarios.json. calibration: of report_calibration. walk_forward: of its folds.
            decision: of decision.json. monte_carlo: of monte_carlo.json. drift: `n` features, `drifted` ones and
            the `worst`. checks: `shocks` of the features and `detection` of planted regimes. look_ahead: `found`,
            `columns`, `cuts` and `changed` of the audit. Each None where not measured.
    """

    source: str = ""
    data_fingerprint: str = ""
    run_id: str = ""
    run_folder: str = ""
    random_seeds: Sequence[int] = ()
    created_ms: int | None = None
    test_looks_before: int | None = None
    trials_counted: int | None = None
    validation: Mapping[str, float] | None = None
    run_card: Mapping[str, Any] = field(default_factory=dict)
    commands: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    seed_band: np.ndarray | None = None
    seed_log_returns: Sequence[float] = ()
    latencies_ms: Sequence[float] | None = None
    scenarios: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    walk_forward: Mapping[str, Any] | None = None
    decision: Mapping[str, Any] | None = None
    checks: Mapping[str, Any] | None = None
    monte_carlo: Mapping[str, Any] | None = None
    drift: Mapping[str, Any] | None = None
    look_ahead: Mapping[str, Any] | None = None


def facts(evaluation: Evaluation, context: ReportContext) -> dict[str, Any]:
    """Period, fills, costs, account, seeds and the counters of trials and looks."""
    agent, account, action = evaluation.agent, evaluation.settings.account, evaluation.settings.action
    times = close_ms(agent)
    names = ("fee_rate", "half_spread", "slippage", "impact", "fixed_fee", "borrow_rate", "spread_source")
    one_way = one_way_cost(account)
    costs = {name: getattr(account, name) for name in names}
    return {
        "symbol": evaluation.symbol,
        "timeframe": timeframe_words(agent.timeframe_ns),
        "source": context.source,
        "data_fingerprint": context.data_fingerprint,
        "start_ms": times[0],
        "end_ms": times[-1],
        "n_bars": len(agent) + 1,
        "n_decisions": len(agent),
        "periods_per_year": agent.periods_per_year,
        "years": evaluation.years,
        "fills": account.execution,
        "fills_words": FILL_WORDS[account.execution],
        "costs": costs | {"one_way": one_way, "round_trip": 2 * one_way},
        "costs_words": costs_words(costs, one_way),
        "agent": evaluation.labels["agent"],
        "random_seeds": list(context.random_seeds),
        "run_id": context.run_id,
        "run_folder": context.run_folder,
        "test_looks_before": context.test_looks_before,
        "trials_counted": context.trials_counted,
        "created_ms": context.created_ms,
        "initial_cash": account.initial_cash,
        "sizing": account.sizing,
        "rebalance": account.rebalance,
        "action_mode": action.mode,
        "allow_short": action.allow_short,
    }


def one_way_cost(account: AccountSettings) -> float:
    """Cost of one trade as a fraction of its value, without impact, fixed fees and spreads quoted in the data."""
    spread = 0.0 if account.spread_source == "bars" else account.half_spread
    return account.fee_rate + spread + account.slippage


def costs_words(costs: Mapping[str, Any], one_way: float) -> str:
    """Costs of one trade in per cent of its value, each part named."""
    parts = [f"fee {100 * costs['fee_rate']:.3g} %", f"slippage {100 * costs['slippage']:.3g} %"]
    if costs["spread_source"] == "bars":
        parts.insert(1, "half spread as quoted in the data")
        total = f"{100 * one_way:.3g} % per trade and the spread"
    else:
        parts.insert(1, f"half spread {100 * costs['half_spread']:.3g} %")
        total = f"{100 * one_way:.3g} % per trade"
    if costs["impact"]:
        parts.append(f"impact up to {100 * costs['impact']:.3g} % by the share of the bar's volume")
    if costs["fixed_fee"]:
        parts.append(f"{costs['fixed_fee']:g} per fill")
    return f"{total}: {', '.join(parts)}"
