"""A fitted predictor at work: one row of features after another, each answered when it comes."""

from collections import deque
from typing import TYPE_CHECKING, Protocol

import numpy as np

from regimegym.common.errors import ModelError

if TYPE_CHECKING:
    from regimegym.supervised.base import Predictor


class Stream(Protocol):
    """What answers row by row."""

    def push(self, features: np.ndarray) -> np.ndarray:
        """(C,) probabilities after one more row (F,), or (1,) the value; NaN where there is no answer yet."""


class RowStream:
    """Keeps as many rows as the predictor remembers, and asks it about the last one.

    Raises:
        ModelError: `endless-memory`, a predictor that remembers every row and has no stream of its own.
    """

    def __init__(self, predictor: "Predictor") -> None:
        if predictor.memory is None:
            raise ModelError(
                "endless-memory",
                f"'{predictor.name}' remembers every row and cannot be asked about them one by one",
                help=("ask predict or predict_proba with the whole history",),
            )
        self._predictor = predictor
        self._rows: deque[np.ndarray] = deque(maxlen=predictor.memory + 1)

    def push(self, features: np.ndarray) -> np.ndarray:
        """(C,) probabilities after one more row (F,), or (1,) the value; NaN where there is no answer yet."""
        self._rows.append(np.asarray(features, dtype=np.float64))
        rows = np.array(self._rows)
        found = (
            self._predictor.predict_proba(rows) if self._predictor.classes else self._predictor.predict(rows)[:, None]
        )
        return found[-1]
