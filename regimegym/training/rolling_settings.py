"""Settings of rolling retraining; the defaults are written out in conf/rolling/."""

from dataclasses import dataclass

from regimegym.common.checks import check_at_least, check_between, check_choice, check_flag
from regimegym.common.errors import ConfigError
from regimegym.features.spans import parse_span
from regimegym.features.splits import WalkForward

RETRAIN = ("always", "on_drift", "on_feature_drift", "on_performance_drift")


@dataclass(frozen=True)
class RollingSettings:
    """One model after another, each trained on the window before the bars it trades.

    Args:
        window: span of training (selection on its end included): bars, or a calendar length such as 4mo;
            None is no rolling.
        step: span that each model trades before the next one takes over.
        anchored: the window begins with the first bar and grows, instead of moving on.
        validation_share: last part of the window, on which the model is selected.
        warm_start: each model begins with the weights of the one before; the windows then train in turn.
        retrain: `always`, or only where the model at work has lost its ground, and it goes on elsewhere:
            `on_feature_drift` where the features of the last step have drifted from its window,
            `on_performance_drift` where its log return per bar there has fallen from that on its validation, and
            `on_drift` where either has.
        jobs: windows trained side by side, in processes of their own.
    """

    window: int | str | None = None
    step: int | str = "2mo"
    anchored: bool = False
    validation_share: float = 0.2
    warm_start: bool = True
    retrain: str = "always"
    jobs: int = 1

    def __post_init__(self) -> None:
        if self.window is not None:
            parse_span("rolling.window", self.window)
        parse_span("rolling.step", self.step)
        check_flag("rolling.anchored", self.anchored)
        check_between("rolling.validation_share", self.validation_share, 0.01, 0.9)
        check_flag("rolling.warm_start", self.warm_start)
        check_choice("rolling.retrain", self.retrain, RETRAIN)
        check_at_least("rolling.jobs", self.jobs, 1)
        if self.warm_start and self.jobs > 1:
            raise ConfigError(
                "in-turn",
                "windows that begin with the model before them are trained one after the other",
                needed="rolling.jobs=1, or rolling.warm_start=false",
                found=f"rolling.jobs={self.jobs}",
            )

        if self.retrain != "always" and self.jobs > 1:
            raise ConfigError(
                "in-turn",
                "whether a window trains is known once the window before it has been traded",
                needed="rolling.jobs=1, or rolling.retrain=always",
                found=f"rolling.jobs={self.jobs}",
            )

    @property
    def looks_at_features(self) -> bool:
        """Whether drifted features ask for a new model."""
        return self.retrain in ("on_drift", "on_feature_drift")

    @property
    def looks_at_performance(self) -> bool:
        """Whether fallen results ask for a new model."""
        return self.retrain in ("on_drift", "on_performance_drift")

    def folds(self, least: int) -> WalkForward:
        """The splitter of these spans; what is left at the end is traded when it holds `least` rows."""
        assert self.window is not None
        return WalkForward(self.window, self.step, self.step, self.anchored, min_test=least)
