"""What XGBoost is told: settings of ours, and the parameters of its own that come of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from regimegym.common.checks import (
    check_at_least,
    check_between,
    check_choice,
    check_not_negative,
    check_number,
    check_positive,
)
from regimegym.common.errors import ConfigError, MachineError, ModelError
from regimegym.supervised.base import CLASSIFICATION, TASKS
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.weights import check_positive_weight, positive_weight

DEVICES = ("cpu", "cuda", "auto")
LOSSES = ("log_loss", "focal")


@dataclass(frozen=True)
class XGBoostSettings:
    """XGBoost's histogram trees; the fields without a word here are its parameters of that name.

    Attributes:
        task: classification or regression.
        n_estimators: trees; the most of them where training stops early.
        scale_pos_weight: weight of class 1, or `auto`: n_neg/n_pos of the rows that are fitted. With more
            than two classes `auto` weighs them all alike. It moves the probabilities: calibrate them.
            Focal loss has α for that.
        early_stopping_rounds: trees without a better score on the inner tail after which the training
            stops and the best number of trees is kept; 0: never.
        validation_share: of the lesson, the latest, purged, kept out of the fitting for that.
        loss: log_loss, or focal for two classes (DEFINITIONS §12).
        focal_gamma: γ. focal_alpha: α, or null for none, or `auto`: the negative share of the fitted rows.
        device: cpu, cuda, or auto: cuda where this build and the machine have it.
        n_threads: 0 for as many as there are.
    """

    task: str = CLASSIFICATION
    n_estimators: int = 500
    max_depth: int = 8
    learning_rate: float = 0.05
    subsample: float = 0.8
    colsample_bytree: float = 0.8
    min_child_weight: float = 1.0
    reg_alpha: float = 0.1
    reg_lambda: float = 1.0
    max_bin: int = 256
    scale_pos_weight: float | str = "auto"
    early_stopping_rounds: int = 50
    validation_share: float = 0.2
    loss: str = "log_loss"
    focal_gamma: float = 2.0
    focal_alpha: float | str | None = 0.25
    device: str = "cpu"
    n_threads: int = 0

    def __post_init__(self) -> None:
        check_choice("predictor.task", self.task, TASKS)
        check_choice("predictor.loss", self.loss, LOSSES)
        check_choice("predictor.device", self.device, DEVICES)
        for name, least in (("n_estimators", 1), ("max_depth", 1), ("max_bin", 2), ("n_threads", 0)):
            check_at_least(f"predictor.{name}", getattr(self, name), least)
        check_at_least("predictor.early_stopping_rounds", self.early_stopping_rounds, 0)
        check_positive("predictor.learning_rate", self.learning_rate)
        for name in ("subsample", "colsample_bytree"):
            check_number(f"predictor.{name}", getattr(self, name), "in (0, 1]", lambda value: 0 < value <= 1)
        for name in ("min_child_weight", "reg_alpha", "reg_lambda", "focal_gamma"):
            check_not_negative(f"predictor.{name}", getattr(self, name))
        share = self.validation_share
        check_number("predictor.validation_share", share, "between 0 and 1", lambda value: 0 < value < 1)
        check_positive_weight("predictor.scale_pos_weight", self.scale_pos_weight)
        if self.focal_alpha is not None and self.focal_alpha != "auto":
            if isinstance(self.focal_alpha, str):
                raise ConfigError(
                    "unknown-choice", f"'predictor.focal_alpha' is '{self.focal_alpha}', no share or auto"
                )
            check_between("predictor.focal_alpha", self.focal_alpha, 0.0, 1.0)
        if self.loss == "focal" and self.task != CLASSIFICATION:
            raise ConfigError("focal-regression", "'predictor.loss' is focal, which needs a classification")


def parameters_of(settings: XGBoostSettings, lesson: Lesson, random_seed: int) -> dict[str, Any]:
    """XGBoost's parameters for this lesson: objective by task and classes, weight of class 1 resolved.

    Raises:
        MachineError: `device` is cuda, and this build or machine has none.
    """
    same = ("max_depth", "learning_rate", "subsample", "colsample_bytree", "min_child_weight")
    parameters: dict[str, Any] = {name: getattr(settings, name) for name in same}
    parameters |= {"reg_alpha": settings.reg_alpha, "reg_lambda": settings.reg_lambda, "max_bin": settings.max_bin}
    parameters |= {"tree_method": "hist", "device": device_of(settings.device), "nthread": settings.n_threads}
    parameters |= {"seed": random_seed, "verbosity": 0}
    if settings.task != CLASSIFICATION:
        return parameters | {"objective": "reg:squarederror", "eval_metric": "rmse"}
    if settings.loss == "focal":
        if len(lesson.classes) != 2:
            raise ConfigError("focal-classes", f"focal loss is for two classes, the lesson has {len(lesson.classes)}")
        # The margin itself comes out, and starts at 0.
        focal = {"objective": "binary:logitraw", "base_score": 0.5, "disable_default_eval_metric": True}
        return parameters | focal | {"scale_pos_weight": 1.0}
    if len(lesson.classes) == 2:
        weight = positive_weight(lesson.labels[lesson.is_known], settings.scale_pos_weight)
        return parameters | {"objective": "binary:logistic", "eval_metric": "logloss", "scale_pos_weight": weight}
    return parameters | {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": len(lesson.classes)}


def focal_share(settings: XGBoostSettings, labels: np.ndarray) -> float | None:
    """α of the focal loss; `auto` is the share of class 0 among the labels (N,)."""
    if settings.focal_alpha == "auto":
        return float((labels == 0).mean())
    return settings.focal_alpha  # type: ignore[return-value]  # no other word passes the settings


def device_of(wanted: str) -> str:
    """cpu or cuda. Raises MachineError where cuda is wanted and this build or machine has none."""
    if wanted == "cpu":
        return "cpu"
    reason = _lacks_cuda()
    if reason is None:
        return "cuda"
    if wanted == "auto":
        return "cpu"
    raise MachineError(
        "no-cuda",
        f"'predictor.device' is cuda, and {reason}",
        help=("predictor.device=cpu, or auto",),
    )


def _lacks_cuda() -> str | None:
    """Why XGBoost cannot use a GPU here, None where it can."""
    import xgboost

    if not xgboost.build_info().get("USE_CUDA"):
        return "this XGBoost was built without it (the package xgboost instead of xgboost-cpu has it)"
    import torch

    return None if torch.cuda.is_available() else "no GPU was found"


@contextmanager
def refused_by_xgboost() -> Iterator[None]:
    """XGBoost's own errors as ours, with the line that says what is wrong."""
    import xgboost

    try:
        yield
    except xgboost.core.XGBoostError as error:
        said = next((line for line in str(error).splitlines() if "Check failed" in line), str(error).splitlines()[0])
        raise ModelError("refused-by-xgboost", f"XGBoost refused: {said[-300:]}") from error
