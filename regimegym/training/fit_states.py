"""What the states of a hidden Markov model were like on validation, whose bars it had not learned."""

from typing import NamedTuple

import numpy as np

from regimegym.supervised.hidden_markov import HiddenMarkov, stretches
from regimegym.supervised.scores import state_agreement
from regimegym.training.fitting import Fit


class StateRow(NamedTuple):
    """One state.

    Attributes:
        share: of the bars in which it is the most probable.
        mean_return, volatility: log returns of the bar after those bars, mean and deviation; NaN without any.
        bars_expected: of a visit, 1/(1 − P(stay)).
        bars_seen: mean length of the visits; NaN without any.
    """

    name: str
    share: float
    mean_return: float
    volatility: float
    bars_expected: float
    bars_seen: float


class StateReport(NamedTuple):
    """States of `predictor` on the n validation bars.

    Attributes:
        names: of the S states. rows: one each.
        transition: (S, S) probabilities from row to column.
        agreement: with the regimes of the rule: accuracy of the best matching, and adjusted Rand index.
        timestamps: (n,) UTC nanoseconds. closes: (n,). probabilities: (n, S), filtered.
    """

    predictor: str
    names: tuple[str, ...]
    rows: tuple[StateRow, ...]
    transition: np.ndarray
    agreement: dict[str, float]
    timestamps: np.ndarray
    closes: np.ndarray
    probabilities: np.ndarray


def state_report(fit: Fit) -> StateReport:
    """The report of a fitted hidden Markov model."""
    model, data = fit.last, fit.data
    assert isinstance(model, HiddenMarkov)
    later, first = data.later, data.first
    assert later.closes is not None
    probabilities = fit.validation.answers[first:]
    states, closes = probabilities.argmax(axis=1), later.closes[first:]
    following = np.append(np.diff(np.log(closes)), np.nan)
    labels = data.market.regimes.labels
    rule = labels[np.searchsorted(data.market.table.timestamps, later.timestamps[first:])]
    rows = tuple(
        _row(name, states == k, following, float(model.model.transition[k, k])) for k, name in enumerate(model.classes)
    )
    return StateReport(
        fit.name,
        model.classes,
        rows,
        model.model.transition,
        state_agreement(rule, states),
        later.timestamps[first:],
        closes,
        probabilities,
    )


def _row(name: str, is_here: np.ndarray, following: np.ndarray, stay: float) -> StateRow:
    returns, visits = following[is_here & np.isfinite(following)], stretches(is_here)
    mean, deviation = (float(returns.mean()), float(returns.std())) if len(returns) else (float("nan"),) * 2
    expected = 1.0 / (1.0 - stay) if stay < 1.0 else float("inf")
    seen = float(np.mean(visits)) if visits else float("nan")
    return StateRow(name, float(is_here.mean()), mean, deviation, expected, seen)
