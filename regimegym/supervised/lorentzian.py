"""Lorentzian nearest neighbours: what followed the rows most like this one, none too near in time."""

from dataclasses import dataclass

import numpy as np

from regimegym.common.checks import check_at_least, check_choice, check_not_negative, check_number, check_positive
from regimegym.supervised.base import CLASSIFICATION, TASKS, Predictor, State
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.lorentzian_scaler import LorentzianScaler, fit_lorentzian_scaler
from regimegym.supervised.lorentzian_search import NO_CLOCK, Neighbours, build_index, nearest_pivots, search
from regimegym.supervised.model_folder import tensors_from_bytes, tensors_to_bytes
from regimegym.supervised.registry import register
from regimegym.supervised.scores import classification_scores, regression_scores

ARRAYS = "neighbours.safetensors"
METHODS = ("exact", "approximate")
TRIED_ROWS = 2000  # latest rows of the later part on which widths are compared
RECALL_ROWS = 200  # rows on which recall is measured


@dataclass(frozen=True)
class LorentzianSettings:
    """How near rows are found and counted.

    Attributes:
        task: classification or regression.
        n_neighbors: k.
        prior: rows that the shares of all classes, or the mean, count as beside the k neighbours.
        embargo: bars that a neighbour's label must have been known for, where the time of a row is told.
        widths: of the scaling, in standard deviations; of several the one with the best score on the
            latest, purged fifth of the lesson is taken.
        method: exact, or approximate: only the lists around the nearest pivots are searched.
        n_lists: lists; 0: the root of the number of rows.
        n_probe: lists that are searched.
    """

    task: str = CLASSIFICATION
    n_neighbors: int = 5
    prior: float = 1.0
    embargo: int = 0
    widths: tuple[float, ...] = (1.0,)
    method: str = "exact"
    n_lists: int = 0
    n_probe: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        check_choice("predictor.task", self.task, TASKS)
        check_choice("predictor.method", self.method, METHODS)
        check_at_least("predictor.n_neighbors", self.n_neighbors, 1)
        check_at_least("predictor.embargo", self.embargo, 0)
        check_at_least("predictor.n_lists", self.n_lists, 0)
        check_at_least("predictor.n_probe", self.n_probe, 1)
        check_not_negative("predictor.prior", self.prior)
        check_number("predictor.widths", len(self.widths), "one width or more", lambda count: count >= 1)
        for width in self.widths:
            check_positive("predictor.widths", width)


@register("lorentzian")
class Lorentzian(Predictor):
    """Shares of the classes, or the mean label, among the k nearest rows of the lesson.

    Attributes:
        recall: share of the exact neighbours that the approximate search finds, measured on rows of the
            lesson against all others; 1 where the search is exact.
    """

    settings_type = LorentzianSettings

    def _fit(self, lesson: Lesson, generator: np.random.Generator) -> None:
        width = self.settings.widths[0]
        if len(self.settings.widths) > 1:
            width = self._best_width(lesson, generator)
        known = np.flatnonzero(lesson.is_known)
        self.scaler = fit_lorentzian_scaler(lesson.features[known], lesson.names, width)
        self.points = self.scaler.transform(lesson.features[known]).astype(np.float32)
        self.labels, self.ends = lesson.labels[known], lesson.ends[known]
        self.timestamps = np.array(lesson.timestamps)
        self.pivots, self.of_list = self._lists(generator)
        self._index()
        self.recall = self._measured_recall(generator)

    def _lists(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(L, F) pivots and (N,) the nearest one of each row; none for an exact search."""
        n_rows, n_features = self.points.shape
        if self.settings.method == "exact":
            return np.zeros((0, n_features), dtype=np.float32), np.zeros(0, dtype=np.int64)
        n_lists = min(n_rows, self.settings.n_lists or round(n_rows**0.5))
        pivots = self.points[np.sort(generator.choice(n_rows, n_lists, replace=False))]
        bare = build_index(pivots, np.zeros(n_lists), 2.0 * self.scaler.core, pivots, np.arange(n_lists))
        return pivots, nearest_pivots(bare, self.points, 1)[:, 0]

    def _index(self) -> None:
        lists = (self.pivots, self.of_list) if len(self.pivots) else (None, None)
        self.index = build_index(self.points, self.ends + self.settings.embargo, 2.0 * self.scaler.core, *lists)

    def _measured_recall(self, generator: np.random.Generator) -> float:
        if not len(self.pivots):
            return 1.0
        chosen = generator.choice(len(self.points), min(RECALL_ROWS, len(self.points)), replace=False)
        k = min(self.settings.n_neighbors, len(self.points) - 1)
        clocks = np.full(len(chosen), NO_CLOCK)
        asked = self.points[chosen]
        exact = search(self.index, asked, clocks, k + 1).rows
        near = search(self.index, asked, clocks, k + 1, self.settings.n_probe).rows
        hits = [
            len((set(a) & set(b)) - {row}) / max(1, len(set(a) - {row}))
            for a, b, row in zip(exact.tolist(), near.tolist(), chosen.tolist(), strict=True)
        ]
        return float(np.mean(hits))

    def _best_width(self, lesson: Lesson, generator: np.random.Generator) -> float:
        """The width whose neighbours in the earlier part of the lesson foretell its later part best."""
        earlier, later = lesson.split_tail(0.2)
        later = later.take(np.arange(max(0, len(later) - TRIED_ROWS), len(later)))
        score = "log_loss" if self.task == CLASSIFICATION else "mse"
        errors = {}
        for width in self.settings.widths:
            values = {**self.hyperparameters(), "widths": (width,), "method": "exact"}
            errors[width] = Lorentzian(LorentzianSettings(**values)).fit(earlier, generator).validate(later)[score]
        return min(errors, key=lambda width: (np.isnan(errors[width]), errors[width]))

    def neighbours(self, features: np.ndarray, timestamps: np.ndarray | None = None) -> Neighbours:
        """The nearest of the lesson's labelled rows, as indices among them, and their distances.

        Args:
            features: (N, F) without NaN.
            timestamps: (N,) of the rows; then a neighbour's label was known, and `embargo` bars old,
                before the row's bar. Where None, all labels of the lesson count as known long ago.
        """
        clocks = np.full(len(features), NO_CLOCK) if timestamps is None else self._clock(timestamps)
        n_probe = self.settings.n_probe if len(self.pivots) else 0
        return search(self.index, self.scaler.transform(features), clocks, self.settings.n_neighbors, n_probe)

    def _clock(self, timestamps: np.ndarray) -> np.ndarray:
        """(N,) rows of the lesson up to each time stamp; behind its end they are counted on in bars."""
        stamps = self.timestamps
        inside = np.searchsorted(stamps, timestamps).astype(np.int64)
        bar = int(np.median(np.diff(np.unique(stamps)))) if len(np.unique(stamps)) > 1 else 1
        return inside + np.maximum(0, (timestamps - stamps[-1]) // bar - 1)

    def _answers(self, found: Neighbours) -> np.ndarray:
        """(N, C) shares, or (N, 1) means, of what followed the neighbours."""
        is_class = self.task == CLASSIFICATION
        each = np.eye(len(self.classes))[self.labels.astype(np.int64)] if is_class else self.labels[:, None]
        there = (found.rows >= 0)[:, :, None]
        total = np.where(there, each[np.maximum(found.rows, 0)], 0.0).sum(axis=1)
        prior = np.where(there.any(axis=1), self.settings.prior, max(self.settings.prior, 1.0))  # or nothing to divide
        return (total + prior * each.mean(axis=0)) / (there.sum(axis=1) + prior)

    def _probabilities(self, features: np.ndarray) -> np.ndarray:
        return self._answers(self.neighbours(features))

    def _values(self, features: np.ndarray) -> np.ndarray:
        return self._answers(self.neighbours(features))[:, 0]

    def validate(self, lesson: Lesson) -> dict[str, float]:
        """As every predictor's, and the rows' time is told: even on its own lesson no row sees its own label."""
        rows = np.flatnonzero(lesson.is_known)
        features = self._aligned(lesson.features[rows], lesson.names)
        if self.only_class is not None:
            return super().validate(lesson)
        answers = self._answers(self.neighbours(features, lesson.timestamps[rows]))
        if self.task == CLASSIFICATION:
            return classification_scores(lesson.labels[rows], answers, self.classes)
        return regression_scores(lesson.labels[rows], answers[:, 0])

    def _state(self) -> State:
        names = ("points", "labels", "ends", "timestamps", "pivots", "of_list")
        arrays = {name: getattr(self, name) for name in names}
        return State({"scaler": self.scaler.to_dict(), "recall": self.recall}, {ARRAYS: tensors_to_bytes(arrays)})

    def _restore(self, state: State) -> None:
        self.scaler = LorentzianScaler.from_dict(state.values["scaler"])
        self.recall = float(state.values["recall"])
        for name, array in tensors_from_bytes(state.files[ARRAYS]).items():
            setattr(self, name, array)
        self._index()
