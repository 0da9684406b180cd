"""Settings that all sequence models share: what they read, how they learn, where they keep what they have learned."""

from dataclasses import dataclass

from regimegym.common.checks import check_at_least, check_choice, check_not_negative, check_number, check_positive
from regimegym.common.errors import ConfigError


@dataclass(frozen=True)
class SequenceModelSettings:
    """How a network learns from windows of bars.

    Attributes:
        sequence_length: bars of a window, the asked one its last; the rows before have no answer.
        stride: a window is learned from for every so many-th labelled row; neighbours say almost the same.
        dropout: share of a layer that is dropped while learning.
        learning_rate, least_learning_rate: first and last of the cosine schedule over all steps.
        weight_decay: of AdamW, on weights alone: biases and norms do not decay.
        gradient_clip: largest norm of a gradient.
        batch_size: windows of a step.
        epochs: passes over the windows, at most.
        patience: passes without a smaller loss on the later rows before it stops.
        validation_share: part of the labelled rows, the latest, purged, that decides when to stop.
        focal_gamma: γ of the focal loss; 0 is cross entropy.
        focal_alpha: weight of the classes in it: `auto` gives a class the share of the others (1 − its
            own, of the fitted rows), a number is that of class 1 of two; None weighs them alike.
        device: auto, cpu or cuda.
        checkpoint_dir: folder in which every pass is kept, and from which the same training goes on.
        tensorboard_dir: folder for curves of losses and learning rate.
    """

    sequence_length: int = 120
    stride: int = 1
    dropout: float = 0.3
    learning_rate: float = 1e-3
    least_learning_rate: float = 1e-5
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0
    batch_size: int = 256
    epochs: int = 40
    patience: int = 6
    validation_share: float = 0.15
    focal_gamma: float = 2.0
    focal_alpha: float | str | None = "auto"
    device: str = "auto"
    checkpoint_dir: str | None = None
    tensorboard_dir: str | None = None

    def __post_init__(self) -> None:
        check_at_least("predictor.sequence_length", self.sequence_length, 2)
        for name in ("stride", "batch_size", "epochs", "patience"):
            check_at_least(f"predictor.{name}", getattr(self, name), 1)
        for name in ("learning_rate", "gradient_clip"):
            check_positive(f"predictor.{name}", getattr(self, name))
        for name in ("weight_decay", "focal_gamma"):
            check_not_negative(f"predictor.{name}", getattr(self, name))
        check_number("predictor.dropout", self.dropout, "in [0, 1)", lambda v: 0 <= v < 1)
        check_number("predictor.validation_share", self.validation_share, "between 0 and 1", lambda v: 0 < v < 1)
        check_number(
            "predictor.least_learning_rate",
            self.least_learning_rate,
            f"from 0 to learning_rate ({self.learning_rate})",
            lambda v: 0 <= v <= self.learning_rate,
        )
        check_choice("predictor.device", self.device, ("auto", "cpu", "cuda"))
        self._check_alpha()

    def _check_alpha(self) -> None:
        if isinstance(self.focal_alpha, str):
            if self.focal_alpha != "auto":
                raise ConfigError(
                    "unknown-choice",
                    f"'predictor.focal_alpha' must be auto, null or a number, got '{self.focal_alpha}'",
                )
        elif self.focal_alpha is not None:
            check_number("predictor.focal_alpha", self.focal_alpha, "between 0 and 1", lambda v: 0 < v < 1)
