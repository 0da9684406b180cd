"""A trial of a search for a predictor's settings: its score out of fold; validation stays closed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from omegaconf import DictConfig

from regimegym.common.checks import check_choice, check_flag
from regimegym.common.errors import ConfigError
from regimegym.common.seeding import generator
from regimegym.supervised.comparison import HIGHER_IS_BETTER, IntervalSettings, scored
from regimegym.supervised.latency import row_latency
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.signals import CrossFit, MakePredictor, cross_fit
from regimegym.training.compose import compose_config
from regimegym.training.fitting import fit_data
from regimegym.training.predictions import checked_makers, target_of
from regimegym.training.sweeps.settings import SearchSettings
from regimegym.training.sweeps.train_objective import LATENCY
from regimegym.training.sweeps.trial import TrialRun
from regimegym.training.wiring import build

FEWEST = IntervalSettings(n_resamples=100)  # nobody reads the intervals of a trial
LIKELIHOOD = "log_likelihood"  # per bar, the score of what learns without labels
OF_CLASSES = ("auc", "accuracy", "log_loss", "brier")
TURNS = 3  # of the latency; trials are many


@dataclass(frozen=True)
class FitObjective:
    """Cross-fits the one predictor of conf/fit.yaml and returns its scores over all folds.

    Args:
        overrides: words of the command line that all trials share.
        with_latency: measure how long the last model takes for a row, which no two runs agree on to the digit.
    """

    overrides: tuple[str, ...]
    with_latency: bool = False

    def __call__(self, trial: TrialRun) -> Mapping[str, Any]:
        """Scores by name, with `latency` in milliseconds; raises as sweeps.trial.Objective."""
        config = compose_config("fit", [*self.overrides, *trial.overrides])
        name, make = one_maker(config)
        lesson, seed = fit_data(config, name).lesson, int(config.random_seed)
        found = cross_fit(make, lesson, build(config.folds), lambda k: generator(seed, f"fold/{name}/{k}"))
        if found.fitted.last.needs_labels:
            scores = dict(scored(name, found, lesson, seed, FEWEST).scores)
        else:
            scores = {LIKELIHOOD: likelihood(found.fitted, lesson)}
        if self.with_latency:
            scores[LATENCY] = 1e3 * row_latency(found.fitted.last, lesson.features, TURNS).cpu
        return scores


def likelihood(fitted: CrossFit, lesson: Lesson) -> float:
    """Log likelihood per bar of the test intervals, each by the model that had not seen it."""
    found = [
        (model.predictor.validate(lesson.take(fold.test))[LIKELIHOOD], len(fold.test))
        for fold, model in zip(fitted.folds, fitted.models, strict=False)
    ]
    values, rows = zip(*found, strict=True)
    return float(np.average(values, weights=rows))


def one_maker(config: DictConfig) -> tuple[str, MakePredictor]:
    """The one predictor of `config` and what makes it. Raises ConfigError for none, or for several."""
    makers = checked_makers(config)
    if len(makers) != 1:
        raise ConfigError(
            "one-predictor",
            "a search is for the settings of one predictor",
            needed="one name in 'predictors'",
            found=", ".join(makers) or "none",
            help=("search.overrides=['predictors=[xgboost]']",),
        )
    return next(iter(makers.items()))


def search_settings(config: DictConfig, words: list[str]) -> SearchSettings:
    """`config.search`, after the score of the predictor of `words` instead of what an agent earns.

    Args:
        config: composed from conf/fit.yaml with the search.
        words: that all trials share, without the search.

    Raises:
        ConfigError: as `one_maker`; a `score` that the predictor and its target do not have.
    """
    check_flag("latency", config.latency)
    shared = compose_config("fit", words)
    name, make = one_maker(shared)
    scores = _scores_of(make, shared, name)
    score = config.score or scores[0]
    check_choice("score", score, scores)
    is_more_better = score == LIKELIHOOD or HIGHER_IS_BETTER[score]
    objectives = {score: "maximize" if is_more_better else "minimize"}
    if config.latency:
        objectives[LATENCY] = "minimize"
    return replace(build(config.search), objectives=objectives, pruner="none")


def _scores_of(make: MakePredictor, config: DictConfig, name: str) -> tuple[str, ...]:
    """What a search may improve, the usual one first."""
    if not make().needs_labels:
        return (LIKELIHOOD,)
    if target_of(config, name).classes:
        return ("log_loss", *(score for score in OF_CLASSES if score != "log_loss"))
    return ("mse", *(score for score in HIGHER_IS_BETTER if score not in (*OF_CLASSES, "mse")))
