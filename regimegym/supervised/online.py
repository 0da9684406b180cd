"""Learning while the market goes on: predict first, learn from a label only once it is known."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from regimegym.common.checks import check_at_least
from regimegym.common.errors import DataError
from regimegym.supervised.base import CLASSIFICATION
from regimegym.supervised.lesson import Lesson


class Batch(NamedTuple):
    """Rows with known labels: features (n, F) and labels (n,)."""

    features: np.ndarray
    labels: np.ndarray


class Online(Protocol):
    """A fitted predictor that goes on learning, such as supervised.sgd.SGD."""

    task: str

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(N,) of features (N, F)."""

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """(N, C) of features (N, F)."""

    def partial_fit(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Learn from rows whose labels are known."""


class LabelQueue:
    """Rows that wait until their labels are known, in the order in which they came.

    A row is let go once the clock has reached its end, and not before the rows ahead of it: labels
    that end early wait for the older ones.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, np.ndarray, float]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, end: int, features: np.ndarray, label: float) -> None:
        """A row (F,) whose label will be known at row `end`."""
        self._waiting.append((end, features, label))

    def known_at(self, clock: int) -> list[tuple[np.ndarray, float]]:
        """The rows whose labels are known at row `clock`; they leave the queue."""
        out = []
        while self._waiting and self._waiting[0][0] <= clock:
            _, features, label = self._waiting.popleft()
            out.append((features, label))
        return out


class RowRing:
    """The latest `capacity` labelled rows; mini-batches leave it oldest first."""

    def __init__(self, capacity: int = 1000) -> None:
        check_at_least("capacity", capacity, 1)
        self._rows: deque[tuple[np.ndarray, float]] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._rows)

    def push(self, features: np.ndarray, label: float) -> None:
        """One row (F,); the oldest one goes where the ring is full."""
        self._rows.append((features, label))

    def take(self, n_rows: int) -> Batch:
        """Exactly `n_rows` rows, which leave the ring. Raises DataError `too-few-rows` when it holds fewer."""
        check_at_least("n_rows", n_rows, 1)
        if n_rows > len(self._rows):
            raise DataError(
                "too-few-rows", f"the ring holds {len(self._rows)} rows", needed=f"{n_rows} for a mini-batch"
            )
        rows = [self._rows.popleft() for _ in range(n_rows)]
        return Batch(np.stack([features for features, _ in rows]), np.array([label for _, label in rows]))


def prequential(
    predictor: Online,
    lesson: Lesson,
    batch_size: int = 32,
    capacity: int = 1000,
    on_update: Callable[[int, Batch], None] = lambda clock, batch: None,
) -> np.ndarray:
    """Predict every row, then learn from the labels that have come by then: (N, C) probabilities or (N, 1) values.

    Args:
        predictor: fitted on earlier rows; it has learned from these when the call returns.
        lesson: later rows; the label of row t enters at row ends[t] and not before.
        batch_size: rows of an update, which happens as soon as there are so many.
        capacity: labelled rows that are kept for it at most.
        on_update: told the clock and the batch of each update.
    """
    check_at_least("batch_size", batch_size, 1)
    check_at_least("capacity", capacity, batch_size)
    queue, ring, answers = LabelQueue(), RowRing(capacity), []
    known = lesson.is_known
    for clock in range(len(lesson)):
        row = lesson.features[clock : clock + 1]
        is_class = predictor.task == CLASSIFICATION
        answers.append(predictor.predict_proba(row)[0] if is_class else predictor.predict(row))
        if known[clock]:
            queue.push(int(lesson.ends[clock]), row[0], float(lesson.labels[clock]))
        for features, label in queue.known_at(clock):
            ring.push(features, label)
        while len(ring) >= batch_size:
            batch = ring.take(batch_size)
            predictor.partial_fit(batch.features, batch.labels)
            on_update(clock, batch)
    return np.array(answers)
