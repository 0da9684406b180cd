"""Gaussian hidden Markov model: fitted by hmmlearn, asked through our own forward filter."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from regimegym.common.checks import check_at_least, check_choice, check_list, check_positive
from regimegym.common.errors import ConfigError, DataError
from regimegym.features.scaling import Scaler, scaler_of
from regimegym.supervised.base import Predictor, State, most_probable
from regimegym.supervised.floors import column_of
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.markov_filter import Filtered, Gaussians, MarkovFilter, filtered, stationary
from regimegym.supervised.model_folder import tensors_from_bytes, tensors_to_bytes
from regimegym.supervised.registry import register
from regimegym.supervised.scores import state_agreement

LOG = logging.getLogger(__name__)
ARRAYS = "states.safetensors"
# Names of an order from the lowest mean/σ to the highest, not of what a market is said to do in them.
FOUR_STATES = ("bear", "distribution", "accumulation", "bull")
COVARIANCES = ("diag", "full")
STATE_SIGNALS = ("next", "leaving", "bars_in_state", "change")
STICKY = 0.95  # probability to stay, where a restart begins


@dataclass(frozen=True)
class HMMSettings:
    """What is observed, and how the states are found.

    Attributes:
        features: names of the observed features; the first orders the states. All where null.
        n_states: number of states; null: the one of `candidates` with the least BIC.
        candidates: numbers that are tried then.
        covariance: diag or full.
        n_restarts: starts of the EM algorithm, of which the likeliest end is kept.
        n_iter: steps of each at most.
        tolerance: gain of log likelihood per row below which it stops.
        least_variance: of a state, in units of the variance of all rows.
        state_signals: what an agent sees beside the probabilities, as `HiddenMarkov.state_features` tells it:
            next (a column for each state), leaving, bars_in_state, change.
    """

    features: tuple[str, ...] | None = ("trend_score", "volatility_ratio")
    n_states: int | None = 4
    candidates: tuple[int, ...] = (2, 3, 4, 5, 6)
    covariance: str = "diag"
    n_restarts: int = 5
    n_iter: int = 100
    tolerance: float = 1e-6
    least_variance: float = 1e-3
    state_signals: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_list("predictor.state_signals", self.state_signals)
        for name in ("features", "candidates", "state_signals"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))
        if self.features == () or not self.candidates:
            raise ConfigError("nothing-observed", "'predictor.features' and 'predictor.candidates' may not be empty")
        for n_states in (*self.candidates, *([] if self.n_states is None else [self.n_states])):
            check_at_least("predictor.n_states", n_states, 2)
        check_choice("predictor.covariance", self.covariance, COVARIANCES)
        for name in self.state_signals:
            check_choice("predictor.state_signals", name, STATE_SIGNALS)
        check_at_least("predictor.n_restarts", self.n_restarts, 1)
        check_at_least("predictor.n_iter", self.n_iter, 1)
        check_positive("predictor.tolerance", self.tolerance)
        check_positive("predictor.least_variance", self.least_variance)


@register("hmm")
class HiddenMarkov(Predictor):
    """Probabilities of hidden states given the bars so far; it needs no labels.

    States are ordered by mean/σ of the first observed feature, then by σ, so that every random seed
    names them alike. The first row is asked about as after a long, unseen history.
    """

    settings_type = HMMSettings
    accepts_nan = True
    row_wise = False
    needs_labels = False

    def _classes_of(self, lesson: Lesson) -> tuple[str, ...]:
        n_states = len(self.model.start)
        return FOUR_STATES if n_states == len(FOUR_STATES) else tuple(f"state_{k + 1}" for k in range(n_states))

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        names = lesson.names if self.settings.features is None else self.settings.features
        self.columns = [column_of(lesson, name) for name in names]
        observed = lesson.features[:, self.columns]
        there = ~np.isnan(observed).any(axis=1)
        if there.sum() < 2:
            raise DataError("no-observations", "the lesson holds fewer than two rows without NaN", needed="two rows")
        self.scaler = scaler_of(observed[there], tuple(names), clip=1e6)
        scaled = self._scaled(observed)
        counts = self.settings.candidates if self.settings.n_states is None else (self.settings.n_states,)
        found = [self._best(scaled, n_states, generator) for n_states in counts]
        self.criteria = {
            str(n): _bic(model, scaled, self.settings.covariance) for n, model in zip(counts, found, strict=True)
        }
        chosen = min(found, key=lambda model: self.criteria[str(len(model.start))])
        self.model = _ordered(chosen, self.scaler)

    def _best(self, scaled: np.ndarray, n_states: int, generator: np.random.Generator) -> Gaussians:
        ends = [_em(scaled, n_states, self.settings, i, generator) for i in range(self.settings.n_restarts)]
        return max(ends, key=lambda model: filtered(model, scaled).log_likelihood)

    def _scaled(self, observed: np.ndarray) -> np.ndarray:
        return (observed - self.scaler.mean) / self.scaler.scale

    def _filtered(self, features: np.ndarray) -> Filtered:
        return filtered(self.model, self._scaled(features[:, self.columns]))

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return self._filtered(features).probabilities

    def stream(self) -> "HMMStream":
        """A filter to be given one row of features after another."""
        self._require_fitted()
        return HMMStream(self)

    @property
    def further_signals(self) -> tuple[str, ...]:
        """Columns of the setting `state_signals`, each once, in the order of `state_features`."""
        names = {"next": [f"next_{name}" for name in self.classes]}
        chosen = [kind for kind in STATE_SIGNALS if kind in self.settings.state_signals]
        return tuple(name for kind in chosen for name in names.get(kind, [kind]))

    def _further_columns(self, features: np.ndarray) -> np.ndarray:
        if not self.further_signals:
            return super()._further_columns(features)
        found = self.state_features(features)
        return np.column_stack([found[name] for name in self.further_signals])

    def state_features(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """What the filter tells at each row, (N,) each: causal features of their own.

        `probability_STATE`; `next_STATE`, its probability one bar on; `leaving`, the probability that
        the next bar is in another state; `bars_in_state`, since the most probable state last changed;
        `change`, half the sum of absolute changes of the probabilities since the bar before, in [0, 1].
        """
        found = self.predict_proba(features)
        ahead = found @ self.model.transition
        columns = {f"probability_{name}": found[:, k] for k, name in enumerate(self.classes)}
        columns |= {f"next_{name}": ahead[:, k] for k, name in enumerate(self.classes)}
        columns["leaving"] = 1.0 - found @ np.diagonal(self.model.transition)
        columns["bars_in_state"] = run_lengths(most_probable(found))
        before = np.vstack([found[:1], found[:-1]])
        columns["change"] = 0.5 * np.abs(found - before).sum(axis=1)
        return columns

    def validate(self, lesson: Lesson) -> dict[str, float]:
        """`log_likelihood` per row and `bic` on a later lesson; with labels, how well the states match them.

        `accuracy` is over the best one-to-one matching of states to classes (Hungarian), `ari` the
        adjusted Rand index; both of the most probable filtered state.
        """
        features = self._aligned(lesson.features, lesson.names)
        found = self._filtered(features)
        n_rows = max(1, len(lesson))
        scores = {"rows": float(len(lesson)), "log_likelihood": found.log_likelihood / n_rows}
        scores["bic"] = _bic(self.model, self._scaled(features[:, self.columns]), self.settings.covariance)
        known = lesson.is_known
        if known.any() and lesson.classes:
            scores |= state_agreement(lesson.labels[known], most_probable(found.probabilities)[known])
        return scores

    def explain_prediction(self, features: np.ndarray, row: int) -> dict[str, float]:
        """As every predictor's; features that are not observed add nothing."""
        self._require_fitted()
        past = self._aligned(features[: row + 1], None)
        state = int(self._probabilities(past)[-1].argmax())
        added = dict.fromkeys(self.names, 0.0)
        for column in self.columns:
            other = past.copy()
            other[:, column] = self.typical[column]
            change = self._probabilities(past)[-1, state] - self._probabilities(other)[-1, state]
            added[self.names[column]] = float(change)
        return added

    def _importance(self) -> np.ndarray:
        """How far apart the states' means of each feature lie, in its standard deviations."""
        out = np.zeros(len(self.names))
        weights = stationary(self.model.transition)
        centre = weights @ self.model.means
        out[self.columns] = np.sqrt(weights @ (self.model.means - centre) ** 2)
        return out

    def _state(self) -> State:
        values = {"columns": self.columns, "scaler": self.scaler.to_dict(), "bic": self.criteria}
        return State(values, {ARRAYS: tensors_to_bytes(self.model._asdict())})

    def _restore(self, state: State) -> None:
        self.columns = [int(column) for column in state.values["columns"]]
        self.scaler = Scaler.from_dict(state.values["scaler"])
        self.criteria = {str(n): float(value) for n, value in state.values["bic"].items()}
        self.model = Gaussians(**tensors_from_bytes(state.files[ARRAYS]))


class HMMStream:
    """The filter of a fitted HiddenMarkov, one row at a time, in O(states²)."""

    def __init__(self, predictor: HiddenMarkov) -> None:
        self._predictor = predictor
        self._filter = MarkovFilter(predictor.model)

    def push(self, features: np.ndarray) -> np.ndarray:
        """(S,) probabilities after one more row (F,)."""
        return self._filter.push(self._predictor._scaled(features[self._predictor.columns]))


def _em(
    scaled: np.ndarray, n_states: int, settings: HMMSettings, start: int, generator: np.random.Generator
) -> Gaussians:
    """Where the EM algorithm ends from one start: clusters first, then random rows."""
    from hmmlearn.hmm import GaussianHMM

    there = ~np.isnan(scaled).any(axis=1)
    rows, lengths = scaled[there], stretches(there)
    model = GaussianHMM(
        n_states,
        settings.covariance,
        min_covar=settings.least_variance,
        n_iter=settings.n_iter,
        tol=settings.tolerance * len(rows),
        random_state=int(generator.integers(2**31)),
        init_params="",
    )
    model.startprob_ = np.full(n_states, 1.0 / n_states)
    model.transmat_ = np.full((n_states, n_states), (1.0 - STICKY) / (n_states - 1))
    np.fill_diagonal(model.transmat_, STICKY)
    model.means_ = _first_means(rows, n_states, start, generator)
    n_values = rows.shape[1]
    model.covars_ = (
        np.ones((n_states, n_values)) if settings.covariance == "diag" else np.tile(np.eye(n_values), (n_states, 1, 1))
    )
    model.monitor_ = _quiet_monitor(model.monitor_)
    model.fit(rows, lengths)
    transition = model.transmat_ / model.transmat_.sum(axis=1, keepdims=True)
    return Gaussians(stationary(transition), transition, model.means_, np.array(model.covars_))


def _quiet_monitor(monitor: Any) -> Any:
    """hmmlearn's monitor without its warning: a variance at its floor costs a hair of likelihood: EM ends there."""

    class Quiet(type(monitor)):  # type: ignore[misc]
        """Remembers, and says nothing."""

        def report(self, log_prob: float) -> None:
            """One more step of EM."""
            self.history.append(log_prob)
            self.iter += 1

    return Quiet(monitor.tol, monitor.n_iter, False)


def _first_means(rows: np.ndarray, n_states: int, start: int, generator: np.random.Generator) -> np.ndarray:
    if start > 0 or len(rows) <= n_states:
        return rows[generator.choice(len(rows), n_states, replace=len(rows) < n_states)]
    from sklearn.cluster import KMeans

    distinct = min(n_states, len(np.unique(rows, axis=0)))
    centres = KMeans(distinct, n_init=1, random_state=int(generator.integers(2**31))).fit(rows).cluster_centers_
    return np.vstack([centres, rows[: n_states - distinct]])


def _ordered(model: Gaussians, scaler: Scaler) -> Gaussians:
    """The same model with its states by mean/σ of the first observed value in its own unit, then by σ."""
    mean = model.means[:, 0] * scaler.scale[0] + scaler.mean[0]
    sd = np.sqrt(model.covariances[:, 0, 0]) * scaler.scale[0]
    order = np.lexsort((sd, mean / sd))
    return Gaussians(
        model.start[order], model.transition[np.ix_(order, order)], model.means[order], model.covariances[order]
    )


def _bic(model: Gaussians, scaled: np.ndarray, covariance: str) -> float:
    """−2 ln L + k ln N: k free parameters, N rows without NaN. Lower is better."""
    n_states, n_values = model.means.shape
    spread = n_values if covariance == "diag" else n_values * (n_values + 1) // 2
    n_free = n_states - 1 + n_states * (n_states - 1) + n_states * (n_values + spread)
    n_rows = int((~np.isnan(scaled).any(axis=1)).sum())
    return float(-2.0 * filtered(model, scaled).log_likelihood + n_free * np.log(max(n_rows, 1)))


def stretches(is_there: np.ndarray) -> list[int]:
    """Lengths of the runs of True in (N,), in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_there.astype(np.int8), [0]])))
    return (edges[1::2] - edges[::2]).tolist()


def run_lengths(states: np.ndarray) -> np.ndarray:
    """(N,) how many rows, this one among them, the state (N,) has been the same."""
    changed = np.flatnonzero(np.diff(states, prepend=np.nan) != 0)
    rows = np.arange(len(states))
    return (
        (rows - changed[np.searchsorted(changed, rows, side="right") - 1] + 1.0) if len(states) else rows.astype(float)
    )
