"""Whether a sweep runs on a cluster, and how."""

from dataclasses import dataclass

from regimegym.common.checks import check_at_least, check_choice, check_not_negative, check_number, check_positive
from regimegym.common.errors import ConfigError
from regimegym.training.sweeps.settings import SearchSettings

SCHEDULERS = ("none", "asha", "pbt")


@dataclass(frozen=True)
class ClusterSettings:
    """Ray Tune in the place of Optuna.

    Args:
        scheduler: none: Optuna, on this machine | asha: many begin, the better ones go on | pbt: the worst
            take over the weights of the best and change their settings a little.
        address: of a running cluster, or auto; None: one on this machine.
        cpus_per_trial, gpus_per_trial: that a trial holds.
        max_failures: times that a trial whose process dies goes on from its checkpoint.
        reduction_factor: of asha: one in so many goes on.
        perturbation_looks: of pbt: looks at validation between two changes.

    Raises:
        ConfigError: an unknown scheduler or a number out of range.
    """

    scheduler: str = "none"
    address: str | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float = 0.0
    max_failures: int = 3
    reduction_factor: float = 3.0
    perturbation_looks: int = 2

    def __post_init__(self) -> None:
        check_choice("cluster.scheduler", self.scheduler, SCHEDULERS)
        check_positive("cluster.cpus_per_trial", self.cpus_per_trial)
        check_not_negative("cluster.gpus_per_trial", self.gpus_per_trial)
        check_at_least("cluster.max_failures", self.max_failures, 0)
        check_number("cluster.reduction_factor", self.reduction_factor, "> 1", lambda v: v > 1)
        check_at_least("cluster.perturbation_looks", self.perturbation_looks, 1)

    def check_search(self, search: SearchSettings) -> None:
        """Raise ConfigError where the schedulers cannot work on `search`."""
        if dict(search.objectives) != {"log_return": "maximize"}:
            raise ConfigError(
                "objective",
                f"'{self.scheduler}' compares trials by validation log return alone",
                found=", ".join(search.objectives),
            )
        if search.seeds_per_trial != 1:
            raise ConfigError(
                "seeds", f"a trial of '{self.scheduler}' is one training", help=["search.seeds_per_trial=1"]
            )
