"""What report.json says of where a result came from: regimes, costs, trades and months."""

import math
from typing import Any

import numpy as np

from regimegym.common.regimes import REGIMES
from regimegym.evaluate.breakdowns import per_month
from regimegym.evaluate.cost_curve import break_even_words
from regimegym.evaluate.evaluation import Evaluation
from regimegym.evaluate.report_facts import one_way_cost
from regimegym.evaluate.report_series import regime_words


def regime_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The agent beside buy and hold in each regime, by the label known at the decision."""
    names = ("log_return", "mean_exposure", "sharpe_ratio", "trades")
    rows = []
    for regime in REGIMES:
        agent = evaluation.regimes["agent"][regime.name]
        held = evaluation.regimes["buy_and_hold"][regime.name]
        rows.append(
            regime_words(regime)
            | {
                "n": agent["n"],
                "share": agent["share"],
                "agent": {name: agent[name] for name in names},
                "buy_and_hold": {name: held[name] for name in names},
                "difference": {"log_return": agent["log_return"] - held["log_return"]},
            }
        )
    return rows


def cost_curve(evaluation: Evaluation) -> dict[str, Any]:
    """Results at every multiple of the assumed costs, and where the gain is gone."""
    curve = evaluation.costs
    multiples = curve.multiples.tolist()
    flat, held = curve.break_even_flat, curve.break_even_buy_and_hold
    return {
        "one_way": one_way_cost(evaluation.settings.account),
        "multiples": multiples,
        "agent_log_return": curve.agent,
        "buy_and_hold_log_return": curve.buy_and_hold,
        "agent_total_return": np.expm1(curve.agent),
        "buy_and_hold_total_return": np.expm1(curve.buy_and_hold),
        "break_even_flat": flat,
        "break_even_flat_words": break_even_words(flat, multiples, "flat"),
        "break_even_buy_and_hold": held,
        "break_even_buy_and_hold_words": break_even_words(held, multiples, "buy and hold"),
    }


def costs_paid(evaluation: Evaluation) -> dict[str, float]:
    """Costs of the agent, money."""
    paid, trades = evaluation.metrics["agent"]["costs_paid"], evaluation.agent.n_trades
    return {
        "agent": paid,
        "agent_share_of_initial": paid / evaluation.settings.account.initial_cash,
        "per_trade": paid / trades if trades else math.nan,
    }


def closed_trades(evaluation: Evaluation) -> dict[str, float]:
    """What the closed trades say, counts and averages."""
    metrics = evaluation.metrics["agent"]
    return {
        "n": metrics["closed_trades"],
        "open": metrics["open_trades"],
        "win_rate": metrics["win_rate"],
        "profit_factor": metrics["profit_factor"],
        "average_bars": metrics["average_bars_held"],
    }


def month_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The agent beside buy and hold, month by month."""
    held = per_month(evaluation.trajectories["buy_and_hold"])
    return [
        {"month": month, **row, "buy_and_hold_log_return": held[month]["log_return"]}
        for month, row in per_month(evaluation.agent).items()
    ]
