"""The ensemble predictor: members that are asked together, and one answer."""

import logging
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from regimegym.common.errors import ConfigError, DataError, ModelError
from regimegym.supervised.base import CLASSIFICATION, Predictor, State, most_probable
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.ensemble.combine import (
    RecentSuccess,
    averaged,
    confident_weights,
    largest,
    mixture_weights,
    routed_weights,
    shares,
    squares_weights,
)
from regimegym.supervised.ensemble.intervals import conformal_quantile, interval_around, prediction_sets
from regimegym.supervised.ensemble.settings import EnsembleSettings
from regimegym.supervised.ensemble.stack import Stack, Streams, fit_stack
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import nested, tensors_from_bytes, tensors_to_bytes
from regimegym.supervised.registry import PREDICTORS, get_predictor, list_predictors, register, restored
from regimegym.supervised.signals import OutOfFold, all_answers, answer_names, cross_fit, narrowed
from regimegym.supervised.stream import RowStream, Stream

LOG = logging.getLogger(__name__)
ARRAYS = "ensemble.safetensors"
TINY = 1e-12


@register("ensemble")
class Ensemble(Predictor):
    """Several predictors whose answers become one; a member that fails is left out, and told.

    Weights and meta learner come from forward out-of-fold answers of the lesson, whose first rows,
    which no fold answered, are dropped.
    """

    settings_type = EnsembleSettings
    row_wise = False
    settings: EnsembleSettings

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.members: dict[str, Predictor] = {}
        self.sources: dict[str, Predictor] = {}
        self.stack: Stack | None = None

    @property
    def memory(self) -> int | None:
        """As far back as the member that remembers most."""
        reach = [model.memory for model in self._asked.values()]
        return None if None in reach else max((int(r or 0) for r in reach), default=0)

    @property
    def _asked(self) -> dict[str, Predictor]:
        """All that are asked about features: members, then those that tell regimes."""
        return self.members | self.sources

    # Fitting.

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        plan = ForwardFolds(self.settings.n_splits)
        found = self._cross_fitted(lesson, plan, generator)
        self.members = {name: one.fitted.last for name, one in found.items() if one.fitted.last.needs_labels}
        self.sources = {name: one.fitted.last for name, one in found.items() if not one.fitted.last.needs_labels}
        if not self.members:
            raise DataError("no-members", "no member of the ensemble could be fitted", needed="one at least")
        if self.settings.strategy == "regime" and not self.sources:
            raise ConfigError(
                "no-regimes",
                "routing by regime needs a member that tells regimes",
                needed="one that learns without labels, such as hmm, among predictor.base_models",
            )
        self.warm_up = max(model.warm_up for model in self._asked.values())
        answers = np.stack([found[name].answers for name in self.members])
        self._fit_weights(answers, {name: found[name].answers for name in self.sources}, lesson)
        out_of_fold = self._fit_stack(found, lesson, plan, generator)
        if out_of_fold is None:
            regimes = {name: found[name].answers for name in self.sources}
            out_of_fold = averaged(answers, self._weights(answers, regimes))
        self.misses = _misses(out_of_fold, lesson)

    def _cross_fitted(self, lesson: Lesson, plan: ForwardFolds, generator: np.random.Generator) -> dict[str, OutOfFold]:
        """Members that could be fitted, with their out-of-fold answers; the others are told and left out."""
        found = {}
        uses_regimes = self.settings.strategy in ("regime", "stacking")
        for name in self.settings.base_models:
            streams = Streams(generator)  # drawn for every member, so that one that fails shifts nobody's
            make = partial(self._new, name)
            if not make().needs_labels and not uses_regimes:
                continue
            try:
                found[name] = cross_fit(make, lesson, plan, streams)
            except Exception as error:  # whatever a member raises, the others can do without it
                LOG.warning("'%s' is left out of the ensemble, its weight goes to the others: %s", name, error)
        return found

    def _new(self, name: str) -> Predictor:
        values = dict(self.settings.base_settings.get(name, {}))
        list_predictors()
        if any(item.name == "task" for item in fields(PREDICTORS.get(name).settings_type)):
            values.setdefault("task", self.settings.task)
        return get_predictor(name, values)

    def _fit_weights(self, answers: np.ndarray, regimes: dict[str, np.ndarray], lesson: Lesson) -> None:
        """Weights of all rows, of each regime, and by recent success, from out-of-fold answers (M, N, C)."""
        settings, n_members = self.settings, len(self.members)
        rows = np.flatnonzero(lesson.is_known & np.isfinite(answers).all(axis=(0, 2)))
        if not len(rows):
            raise DataError("no-labels", "no labelled row has an out-of-fold answer of every member")
        merits, solve = self._merits(answers[:, rows], lesson.labels[rows])
        is_equal = settings.strategy == "average" or not settings.weight_optimization
        self.weights = np.full(n_members, 1.0 / n_members) if is_equal else solve(None)
        self.by_regime = np.empty((0, n_members))
        if settings.strategy == "regime":
            probabilities = next(iter(regimes.values()))[rows]
            self.by_regime = np.array([self._of_regime(solve, of_row) for of_row in np.nan_to_num(probabilities).T])
        self.success = RecentSuccess(n_members, settings.forgetting, settings.learning_rate)
        self.success.update(merits[:, np.argsort(lesson.ends[rows], kind="stable")])

    def _merits(
        self, answers: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, Callable[[np.ndarray | None], np.ndarray]]:
        """(M, n) score of each member in each row, higher is better, and what finds weights, given weights of rows."""
        if self.task == CLASSIFICATION:
            likelihood = answers[:, np.arange(len(labels)), labels.astype(np.int64)]
            return np.log(np.maximum(likelihood, TINY)), partial(mixture_weights, likelihood)
        values, spread = answers[..., 0], max(float(labels.var()), TINY)
        return -((values - labels) ** 2) / spread, partial(squares_weights, values, labels)

    def _of_regime(self, solve: Callable[[np.ndarray | None], np.ndarray], rows: np.ndarray) -> np.ndarray:
        return solve(rows) if rows.sum() >= self.settings.min_regime_rows else self.weights

    def _fit_stack(
        self, found: dict[str, OutOfFold], lesson: Lesson, plan: ForwardFolds, generator: np.random.Generator
    ) -> np.ndarray | None:
        """Fit the levels above where the strategy is stacking; returns their out-of-fold answers."""
        self.stack, self.usual = None, np.empty(0)
        if self.settings.strategy != "stacking":
            return None
        columns = np.hstack([narrowed(model, found[name].answers) for name, model in self._asked.items()])
        names = [f"{name}_{column}" for name, model in self._asked.items() for column in answer_names(model)]
        second = {name: partial(self._new, name) for name in self.settings.second_level}
        meta = partial(self._new, self.settings.meta_learner)
        self.stack, answers = fit_stack(columns, names, lesson, second, meta, plan, generator)
        self.usual = np.nanmean(columns, axis=0)
        return answers

    # Answering.

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return self._joint(features)

    def _values(self, features: np.ndarray) -> np.ndarray:
        return self._joint(features)[:, 0]

    def _joint(self, features: np.ndarray) -> np.ndarray:
        out = self.joined(*self._member_answers(features))
        out[: self.warm_up] = np.nan
        out[np.isnan(features).any(axis=1)] = np.nan
        return out

    def joined(self, answers: np.ndarray, regimes: dict[str, np.ndarray]) -> np.ndarray:
        """(N, C) the one answer to (M, N, C) of the members and (N, R) of each that tells regimes."""
        out = averaged(answers, self._weights(answers, regimes))
        if self.stack is not None:
            stacked = self.stack.answers(self._columns(answers, regimes))
            out = np.where(np.isfinite(stacked), stacked, out)  # without one of the members: the others' average
        return out

    def stream(self) -> Stream:
        """As every predictor's; each member is given the row, or as many rows as it remembers."""
        self._require_fitted()
        return EnsembleStream(self) if self.only_class is None else RowStream(self)

    def _member_answers(self, features: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(M, N, C) of the members and (N, R) of each that tells regimes; NaN from one that fails, which is told."""
        found = {name: self._answer(name, model, features) for name, model in self._asked.items()}
        return np.stack([found[name] for name in self.members]), {name: found[name] for name in self.sources}

    def _answer(self, name: str, model: Predictor, features: np.ndarray) -> np.ndarray:
        try:
            return all_answers(model, features)
        except Exception as error:  # whatever it raises, the others can answer
            LOG.warning("'%s' of the ensemble cannot answer, its weight goes to the others: %s", name, error)
            return np.full((len(features), max(1, len(model.classes))), np.nan)

    def _weights(self, answers: np.ndarray, regimes: dict[str, np.ndarray]) -> np.ndarray:
        """(M,) or (M, N) weights by the strategy; that of stacking is what it falls back upon."""
        match self.settings.strategy:
            case "dynamic":
                found = confident_weights(answers, self.weights)
            case "regime":
                is_hard = self.settings.regime_routing == "hard"
                found = routed_weights(next(iter(regimes.values())), self.by_regime, is_hard, self.weights)
            case "time_aware":
                found = self.success.weights
            case _:
                found = self.weights
        return largest(found, self.settings.select)

    def _columns(self, answers: np.ndarray, regimes: dict[str, np.ndarray]) -> np.ndarray:
        """(N, K) what the stack reads."""
        parts = [*zip(self.members.values(), answers, strict=True)]
        parts += [(self.sources[name], found) for name, found in regimes.items()]
        return np.hstack([narrowed(model, found) for model, found in parts])

    # Looking inside.

    def member_shares(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """(N,) weight of each member in each row; they sum to 1. Of stacking: those it falls back upon."""
        answers, regimes = self._member_answers(self._aligned(features, None))
        return dict(zip(self.members, shares(answers, self._weights(answers, regimes)), strict=True))

    def contributions(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """(N, C) what each member adds to the answer; they sum to it.

        Of an average: weight times answer. Of stacking: how the answer moves as the members take their
        places one by one from what they usually say (`base`), the mean of both orders.
        """
        self._require_fitted()
        features = self._aligned(features, None)
        answers, regimes = self._member_answers(features)
        if self.stack is None:
            parts = shares(answers, self._weights(answers, regimes))[..., None] * np.nan_to_num(answers)
            return dict(zip(self.members, parts, strict=True))
        columns = self._columns(answers, regimes)
        forward, backward = (self._path(columns, order) for order in (list(self._asked), list(self._asked)[::-1]))
        return {name: 0.5 * (forward[name] + backward[name]) for name in ("base", *self._asked)}

    def _path(self, columns: np.ndarray, order: list[str]) -> dict[str, np.ndarray]:
        assert self.stack is not None
        at, edges = {}, 0
        for name, model in self._asked.items():
            width = len(answer_names(model))
            at[name], edges = slice(edges, edges + width), edges + width
        place = np.where(np.isfinite(columns), self.usual, np.nan)
        before = self.stack.answers(place)
        added = {"base": before}
        for name in order:
            place[:, at[name]] = columns[:, at[name]]
            after = self.stack.answers(place)
            added[name], before = after - before, after
        return added

    def decide(self, features: np.ndarray) -> np.ndarray:
        """(N,) the most probable class where its probability reaches the confidence threshold, else NaN."""
        probabilities = self.predict_proba(features)
        is_sure = np.nan_to_num(probabilities).max(axis=1) >= self.settings.confidence_threshold
        return np.where(is_sure, most_probable(probabilities), np.nan)

    def predict_interval(self, features: np.ndarray, level: float = 0.9) -> np.ndarray:
        """(N, 2) bounds of a regression that held what came in `level` of the out-of-fold rows."""
        if self.task == CLASSIFICATION:
            raise ModelError("no-interval", "a class has no interval", help=("ask predict_set",))
        return interval_around(self.predict(features), conformal_quantile(self.misses, level))

    def predict_set(self, features: np.ndarray, level: float = 0.9) -> np.ndarray:
        """(N, C) bool: classes among which what came was in `level` of the out-of-fold rows."""
        return prediction_sets(self.predict_proba(features), conformal_quantile(self.misses, level))

    def update(self, lesson: Lesson) -> None:
        """Let the weights of `time_aware` follow a later lesson, label by label as they became known.

        Raises:
            ModelError: before `fit`, or another strategy.
        """
        self._require_fitted()
        if self.settings.strategy != "time_aware" or self.only_class is not None:
            raise ModelError(
                "fixed-weights", f"the weights of '{self.settings.strategy}' do not follow", needed="time_aware"
            )
        answers, _ = self._member_answers(self._aligned(lesson.features, lesson.names))
        rows = np.flatnonzero(lesson.is_known)
        rows = rows[np.argsort(lesson.ends[rows], kind="stable")]
        self.success.update(self._merits(answers[:, rows], lesson.labels[rows])[0])

    def _importance(self) -> np.ndarray:
        each = [list(model.feature_importance().values()) for model in self.members.values()]
        weights = self.success.weights if self.settings.strategy == "time_aware" else self.weights
        return weights @ np.array(each)

    # Keeping.

    def _state(self) -> State:
        places = self._places()
        packed = {f"{place}/{name}": data for place, model in places.items() for name, data in model.packed().items()}
        arrays = {"weights": self.weights, "by_regime": self.by_regime, "misses": self.misses, "usual": self.usual}
        arrays["scores"] = self.success.scores
        values: dict[str, Any] = {"members": list(self.members), "sources": list(self.sources)}
        if self.stack is not None:
            values |= {"columns": list(self.stack.columns), "second": list(self.stack.second)}
        return State(values, {ARRAYS: tensors_to_bytes(arrays), **packed})

    def _places(self) -> dict[str, Predictor]:
        """Every fitted model by the folder it is kept in."""
        places = {f"members/{name}": model for name, model in self._asked.items()}
        if self.stack is not None:
            places |= {f"second/{name}": model for name, model in self.stack.second.items()}
            places["meta"] = self.stack.meta
        return places

    def _restore(self, state: State) -> None:
        values, files = state.values, state.files
        self.members = {name: restored(*nested(files, f"members/{name}")) for name in values["members"]}
        self.sources = {name: restored(*nested(files, f"members/{name}")) for name in values["sources"]}
        self.stack = None
        if "columns" in values:
            second = {name: restored(*nested(files, f"second/{name}")) for name in values["second"]}
            self.stack = Stack(tuple(values["columns"]), second, restored(*nested(files, "meta")))
        arrays = tensors_from_bytes(files[ARRAYS])
        self.weights, self.by_regime = arrays["weights"], arrays["by_regime"]
        self.misses, self.usual = arrays["misses"], arrays["usual"]
        settings = self.settings
        self.success = RecentSuccess(len(self.members), settings.forgetting, settings.learning_rate, arrays["scores"])


class EnsembleStream:
    """A fitted ensemble, one row after another; a member that fails is left out of that row, and told."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        self._streams = {name: model.stream() for name, model in (ensemble.members | ensemble.sources).items()}
        self._n_before = 0

    def push(self, features: np.ndarray) -> np.ndarray:
        """(C,) probabilities after one more row (F,), or (1,) the value; NaN in the warm-up and on a NaN row."""
        found = {name: self._answer(name, features) for name in self._streams}
        answers = np.stack([found[name] for name in self._ensemble.members])
        out = self._ensemble.joined(answers, {name: found[name] for name in self._ensemble.sources})[0]
        self._n_before += 1
        is_known = self._n_before > self._ensemble.warm_up and not np.isnan(features).any()
        return out if is_known else np.full_like(out, np.nan)

    def _answer(self, name: str, features: np.ndarray) -> np.ndarray:
        try:
            return self._streams[name].push(features)[None]
        except Exception as error:  # as of many rows at once
            LOG.warning("'%s' of the ensemble cannot answer, its weight goes to the others: %s", name, error)
            model = (self._ensemble.members | self._ensemble.sources)[name]
            return np.full((1, max(1, len(model.classes))), np.nan)


def _misses(answers: np.ndarray, lesson: Lesson) -> np.ndarray:
    """(n,) how far out-of-fold answers (N, C) were off: 1 − p(what came), or |error|."""
    rows = np.flatnonzero(lesson.is_known & np.isfinite(answers).all(axis=1))
    labels = lesson.labels[rows]
    if lesson.classes:
        return 1.0 - answers[rows, labels.astype(np.int64)]
    return np.abs(answers[rows, 0] - labels)
