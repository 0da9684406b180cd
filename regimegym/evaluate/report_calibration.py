"""What report.json says of calibration: values against what followed, regime probabilities against labels."""

from typing import Any

import numpy as np

from regimegym.agents.decision.fit import HeldOut, ask
from regimegym.agents.decision.roles import ActionRoles
from regimegym.common.errors import DataError
from regimegym.common.policy import Policy
from regimegym.common.regimes import Regime
from regimegym.evaluate.calibration import policy_action_values, regime_reliability
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

HORIZON = 24  # bars over which an action's result is read off the market


def calibration_content(
    policy: Policy,
    tape: MarketTape,
    rows: RowRange,
    window: int,
    roles: ActionRoles,
    one_way_cost: float,
    horizon: int = HORIZON,
) -> dict[str, Any] | None:
    """Realised return against predicted value by action, and the detector against the causal labels.

    None where the policy states neither, or `rows` are too few.

    Args:
        policy: asked on every row from a flat account. roles: what its actions mean.
        one_way_cost: of a trade, as a fraction; a position pays it twice.
    """
    try:
        held_out = ask(policy, tape, rows, window, horizon)
    except DataError as error:
        if error.name != "too-few-bars":
            raise
        return None
    values = _values(held_out, roles, one_way_cost)
    regimes = _regimes(held_out, tape, rows)
    if values is None and regimes is None:
        return None
    return {"horizon": horizon, "n": len(held_out.returns), "actions": values, "regimes": regimes}


def _values(held_out: HeldOut, roles: ActionRoles, one_way_cost: float) -> list[dict[str, Any]] | None:
    scores = held_out.decision.scores
    if scores is None or np.shape(scores)[1] != len(roles.weights) or len(scores) < 4:
        return None
    found = policy_action_values(held_out, roles, one_way_cost)
    return [
        {
            "label": _action_words(float(weight)),
            "predicted": one.predicted,
            "realised": one.realised,
            "error": one.error,
            "rank_correlation": one.rank_correlation,
        }
        for one, weight in zip(found, roles.weights, strict=True)
        if weight != 0.0 and not np.isnan(weight)  # flat and HOLD earn nothing from a flat account
    ]


def _regimes(held_out: HeldOut, tape: MarketTape, rows: RowRange) -> dict[str, Any] | None:
    probabilities = held_out.decision.regime_probabilities
    if probabilities is None:
        return None
    labels = tape.regimes[rows.start : rows.start + len(held_out.returns)]
    known = labels != Regime.UNKNOWN
    if not known.any():
        return None
    stated, truth = np.asarray(probabilities, np.float64)[known], labels[known]
    return {
        "agreement": float((stated.argmax(axis=1) == truth).mean()),
        "majority": float(np.bincount(truth).max() / len(truth)),
        "balanced": balanced_accuracy(stated.argmax(axis=1), truth),
        "n_labels": len(np.unique(truth)),
        "by_regime": {
            name: {
                "error": one.error,
                "stated": one.stated,
                "happened": one.happened,
                "low": one.low,
                "high": one.high,
                "counts": one.counts,
            }
            for name, one in regime_reliability(stated, truth).items()
        },
    }


def balanced_accuracy(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the labels that occur in `truth` (n,) of the share of their bars that `found` (n,) names.

    1/labels for whoever always says the same, however common that label is.
    """
    return float(np.mean([(found[truth == label] == label).mean() for label in np.unique(truth)]))


def _action_words(weight: float) -> str:
    return f"{'long' if weight > 0 else 'short'} {100 * abs(weight):.0f} %"
