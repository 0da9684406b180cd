"""Signals: predictions as columns of a market, every one of them made by a model that had not seen its row.

A predictor is fitted again and again on growing, purged training rows; each model serves the rows
behind its own training until the next one does (`cross_fit`). The last model, of all training rows,
serves everything that comes after them, and alone is kept with the agent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from regimegym.common.errors import DataError
from regimegym.features.market import Market
from regimegym.features.pipeline import FeatureTable
from regimegym.features.segments import Piece
from regimegym.features.splits import Fold, LabelIntervals
from regimegym.supervised.base import Predictor
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.lesson import Lesson

BEFORE = -1  # fold of a row that no model may answer

MakePredictor = Callable[[], Predictor]
GeneratorOf = Callable[[int], np.random.Generator]


class Serving(NamedTuple):
    """A model and its time, in UTC nanoseconds.

    It has learned from rows of [`learned_from`, `since`) and answers from `since` on, until the next one does.
    """

    learned_from: int
    since: int
    predictor: Predictor


@dataclass(frozen=True, eq=False)
class CrossFit:
    """One predictor, fitted once per fold and once more on everything.

    Attributes:
        folds: in the order of time; rows are those of the lesson.
        models: one per fold and the last one, which saw the whole lesson and serves what comes after it.
    """

    folds: tuple[Fold, ...]
    models: tuple[Serving, ...]

    @property
    def last(self) -> Predictor:
        """The model that serves from now on."""
        return self.models[-1].predictor


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions for the N rows of a lesson, none by a model that learned from the row or a later one.

    Attributes:
        columns: (N, C) float64; NaN before the first fold, and where the model has no answer.
        names: of the columns.
        fold: (N,) int64, the fold whose model answered; −1 before the first.
        fitted: the folds and models behind them.
    """

    columns: np.ndarray
    names: tuple[str, ...]
    fold: np.ndarray
    fitted: CrossFit

    @property
    def answers(self) -> np.ndarray:
        """(N, C) probability of every class, or (N, 1) values."""
        columns = self.columns[:, : len(answer_names(self.fitted.last))]
        return np.hstack([1.0 - columns, columns]) if len(self.fitted.last.classes) == 2 else columns


def cross_fit(make: MakePredictor, lesson: Lesson, plan: ForwardFolds, generator_of: GeneratorOf) -> OutOfFold:
    """Out-of-fold columns of a predictor over a lesson.

    Args:
        make: gives a new, unfitted predictor.
        lesson: rows in the order of time.
        plan: how they are cut into forward folds.
        generator_of: the generator of model 0, 1, …

    Raises:
        DataError: too few rows for the plan; `other-classes` when models disagree on their classes.
    """
    fitted = fit_folds(make, lesson, plan, generator_of)
    whole = [Piece(0, len(lesson), 0)]
    columns, fold = served(fitted.models, lesson.features, lesson.names, lesson.timestamps, whole)
    return OutOfFold(columns, column_names(fitted.last), fold, fitted)


def fit_folds(make: MakePredictor, lesson: Lesson, plan: ForwardFolds, generator_of: GeneratorOf) -> CrossFit:
    """The models of `cross_fit`, without their predictions; arguments and errors as there."""
    folds = plan.folds(row_intervals(lesson))
    stamps = np.unique(lesson.timestamps)
    first = 0 if plan.anchored else len(stamps) - plan.sizes(len(stamps))[0]
    spans = [(fold.train_span[0], fold.test_span[0]) for fold in folds] + [(int(stamps[first]), int(stamps[-1]) + 1)]
    models = [
        Serving(*span, make().fit(lesson_before(lesson, *span, plan.embargo_size), generator_of(k)))
        for k, span in enumerate(spans)
    ]
    for model in models:
        if model.predictor.classes != models[-1].predictor.classes:
            raise DataError(
                "other-classes",
                f"'{model.predictor.name}' found other classes in one fold than in another",
                needed=", ".join(models[-1].predictor.classes),
                found=", ".join(model.predictor.classes),
                help=("fix their number in its settings, for example predictors.hmm.n_states=3",),
            )
    return CrossFit(tuple(folds), tuple(models))


def row_intervals(lesson: Lesson) -> LabelIntervals:
    """Every row of the lesson with what its label uses: itself alone where it has none."""
    rows = np.arange(len(lesson))
    ends = np.where(lesson.is_known, lesson.ends, rows)
    return LabelIntervals(rows, lesson.timestamps, lesson.timestamps[ends])


def lesson_before(lesson: Lesson, learned_from: int, since: int, embargo: int = 0) -> Lesson:
    """What a model learns from that answers from the time stamp `since` on: one stretch of rows before it.

    A label that was known less than `embargo` + 1 rows before is left out (as the splitter purges); its
    row keeps its features, so that windows can be cut across it.
    """
    start, stop = np.searchsorted(lesson.timestamps, [learned_from, since])
    part = lesson.take(np.arange(start, stop))
    return replace(part, labels=np.where(part.ends + embargo < len(part), part.labels, np.nan))


def served(
    models: Sequence[Serving],
    features: np.ndarray,
    names: Sequence[str],
    timestamps: np.ndarray,
    pieces: Sequence[Piece],
) -> tuple[np.ndarray, np.ndarray]:
    """What the models say of every row, each of the rows it serves.

    Args:
        models: in the order of time.
        features, names, timestamps: (T, F), F names, (T,) UTC nanoseconds.
        pieces: contiguous histories; nothing is remembered from one into the next.

    Returns:
        columns (T, C) float64, NaN where nobody answers, and the model of each row (T,), −1 for none.
    """
    columns = np.full((len(features), len(column_names(models[-1].predictor))), np.nan)
    fold = np.full(len(features), BEFORE)
    since = [model.since for model in models]
    for piece in pieces:
        stamps = timestamps[piece.first_row : piece.stop]
        edges = piece.first_row + np.array([*np.searchsorted(stamps, since), len(stamps)])
        for k, model in enumerate(models):
            start, stop = int(edges[k]), int(edges[k + 1])
            if start == stop:
                continue
            memory = model.predictor.memory
            first = piece.first_row if memory is None else max(piece.first_row, start - memory)
            columns[start:stop] = signal_columns(model.predictor, features[first:stop], names)[start - first :]
            fold[start:stop] = k
    return columns, fold


def all_answers(predictor: Predictor, features: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
    """(N, C) probability of every class, or (N, 1) the values of a regression."""
    if not predictor.classes:
        return predictor.predict(features, names)[:, None]
    return predictor.predict_proba(features, names)


def signal_columns(predictor: Predictor, features: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(N, K) columns of `column_names`: the answers, then what else the predictor tells of its rows."""
    found = narrowed(predictor, all_answers(predictor, features, names))
    return np.hstack([found, predictor.further_columns(features, names)]) if predictor.further_signals else found


def narrowed(predictor: Predictor, answers: np.ndarray) -> np.ndarray:
    """Columns of `answer_names`: the value of a regression, P(second class) of two, else P(every class)."""
    return answers[:, 1:] if len(predictor.classes) == 2 else answers


def column_names(predictor: Predictor) -> tuple[str, ...]:
    """Names of `signal_columns` behind the predictor's own: those of its answers, then its further signals."""
    return (*answer_names(predictor), *predictor.further_signals)


def answer_names(predictor: Predictor) -> tuple[str, ...]:
    """Names of what `narrowed` leaves of the answers: `up`, or `value` of a regression."""
    if not predictor.classes:
        return ("value",)
    return predictor.classes[1:] if len(predictor.classes) == 2 else predictor.classes


def joined(market: Market, columns: np.ndarray, names: Sequence[str]) -> Market:
    """`market` with these columns (T, C) behind its features; its pieces begin where all of them are known.

    Raises:
        DataError: `signal-not-finite`, a column has no value on a row behind its first;
            `no-predictions`, no piece has a row with all of them.
    """
    table, pieces = market.table, []
    known = np.isfinite(columns).all(axis=1)
    for piece in table.pieces:
        rows = np.flatnonzero(known[piece.first_row : piece.stop])
        first = piece.first_row + int(rows[0]) if len(rows) else piece.stop
        if not known[first : piece.stop].all():
            row = first + int(np.argmin(known[first : piece.stop]))
            name = names[int(np.argmin(np.isfinite(columns[row])))]
            raise DataError("signal-not-finite", f"signal '{name}' is {columns[row].min()} on row {row}")
        pieces.append(piece._replace(first_row=first))
    if all(piece.first_row == piece.stop for piece in pieces):
        raise DataError("no-predictions", "no row has all signals", help=("use more bars, or fewer folds",))
    values = np.concatenate([table.values.T, columns.T]).T
    values[~_is_known(pieces, len(table))] = np.nan
    warm_up = pieces[0].first_row
    return replace(market, table=FeatureTable(table.timestamps, values, (*table.names, *names), warm_up, tuple(pieces)))


def _is_known(pieces: Sequence[Piece], n_rows: int) -> np.ndarray:
    known = np.zeros(n_rows, bool)
    for piece in pieces:
        known[piece.first_row : piece.stop] = True
    return known
