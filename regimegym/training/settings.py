"""How a training is run, whichever agent learns in it."""

from dataclasses import dataclass

from regimegym.common.checks import check_at_least, check_choice, check_not_negative, check_number


@dataclass(frozen=True)
class TrainerSettings:
    """Length and width of a training.

    Args:
        total_steps: environment steps of all accounts together.
        n_accounts: accounts that trade side by side on the training bars.
        validate_every: steps between two looks at validation; the best of them becomes the model.
        patience: looks at validation without a new best that end the training; None: it goes to the end.
        gate: t-statistic of the log returns per bar on validation that the selected model must exceed;
            else what is saved stays flat (agents.gate). None: no gate.
        threads: torch threads of this process.
        device: where the network lives: `cpu`, `cuda`, or `auto` (cuda where there is one).
        checkpoint_steps, checkpoint_minutes: a checkpoint after so many steps, or minutes; 0 is never.
        keep_checkpoints: how many of them stay.

    Raises:
        ConfigError: a number is too small or the device unknown.
    """

    total_steps: int = 50_000
    n_accounts: int = 16
    validate_every: int = 5_000
    patience: int | None = None
    gate: float | None = 1.5
    threads: int = 1
    device: str = "cpu"
    checkpoint_steps: int = 0
    checkpoint_minutes: float = 10.0
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        check_at_least("trainer.total_steps", self.total_steps, 1)
        check_at_least("trainer.n_accounts", self.n_accounts, 1)
        check_at_least("trainer.validate_every", self.validate_every, 1)
        if self.patience is not None:
            check_at_least("trainer.patience", self.patience, 1)
        if self.gate is not None:
            check_number("trainer.gate", self.gate, "a number, or null", lambda _: True)
        check_at_least("trainer.threads", self.threads, 1)
        check_at_least("trainer.checkpoint_steps", self.checkpoint_steps, 0)
        check_not_negative("trainer.checkpoint_minutes", self.checkpoint_minutes)
        check_at_least("trainer.keep_checkpoints", self.keep_checkpoints, 1)
        check_choice("trainer.device", self.device, ("cpu", "cuda", "auto"))
