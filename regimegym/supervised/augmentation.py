"""Synthetic rows for a lesson, made from rows of that lesson: who augments inside `fit` augments inside a fold."""

import logging
from dataclasses import dataclass

import numpy as np

from regimegym.common.checks import check_at_least, check_choice, check_not_negative, check_number, check_positive
from regimegym.common.errors import DataError, MachineError
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.resampling import block_rows

LOG = logging.getLogger(__name__)
METHODS = ("none", "smote", "block_bootstrap", "gan")


@dataclass(frozen=True)
class AugmentationSettings:
    """Which rows are added to a lesson.

    Attributes:
        method: `none`; `smote`: between neighbours of the rarer classes, until all are as frequent;
            `block_bootstrap`: resampled stretches; `gan`: stretches of a small generative network.
        n_samples: rows of `block_bootstrap` and `gan`.
        block_size: rows of a stretch.
        k_neighbors: of `smote`.
        latent: random numbers behind a stretch of `gan`.
        epochs: passes of `gan`.
        largest_distance: of `gan` from the real rows (mean, deviation, lag-one autocorrelation, in
            deviations), above which its rows are thrown away.
        held_out: latest part of the lesson that no synthetic row is made from, so that a predictor
            may still stop on it.
    """

    method: str = "none"
    n_samples: int = 1000
    block_size: int = 10
    k_neighbors: int = 5
    latent: int = 100
    epochs: int = 500
    largest_distance: float = 0.5
    held_out: float = 0.2

    def __post_init__(self) -> None:
        check_choice("augmentation.method", self.method, METHODS)
        for name in ("n_samples", "block_size", "k_neighbors", "latent", "epochs"):
            check_at_least(f"augmentation.{name}", getattr(self, name), 1)
        check_positive("augmentation.largest_distance", self.largest_distance)
        check_not_negative("augmentation.held_out", self.held_out)
        check_number("augmentation.held_out", self.held_out, "in [0, 1)", lambda v: 0 <= v < 1)


def augmented(lesson: Lesson, settings: AugmentationSettings, generator: np.random.Generator) -> Lesson:
    """The lesson with synthetic rows before its first; itself, the same object, with the method `none`.

    They bear the first time stamp, and their labels are known at once: whatever a splitter does with
    the lesson, they are learned from and never tested on.

    Raises:
        DataError: `no-classes`, SMOTE for a regression; NaN features.
        MachineError: imbalanced-learn is not installed.
    """
    if settings.method == "none":
        return lesson
    source = lesson.split_tail(settings.held_out)[0] if settings.held_out else lesson
    rows = np.flatnonzero(source.is_known)
    if np.isnan(source.features[rows]).any():
        raise DataError("not-finite", f"'{settings.method}' cannot make rows from rows with NaN")
    match settings.method:
        case "smote":
            features, labels = smote_rows(source, rows, settings.k_neighbors, generator)
        case "block_bootstrap":
            drawn = rows[block_rows(len(rows), settings.n_samples, settings.block_size, generator)]
            features, labels = source.features[drawn], source.labels[drawn]
        case _:
            from regimegym.supervised.gan import gan_rows

            features, labels = gan_rows(source, rows, settings, generator)
    return _before(lesson, features, labels)


def smote_rows(
    lesson: Lesson, rows: np.ndarray, k_neighbors: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of synthetic rows that make every class as frequent as the most frequent one.

    A class with fewer than k_neighbors + 1 rows has too few neighbours: its rows are repeated
    instead, which weighs them as much, and that is told. Source: Chawla et al. 2002.

    Raises:
        DataError: no classes.
        MachineError: imbalanced-learn is not installed.
    """
    if not lesson.classes:
        raise DataError(
            "no-classes", "SMOTE balances classes, and the labels are numbers", help=("augmentation.method=none",)
        )
    labels, features = lesson.labels[rows].astype(np.int64), lesson.features[rows]
    counts = np.bincount(labels, minlength=len(lesson.classes))
    rare = [k for k in range(len(counts)) if 0 < counts[k] <= k_neighbors and counts[k] < counts.max()]
    repeated = [generator.choice(np.flatnonzero(labels == k), counts.max() - counts[k]) for k in rare]
    for k in rare:
        LOG.warning(
            "class '%s' has %d rows, too few for SMOTE: they are repeated instead", lesson.classes[k], counts[k]
        )
    extra = np.concatenate([np.empty(0, np.int64), *repeated])
    wanted = {k: int(counts.max()) for k in range(len(counts)) if k_neighbors < counts[k] < counts.max()}
    made, made_labels = _smote(features, labels, wanted, k_neighbors, generator)
    return np.vstack([made, features[extra]]), np.concatenate([made_labels, labels[extra]]).astype(np.float64)


def _smote(
    features: np.ndarray, labels: np.ndarray, wanted: dict[int, int], k_neighbors: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The synthetic rows alone; imbalanced-learn puts them behind the real ones."""
    if not wanted:
        return features[:0], labels[:0]
    try:
        from imblearn.over_sampling import SMOTE
    except ModuleNotFoundError as error:
        raise MachineError(
            "missing-extra", "SMOTE needs imbalanced-learn", help=("pip install 'regime-gym[imbalance]'",)
        ) from error
    sampler = SMOTE(sampling_strategy=wanted, k_neighbors=k_neighbors, random_state=int(generator.integers(2**31)))
    found, found_labels = sampler.fit_resample(features, labels)
    return found[len(features) :], found_labels[len(features) :]


def _before(lesson: Lesson, features: np.ndarray, labels: np.ndarray) -> Lesson:
    n_made = len(features)
    closes = None if lesson.closes is None else np.concatenate([np.full(n_made, lesson.closes[0]), lesson.closes])
    return Lesson(
        np.vstack([features, lesson.features]),
        np.concatenate([labels, lesson.labels]),
        np.concatenate([np.arange(n_made), lesson.ends + n_made]),
        lesson.names,
        np.concatenate([np.full(n_made, lesson.timestamps[0]), lesson.timestamps]),
        closes,
        lesson.classes,
    )
