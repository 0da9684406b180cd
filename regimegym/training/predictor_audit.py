"""The look-ahead audit of predictors: fitted again on another future, they must have said the same until then."""

from collections.abc import Callable
from hashlib import sha256

import numpy as np
from omegaconf import DictConfig

from regimegym.common.seeding import generator
from regimegym.features.audit import Column
from regimegym.features.market import Market
from regimegym.features.splits import RowRange
from regimegym.supervised.base import Predictor
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.predictor_set import stream_name
from regimegym.supervised.signals import Serving, column_names, lesson_before, served
from regimegym.training.experiment import Experiment
from regimegym.training.predictions import predictor_makers, training_lesson
from regimegym.training.wiring import build


def fold_cuts(experiment: Experiment) -> list[int]:
    """Rows behind which labels matter most: the first that each model answers."""
    if experiment.predictions is None:
        return []
    since = {model.since for models in experiment.predictions.fitted.models.values() for model in models}
    stamps = experiment.market.bars.timestamps
    return sorted(int(row) for row in np.searchsorted(stamps, sorted(since)) if row <= len(stamps) - 2)


def refitted_predictors(config: DictConfig, experiment: Experiment) -> Callable[[Market], dict[str, Column]]:
    """Columns of the predictors of `experiment`, fitted on the bars of whatever market is handed in.

    The market is one without signals. Each model learns from the same stretch of time as in the
    experiment; a model that begins to answer behind the first changed bar need not be fitted, and
    what learns from the same rows is fitted once.
    """
    assert experiment.predictions is not None
    models, makers = experiment.predictions.fitted.models, predictor_makers(config)
    embargo, seed, stop = build(config.folds).embargo_size, int(config.random_seed), experiment.split.train.stop
    known: dict[tuple[str, int, str], Predictor] = {}

    def again(market: Market) -> dict[str, Column]:
        changed = _first_change(market, experiment.market)
        columns: dict[str, Column] = {}
        for name, make in makers.items():
            lesson = training_lesson(config, market, RowRange(market.table.warm_up, stop), name)
            found = []
            for k, model in enumerate(models[name]):
                if k and model.since > changed:
                    break
                part = lesson_before(lesson, model.learned_from, model.since, embargo)
                key = (name, k, _fingerprint(part))
                if key not in known:
                    known[key] = make().fit(part, generator(seed, stream_name(name, k)))
                found.append(Serving(model.learned_from, model.since, known[key]))
            table = market.table
            values, _ = served(found, table.values, table.names, table.timestamps, table.pieces)
            for column, each in zip(column_names(models[name][-1].predictor), values.T, strict=True):
                columns[f"fitted signal {name}_{column}"] = Column(each)
        return columns

    return again


def _first_change(market: Market, truth: Market) -> int:
    """Time stamp of the first bar that is another one; beyond the last where none is."""
    n_bars = min(len(market.bars), len(truth.bars))
    bars, true = market.bars.rows(0, n_bars), truth.bars.rows(0, n_bars)
    differs = (bars.close != true.close) | (bars.timestamps != true.timestamps)
    return int(true.timestamps[np.argmax(differs)] if differs.any() else true.timestamps[-1] + 1)


def _fingerprint(lesson: Lesson) -> str:
    digest = sha256(np.ascontiguousarray(lesson.features).data)
    for array in (lesson.labels, lesson.ends):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
