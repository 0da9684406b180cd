"""A trial of a search for a predictor's settings: its score out of fold; validation stays closed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig

from regimegym.common.checks import check_choice
from regimegym.common.errors import ConfigError
from regimegym.supervised.comparison import HIGHER_IS_BETTER, CrossValidation, IntervalSettings, cross_validate
from regimegym.supervised.targets import Target
from regimegym.training.compose import compose_config
from regimegym.training.fitting import fit_data
from regimegym.training.predictions import predictor_makers
from regimegym.training.sweeps.settings import SearchSettings
from regimegym.training.sweeps.trial import TrialRun
from regimegym.training.wiring import build

FEWEST = IntervalSettings(n_resamples=100)  # nobody reads the intervals of a trial


@dataclass(frozen=True)
class FitObjective:
    """Cross-fits the one predictor of conf/fit.yaml and returns its scores over all folds.

    Args:
        overrides: words of the command line that all trials share.
    """

    overrides: tuple[str, ...]

    def __call__(self, trial: TrialRun) -> Mapping[str, Any]:
        """Scores by name; raises as sweeps.trial.Objective."""
        config = compose_config("fit", [*self.overrides, *trial.overrides])
        return dict(cross_validated(config).scores)


def cross_validated(config: DictConfig) -> CrossValidation:
    """How the one predictor of `config` does out of fold. Raises ConfigError for none, or for several."""
    makers = predictor_makers(config)
    if len(makers) != 1:
        raise ConfigError(
            "one-predictor",
            "a search is for the settings of one predictor",
            needed="one name in 'predictors'",
            found=", ".join(makers) or "none",
            help=("search.overrides=['predictors=[xgboost]']",),
        )
    (name, make), seed = *makers.items(), int(config.random_seed)
    return cross_validate(name, make, fit_data(config).lesson, build(config.folds), seed, FEWEST)


def search_settings(config: DictConfig) -> SearchSettings:
    """`config.search`, after the score of a predictor instead of what an agent earns.

    Raises:
        ConfigError: a `score` that the target does not have.
    """
    target: Target = build(config.target)
    of_classes = ("auc", "accuracy", "log_loss", "brier")
    scores = of_classes if target.classes else tuple(name for name in HIGHER_IS_BETTER if name not in of_classes)
    score = config.score or ("log_loss" if target.classes else "mse")
    check_choice("score", score, scores)
    direction = "maximize" if HIGHER_IS_BETTER[score] else "minimize"
    return replace(build(config.search), objectives={score: direction}, pruner="none")
