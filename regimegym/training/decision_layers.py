"""Decision layers of a run: fitted on validation, reported on the parts that were looked at anyway."""

from collections.abc import Mapping
from typing import Any

from regimegym.agents.card import ModelCard
from regimegym.agents.checkpoint import load_policy, save_layers
from regimegym.agents.decision.fit import ask, fit_decision, paid_decisions
from regimegym.agents.decision.layers import FittedDecision, LayeredPolicy, layered, with_base
from regimegym.agents.decision.probabilities import apply_isotonic, calibration_error
from regimegym.agents.decision.settings import DecisionSettings, TierSettings
from regimegym.agents.decision.sizing import TIER_SIZES, tier_edges
from regimegym.common.policy import Policy
from regimegym.evaluate.rollout import rollout
from regimegym.features.splits import RowRange
from regimegym.training.experiment import Experiment
from regimegym.training.run_folder import RunFolder

DECISION_FILE = "decision.json"


def fit_layers(
    folder: RunFolder, experiment: Experiment, settings: DecisionSettings, device: Any
) -> tuple[Policy, ModelCard]:
    """The run's model with its layers, which are fitted on validation and saved with it; and its card.

    Raises:
        DataError: validation is too short for the horizon.
        ModelError: the model has no discrete actions, or no scores.
    """
    if settings.is_empty:
        return load_policy(folder.model, device)
    symbol = experiment.tape.symbol
    policy, card = load_policy(folder.model, device, with_layers=False)
    env, rows = experiment.settings, experiment.split.validation

    def net_return(candidate: Policy) -> float:
        return float(rollout(candidate, experiment.tape, env, rows)[0].log_returns.sum())

    fitted = fit_decision(
        policy, experiment.tape, rows, env.episode.window, env.account, card.roles(), settings, net_return
    )
    save_layers(folder.model, fitted)
    return load_policy(folder.model, device, symbol=symbol)


def describe_layers(
    folder: RunFolder, experiment: Experiment, parts: Mapping[str, RowRange], device: Any
) -> dict[str, Any] | None:
    """What the layers do on each part, written to decision.json; None without layers.

    `tiers`: the edges as they hold for the symbol. By part: `calibration`, the error of the confidence
    before and after the isotonic map, and `thresholds`, log return and trades of every threshold tried.
    The test part repeats what was fitted on validation; nothing is chosen there.
    """
    policy, card = load_policy(folder.model, device, with_layers=False)
    fitted = card.layers()
    if fitted is None:
        return None
    found = {
        name: {
            "calibration": _calibration(policy, card, fitted, experiment, rows),
            "thresholds": _curve(policy, card, fitted, experiment, rows),
        }
        for name, rows in parts.items()
    }
    tiers = resolved_tiers(fitted.settings.tiers, experiment.tape.symbol)
    described = {"fitted": fitted.to_dict(), "tiers": tiers, "parts": found}
    folder.write_json(DECISION_FILE, described)
    return described


def resolved_tiers(settings: TierSettings | None, symbol: str) -> dict[str, Any] | None:
    """From which confidence on which share of the position is taken, once the symbol's multiplier is in."""
    if settings is None:
        return None
    edges = tier_edges(settings.multiplier_of(symbol), settings.edges)
    return {"symbol": symbol, "multiplier": settings.multiplier_of(symbol), "edges": edges, "sizes": TIER_SIZES[1:]}


def _calibration(
    policy: Policy, card: ModelCard, fitted: FittedDecision, experiment: Experiment, rows: RowRange
) -> dict[str, float] | None:
    settings = fitted.settings
    if settings.calibration is None or rows.count <= settings.horizon + 2:
        return None
    held_out = ask(policy, experiment.tape, rows, card.window, settings.horizon)
    said, paid = paid_decisions(LayeredPolicy(policy, fitted, card.roles()), held_out, fitted.one_way_cost)
    after = said if fitted.knots is None else apply_isotonic(said, fitted.knots)
    return {
        "decisions": len(said),
        "share_paid": float(paid.mean()) if len(paid) else float("nan"),
        "error_before": calibration_error(said, paid),
        "error_after": calibration_error(after, paid),
    }


def _curve(
    policy: Policy, card: ModelCard, fitted: FittedDecision, experiment: Experiment, rows: RowRange
) -> list[dict[str, float]] | None:
    settings = fitted.settings.thresholds
    if settings is None:
        return None
    rows_of_curve = []
    for base in settings.grid:
        candidate = layered(policy, with_base(fitted, base), card.roles(), experiment.tape.symbol)
        walked = rollout(candidate, experiment.tape, experiment.settings, rows)[0]
        rows_of_curve.append(
            {"threshold": base, "log_return": float(walked.log_returns.sum()), "trades": walked.n_trades}
        )
    return rows_of_curve
