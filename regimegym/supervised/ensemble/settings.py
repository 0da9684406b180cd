"""Settings of the ensemble: who is in it, and how their answers become one."""

from dataclasses import dataclass, field
from typing import Any

from regimegym.common.checks import (
    check_at_least,
    check_choice,
    check_flag,
    check_list,
    check_mapping,
    check_number,
    check_positive,
)
from regimegym.common.errors import ConfigError, nearest_name
from regimegym.supervised.base import CLASSIFICATION, REGRESSION, TASKS

STRATEGIES = ("average", "weighted", "dynamic", "regime", "time_aware", "stacking")


@dataclass(frozen=True)
class EnsembleSettings:
    """Members and how they are joined.

    Attributes:
        base_models: registered names. One that learns without labels, such as hmm, has no vote: its
            states are what `regime` routes by, and features of the meta learner of `stacking`.
        base_settings: values for some of them, by name: {xgboost: {max_depth: 4}}.
        strategy: `average`: all alike. `weighted`: one weight each. `dynamic`: the weight times how
            sure the member is of the row. `regime`: weights of the row's own regime. `time_aware`:
            weights by recent success. `stacking`: a meta learner of the members' answers.
        meta_learner: registered name; the last level of `stacking`.
        second_level: registered names that stand between the members and the meta learner.
        weight_optimization: weights from out-of-fold answers (likelihood, or squares); else all alike.
        confidence_threshold: probability below which `decide` abstains.
        n_splits: forward folds of the out-of-fold answers.
        min_regime_rows: rows below which a regime has no weights of its own but those of all rows.
        regime_routing: `hard` takes the weights of the most probable regime, `soft` their mean by probability.
        forgetting: share of a row's score that is left one row later (`time_aware`).
        learning_rate: how fast `time_aware` weights follow scores.
        select: members with the largest weights that are kept for each row; None: all.
        task: classification or regression.
    """

    base_models: tuple[str, ...] = ("random_forest", "xgboost", "hmm")
    base_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    strategy: str = "stacking"
    meta_learner: str = "logistic"
    second_level: tuple[str, ...] = ()
    weight_optimization: bool = True
    confidence_threshold: float = 0.7
    n_splits: int = 5
    min_regime_rows: int = 100
    regime_routing: str = "soft"
    forgetting: float = 0.99
    learning_rate: float = 0.1
    select: int | None = None
    task: str = CLASSIFICATION

    def __post_init__(self) -> None:
        for name in ("base_models", "second_level"):
            check_list(f"predictor.{name}", getattr(self, name))
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_members()
        check_choice("predictor.strategy", self.strategy, STRATEGIES)
        check_choice("predictor.regime_routing", self.regime_routing, ("soft", "hard"))
        check_choice("predictor.task", self.task, TASKS)
        check_flag("predictor.weight_optimization", self.weight_optimization)
        check_number("predictor.confidence_threshold", self.confidence_threshold, "in [0, 1]", lambda v: 0 <= v <= 1)
        check_number("predictor.forgetting", self.forgetting, "in (0, 1]", lambda v: 0 < v <= 1)
        check_positive("predictor.learning_rate", self.learning_rate)
        for name in ("n_splits", "min_regime_rows", *(["select"] if self.select is not None else [])):
            check_at_least(f"predictor.{name}", getattr(self, name), 1)
        if self.task == REGRESSION and self.strategy == "dynamic":
            raise ConfigError(
                "wrong-strategy", "'predictor.strategy' dynamic asks how sure a class is; a number has none"
            )
        if self.second_level and self.strategy != "stacking":
            raise ConfigError("wrong-strategy", "'predictor.second_level' is for stacking", found=self.strategy)

    def _check_members(self) -> None:
        check_mapping("predictor.base_settings", self.base_settings)
        if not self.base_models:
            raise ConfigError("no-members", "'predictor.base_models' is empty", needed="one predictor at least")
        twice = [name for name in self.base_models if self.base_models.count(name) > 1]
        if twice or "ensemble" in (*self.base_models, *self.second_level):
            raise ConfigError(
                "bad-members", f"'predictor.base_models' holds '{(twice or ['ensemble'])[0]}' twice or itself"
            )
        known = (*self.base_models, *self.second_level, self.meta_learner)
        for name in self.base_settings:
            if name not in known:
                raise ConfigError(
                    "unknown-member",
                    f"'predictor.base_settings' speaks of '{name}', which is no member",
                    needed=f"one of {', '.join(known)}",
                    nearest=nearest_name(name, known),
                )
