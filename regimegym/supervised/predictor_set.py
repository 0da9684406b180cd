"""The predictors whose signals an agent sees: fitted together, joined to a market, kept beside its weights.

predictors.json  features they read, columns they give, target and folds they were fitted on, their scores
NAME/            the last model of each, as Predictor.save writes it
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from regimegym.common.errors import ConfigError, MachineError, ModelError
from regimegym.common.files import replace_folder, write_file
from regimegym.common.plain import plain
from regimegym.common.seeding import generator
from regimegym.features.market import Market
from regimegym.supervised.cross_validation import ForwardFolds, scores_on
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.model_folder import CARD
from regimegym.supervised.registry import load_predictor
from regimegym.supervised.signals import (
    CrossFit,
    MakePredictor,
    Serving,
    column_names,
    fit_folds,
    joined,
    served,
)

FORMAT_VERSION = 1
FILE = "predictors.json"
ALWAYS = np.iinfo(np.int64).min  # a model that serves from here on serves every row

OnFit = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class PredictorSet:
    """Fitted predictors by name, in the order of their columns.

    Attributes:
        inputs: features they read.
        models: of each predictor, in the order of time; a set that was loaded holds the last ones only.
        about: what is told of each, plain JSON: folds and out-of-fold scores.
        target: what was predicted, plain JSON, for people.
    """

    inputs: tuple[str, ...]
    models: Mapping[str, tuple[Serving, ...]]
    about: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns: `hmm_calm`, `xgboost_up`."""
        return tuple(
            f"{name}_{column}" for name, models in self.models.items() for column in column_names(models[-1].predictor)
        )

    @property
    def only_last(self) -> "PredictorSet":
        """The set in which the last models serve every row, as on bars that nobody learned from."""
        last = {name: (Serving(ALWAYS, ALWAYS, models[-1].predictor),) for name, models in self.models.items()}
        return PredictorSet(self.inputs, last, self.about, self.target)

    def columns(self, market: Market) -> np.ndarray:
        """(T, C) float64 of the rows of `market`; NaN where a model has no answer.

        Raises:
            ModelError: `feature-mismatch`, the market lacks features they read.
        """
        table = market.table
        missing = [name for name in self.inputs if name not in table.names]
        if missing:
            raise ModelError("feature-mismatch", f"the predictors read features the data lacks: {', '.join(missing)}")
        features = table.values[:, [table.names.index(name) for name in self.inputs]]
        found = [
            served(models, features, self.inputs, table.timestamps, table.pieces)[0] for models in self.models.values()
        ]
        return np.concatenate(found, axis=1)

    def join(self, market: Market) -> Market:
        """`market` with the columns behind its features. Raises as `columns` and `signals.joined`."""
        return joined(market, self.columns(market), self.names)

    def save(self, folder: Path) -> None:
        """Write the last models and predictors.json, whole or not at all.

        Raises:
            MachineError: the disk or its permissions refuse.
        """

        def write(fresh: Path) -> None:
            for name, models in self.models.items():
                models[-1].predictor.save(fresh / name)
            write_file(fresh / FILE, f"{json.dumps(self._contents(fresh), indent=1)}\n".encode())

        try:
            replace_folder(folder, write)
        except OSError as error:
            raise MachineError("cannot-write-predictors", f"{folder} could not be written: {error.strerror}") from error

    def _contents(self, folder: Path) -> dict[str, Any]:
        cards = {name: sha256((folder / name / CARD).read_bytes()).hexdigest() for name in self.models}
        contents = {
            "format_version": FORMAT_VERSION,
            "inputs": list(self.inputs),
            "columns": list(self.names),
            "predictors": cards,
            "target": plain(self.target),
            "about": plain(self.about),
        }
        return contents | {"sha256": _digest(contents)}

    @classmethod
    def load(cls, folder: Path) -> "PredictorSet":
        """The set that `save` wrote; its last models serve every row.

        Raises:
            ModelError: no such folder, another format, edited or damaged files, an unknown predictor.
            MachineError: a file cannot be read.
        """
        contents = _read(folder / FILE)
        models = {}
        for name, digest in contents["predictors"].items():
            predictor = load_predictor(folder / name)
            if sha256((folder / name / CARD).read_bytes()).hexdigest() != digest:
                raise ModelError("other-predictor", f"{folder / name} is not the predictor that {FILE} speaks of")
            models[name] = (Serving(ALWAYS, ALWAYS, predictor),)
        return cls(tuple(contents["inputs"]), models, contents["about"], contents["target"])


def fit_predictors(
    makers: Mapping[str, MakePredictor],
    lesson: Lesson,
    plan: ForwardFolds,
    random_seed: int,
    target: Mapping[str, Any] | None = None,
    on_fit: OnFit | None = None,
    own_lessons: Mapping[str, Lesson] | None = None,
) -> PredictorSet:
    """Cross-fit every predictor on the lesson.

    Args:
        makers: by the name that begins its columns, what gives a new predictor.
        lesson: training rows.
        plan: forward folds.
        random_seed: of everything random in the fitting; each predictor and fold has a stream of its own.
        target: what the labels are, for people.
        on_fit: told the name of the predictor, how many are done, and of how many.
        own_lessons: by name, of predictors that learn other labels of the same rows.

    Raises:
        ConfigError: `repeated-feature`, a column has the name of a feature.
        DataError: as `cross_fit`.
    """
    models, about = {}, {}
    for k, (name, make) in enumerate(makers.items()):
        if on_fit is not None:
            on_fit(name, k, len(makers))
        own = (own_lessons or {}).get(name, lesson)
        fitted = fit_folds(make, own, plan, partial(_stream, random_seed, name))
        models[name], about[name] = fitted.models, about_fitted(fitted, own)
    found = PredictorSet(lesson.names, models, about, target or {})
    twice = [name for name in found.names if name in lesson.names or found.names.count(name) > 1]
    if twice:
        raise ConfigError("repeated-feature", f"the signal '{twice[0]}' has the name of another column")
    return found


def _stream(random_seed: int, name: str, fold: int) -> np.random.Generator:
    return generator(random_seed, stream_name(name, fold))


def stream_name(name: str, fold: int) -> str:
    """Name of the generator (common.seeding) with which the model of a fold is fitted."""
    return f"signal/{name}/{fold}"


def about_fitted(fitted: CrossFit, lesson: Lesson) -> dict[str, Any]:
    """Folds and out-of-fold scores, plain."""
    predictor = fitted.last
    return {
        "predictor": predictor.name,
        "settings": predictor.hyperparameters(),
        "classes": list(predictor.classes),
        "folds": [
            {
                "train_rows": len(fold.train),
                "purged": fold.purged,
                "train": fold.train_span,
                "test_rows": len(fold.test),
                "test": fold.test_span,
                "scores": scores_on(model.predictor, lesson, fold.test),
            }
            for fold, model in zip(fitted.folds, fitted.models, strict=False)
        ],
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        contents = json.loads(path.read_bytes())
        digest = contents.pop("sha256")
    except FileNotFoundError:
        raise ModelError("no-predictors", f"{path.parent} holds no {path.name}") from None
    except OSError as error:
        raise MachineError("cannot-read-predictors", f"{path} could not be read: {error.strerror}") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError("damaged-predictors", f"{path} does not describe predictors: {error}") from error
    if digest != _digest(contents) or contents["format_version"] != FORMAT_VERSION:
        raise ModelError("damaged-predictors", f"{path} was changed after it was written, or is of another format")
    return contents


def _digest(contents: Mapping[str, Any]) -> str:
    return sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
