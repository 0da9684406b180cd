"""Fitting decision layers on validation: what scores were worth there, and how often they were right.

The test part is never looked at. Every row of validation is asked for a fresh, flat account; what
the market did after the fill (at the next open) over `horizon` bars is the answer.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from regimegym.agents.decision.forecast import fit_forecast
from regimegym.agents.decision.layers import FittedDecision, LayeredPolicy, layered, with_base
from regimegym.agents.decision.probabilities import fit_isotonic, fit_temperature
from regimegym.agents.decision.roles import ActionRoles
from regimegym.agents.decision.settings import DecisionSettings
from regimegym.common.errors import DataError
from regimegym.common.policy import Decision, Policy, TapePolicy
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.envs.settings import AccountSettings
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

LOG = logging.getLogger(__name__)
LEAST_DECISIONS = 50  # fewer cannot say how often decisions of a confidence paid
BATCH = 512  # windows shown at once


@dataclass(frozen=True)
class HeldOut:
    """What a policy said about M held-out bars, flat, and what the market did next.

    Attributes:
        decision: the policy's answers, M of them.
        returns: (M,) log return from the fill over the horizon.
    """

    decision: Decision
    returns: np.ndarray


def ask(policy: Policy, tape: MarketTape, rows: RowRange, window: int, horizon: int) -> HeldOut:
    """Ask `policy` about every row that has `horizon` bars after its fill inside `rows`.

    Raises:
        DataError: `too-few-bars`, no such row.
    """
    last = rows.stop - 1 - horizon
    if last <= rows.start:
        raise DataError(
            "too-few-bars",
            f"{rows.count} bars of validation are too few to fit decision layers over {horizon} bars",
            needed=f"more than {horizon + 1}",
        )
    at = np.arange(rows.start, last)
    flat = np.zeros((len(at), len(ACCOUNT_FIELDS)), np.float32)
    starts = np.ones(len(at), bool)
    if isinstance(policy, TapePolicy):
        bound = policy.on_tape(tape, rows.start, rows.stop)
        decision, _ = bound.act({"row": at, "account": flat}, None, starts)
    else:
        parts = [at[i : i + BATCH] for i in range(0, len(at), BATCH)]
        asked = [
            policy.act({"market": tape.windows(part, window), "account": flat[: len(part)]}, None, starts[: len(part)])
            for part in parts
        ]
        decision = _joined([answer for answer, _ in asked])
    fill = np.log(tape.open[at + 1])
    return HeldOut(decision, np.log(tape.open[at + 1 + horizon]) - fill)


def fit_decision(
    policy: Policy,
    tape: MarketTape,
    rows: RowRange,
    window: int,
    account: AccountSettings,
    roles: ActionRoles,
    settings: DecisionSettings,
    net_return: Callable[[Policy], float],
) -> FittedDecision:
    """Everything the layers of `settings` need, from the validation `rows`.

    Args:
        policy: the trained policy, without layers.
        account: costs of the environment.
        net_return: log return after costs of a policy on validation; chooses the threshold.

    Raises:
        DataError: validation is shorter than the horizon.
    """
    one_way = account.fee_rate + account.half_spread + account.slippage
    fitted = FittedDecision(settings, one_way_cost=one_way)
    if settings.is_empty:
        return fitted
    held_out = ask(policy, tape, rows, window, settings.horizon)
    scores = held_out.decision.scores
    if scores is None:
        return fitted  # LayeredPolicy says what is wrong, with the name of the layer
    edge = LayeredPolicy(policy, fitted, roles).edge(scores)
    if settings.calibration is not None:
        temperature = settings.calibration.temperature
        if temperature is None:
            temperature = fit_temperature(edge, held_out.returns > 0)
        fitted = replace(fitted, temperature=temperature)
        if settings.calibration.isotonic:
            fitted = replace(fitted, knots=_knots(fitted, policy, roles, held_out))
    if settings.kelly is not None or settings.no_trade is not None:
        fitted = replace(fitted, forecast=fit_forecast(edge, held_out.returns, settings.horizon))
    if settings.doubt is not None:
        fitted = replace(fitted, half_at=_half_at(settings.doubt.half_at, held_out.decision.uncertainty))
    if settings.thresholds is not None:
        fitted = _with_threshold(fitted, policy, roles, tape.symbol, net_return)
    return fitted


def paid_decisions(layers: LayeredPolicy, held_out: HeldOut, one_way_cost: float) -> tuple[np.ndarray, np.ndarray]:
    """Probability (K,) of the likeliest action of the decisions that open a position, and whether each paid."""
    scores = held_out.decision.scores
    assert scores is not None
    probabilities = layers.probabilities(scores, held_out.decision.regime_probabilities)
    chosen = probabilities.argmax(axis=1)
    side = np.sign(np.nan_to_num(layers.roles.weights[chosen]))
    opens = side != 0
    paid = side * held_out.returns > 2 * one_way_cost
    return probabilities[np.arange(len(chosen)), chosen][opens], paid[opens]


def _knots(
    fitted: FittedDecision, policy: Policy, roles: ActionRoles, held_out: HeldOut
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    own, paid = paid_decisions(LayeredPolicy(policy, fitted, roles), held_out, fitted.one_way_cost)
    if len(own) < LEAST_DECISIONS:
        LOG.warning(
            "%d decisions of validation open a position; %d are needed to calibrate confidence, which stays as it is",
            len(own),
            LEAST_DECISIONS,
        )
        return None
    x, y = fit_isotonic(own, paid)
    return tuple(x.tolist()), tuple(y.tolist())


def _half_at(chosen: float | None, uncertainty: np.ndarray | None) -> float | None:
    if uncertainty is None:
        LOG.warning("the policy states no disagreement of members; the layer 'doubt' does nothing")
        return None
    return chosen if chosen is not None else float(max(np.median(uncertainty), 1e-12))


def _with_threshold(
    fitted: FittedDecision,
    policy: Policy,
    roles: ActionRoles,
    symbol: str,
    net_return: Callable[[Policy], float],
) -> FittedDecision:
    """The threshold that was set, or the one of the grid that earned most; ties go to the lower one."""
    settings = fitted.settings.thresholds
    assert settings is not None
    if settings.base is not None:
        return with_base(fitted, settings.base)
    earned = [net_return(layered(policy, with_base(fitted, base), roles, symbol)) for base in settings.grid]
    return with_base(fitted, settings.grid[int(np.argmax(earned))])


def _joined(decisions: list[Decision]) -> Decision:
    def column(values: list[Any]) -> Any:
        return None if values[0] is None else np.concatenate(values)

    return Decision(*(column(list(values)) for values in zip(*decisions, strict=True)))
