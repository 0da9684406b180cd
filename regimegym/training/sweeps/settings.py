"""What a search is: its space, how it chooses, how early it gives up, what it is after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regimegym.common.checks import check_at_least, check_choice, check_list, check_mapping
from regimegym.common.errors import ConfigError
from regimegym.training.sweeps.space import Space

SAMPLERS = ("tpe", "gp", "nsga2", "random", "grid")
PRUNERS = ("none", "median", "hyperband")
STORAGES = ("sqlite", "journal")
DIRECTIONS = ("maximize", "minimize")


@dataclass(frozen=True)
class SearchSettings:
    """One file of conf/search.

    Args:
        parameters: the space, by name; see space.Parameter.
        fixed: names of parameters that stay as they are configured.
        overrides: settings of every trial, below those of the command line; where that chooses an option of a
            group (`data=file`), those of the group give way.
        sampler: tpe | gp | nsga2 | random | grid.
        startup_trials: random trials before tpe and gp begin to model.
        population: trials of one generation of nsga2.
        objectives: metric of validation by name, maximize or minimize; several only without a pruner.
        pruner: none | median | hyperband, on the best validation log return so far.
        warm_up_looks: looks at validation before which no trial is given up.
        seeds_per_trial: trainings of each trial; its score is their mean.

    Raises:
        ConfigError: an unknown name, a number out of range, or parts that do not fit together.
    """

    parameters: Mapping[str, Mapping[str, Any]]
    fixed: Sequence[str] = ()
    overrides: Sequence[str] = ()
    sampler: str = "tpe"
    startup_trials: int = 8
    population: int = 20
    objectives: Mapping[str, str] = field(default_factory=lambda: {"log_return": "maximize"})
    pruner: str = "none"
    warm_up_looks: int = 2
    seeds_per_trial: int = 1

    def __post_init__(self) -> None:
        check_mapping("search.parameters", self.parameters)
        check_mapping("search.objectives", self.objectives)
        for name in ("fixed", "overrides"):
            check_list(f"search.{name}", getattr(self, name))
        check_choice("search.sampler", self.sampler, SAMPLERS)
        check_choice("search.pruner", self.pruner, PRUNERS)
        for name, least in (("startup_trials", 1), ("population", 2), ("warm_up_looks", 0), ("seeds_per_trial", 1)):
            check_at_least(f"search.{name}", getattr(self, name), least)
        if not self.objectives:
            raise ConfigError("no-objective", "'search.objectives' names no metric", needed="log_return: maximize")
        for name, direction in self.objectives.items():
            check_choice(f"search.objectives.{name}", direction, DIRECTIONS)
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ConfigError("pruner", "trials with several objectives cannot be pruned", help=["search.pruner=none"])
        if len(self.objectives) > 1 and self.sampler == "gp":
            raise ConfigError("sampler", "several objectives need nsga2, tpe, random or grid", found="gp")

    def space(self) -> Space:
        """The parameters to vary."""
        return Space.of(self.parameters, self.fixed)


@dataclass(frozen=True)
class SweepSettings:
    """How far and how wide a sweep runs; may change when it goes on.

    Args:
        n_trials: trials of the sweep folder in total, those of earlier calls included.
        n_jobs: processes side by side; 1: in this one.
        storage: sqlite | journal, the file inside the sweep's folder.

    Raises:
        ConfigError: a number out of range or an unknown storage.
    """

    n_trials: int = 20
    n_jobs: int = 1
    storage: str = "sqlite"

    def __post_init__(self) -> None:
        check_at_least("n_trials", self.n_trials, 1)
        check_at_least("n_jobs", self.n_jobs, 1)
        check_choice("storage", self.storage, STORAGES)
