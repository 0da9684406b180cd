"""A trial that trains an agent and says how it did on validation; the test part stays closed."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from regimegym.agents.checkpoint import load_policy
from regimegym.common.errors import ConfigError, nearest_name
from regimegym.training.compose import chosen_options, compose_config, flat_values
from regimegym.training.job import train_job, validation_metrics
from regimegym.training.latency import decision_latencies
from regimegym.training.preparation import Job
from regimegym.training.run_folder import RunFolder
from regimegym.training.sweeps.space import Space
from regimegym.training.sweeps.trial import TrialRun, TrialStopped
from regimegym.training.trainer import TrainingInterrupted
from regimegym.training.watch import Look, Watch

LATENCY = "latency"  # milliseconds, 95th percentile of decisions of one account
CALLS = 200


@dataclass(frozen=True)
class TrainObjective:
    """Trains once for each of `random_seeds` and returns the mean of every validation metric.

    Args:
        overrides: words of the command line that all trials share.
        random_seeds: of the trainings of one trial; the same in every trial, so trials differ in settings alone.
        with_latency: measure how long a decision takes, which no two runs agree on to the digit.
    """

    overrides: tuple[str, ...]
    random_seeds: tuple[int, ...]
    with_latency: bool = False

    def __call__(self, trial: TrialRun) -> Mapping[str, Any]:
        """Metrics by name (evaluate.metrics), `run` and `fingerprint`; raises as sweeps.trial.Objective."""
        found = []
        for i, seed in enumerate(self.random_seeds):
            # A trial is compared with others at its first seed; the rest then completes the mean.
            watch = (lambda look: trial.report(look.number, look.best)) if i == 0 else _nobody
            folder = trial.folder if len(self.random_seeds) == 1 else trial.folder / str(seed)
            words = [*self.overrides, *trial.overrides, f"random_seed={seed}"]
            try:
                train_or_resume(words, folder, watch)
            except TrainingInterrupted as stopped:
                raise TrialStopped(str(stopped)) from stopped
            found.append(self._metrics(folder))
        fingerprint = RunFolder(folder).read_manifest()["data_fingerprint"]
        return {**_means(found), "run": str(trial.folder), "fingerprint": fingerprint}

    def _metrics(self, folder: Path) -> dict[str, float]:
        metrics = validation_metrics(folder)
        return {**metrics, LATENCY: decision_latency(RunFolder(folder).model)} if self.with_latency else metrics


def check_space(space: Space, overrides: Sequence[str], command: str = "train") -> None:
    """Raise ConfigError where a parameter sets what no setting of `command` and no group of conf/ is called."""
    config, groups = compose_config(command, overrides), chosen_options(command, [])
    known = [*flat_values(config), *groups]
    for parameter in space.parameters:
        if parameter.sets not in known and OmegaConf.select(config, parameter.sets) is None:
            raise ConfigError(
                "unknown-key",
                f"'search.parameters.{parameter.name}' sets '{parameter.sets}', which is not a setting",
                nearest=nearest_name(parameter.sets, known),
                help=[f"all settings: regime-gym {command} --cfg job"],
            )


def train_or_resume(words: list[str], folder: Path, watch: Watch | None) -> None:
    """Train into `folder` as a job, which never opens test; what a killed attempt left there is gone on with."""
    if not RunFolder(folder).read_manifest():
        shutil.rmtree(folder, ignore_errors=True)  # killed before it knew what it was
    train_job(compose_config("train", words), words, Job(int(folder.name), folder.parent), watch)


def decision_latency(model: Path) -> float:
    """Milliseconds that 95 of 100 decisions for one account stay below, of the model in the folder `model`."""
    return float(np.quantile(decision_latencies(*load_policy(model), CALLS), 0.95))


def _means(found: list[dict[str, float]]) -> dict[str, float]:
    """Mean over seeds; NaN where any of them is."""
    return {name: float(np.mean([metrics[name] for metrics in found])) for name in found[0]}


def _nobody(look: Look) -> None:
    """Hears and says nothing."""
