"""A job of a sweep: trained, gone on with where it was stopped, or known already."""

import json
import math
from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from regimegym.training.preparation import Job, place_of
from regimegym.training.run_folder import RunFolder
from regimegym.training.trainer import resume, train
from regimegym.training.watch import Watch
from regimegym.training.wiring import own_code

PART = "validation"


def train_job(config: DictConfig, overrides: list[str], job: Job, watch: Watch | None = None) -> float:
    """Train as one job of a sweep and return as `trainer.train`; the same job that was begun before is gone on with.

    Where the job's folder holds a run of the same overrides, what is missing of it is trained, and of a
    finished one the score is read.

    Raises:
        RunError: another run stands there, or another process works on it.
        RegimeGymError, TrainingInterrupted, GivenUp: as `trainer.train`.
    """
    folder = RunFolder(place_of(config, job) / str(job.number))
    status = folder.read_manifest().get("status")
    if status is None or _settings(OmegaConf.load(folder.overrides)) != _settings(overrides):
        return train(config, overrides, job, watch)
    if status == "finished":
        return validation_metrics(folder.path)["log_return"]
    return resume(str(folder.path), watch, own_code(config).values())


def _settings(overrides: Iterable[str]) -> list[str]:
    """Overrides but for the folder, which may have been chosen by us the first time and is then given."""
    return [word for word in overrides if not word.startswith("run_dir=")]


def validation_metrics(folder: Path) -> dict[str, float]:
    """Metrics of the agent on validation, as the finished run in `folder` wrote them; undefined ones are NaN."""
    found = json.loads(RunFolder(folder).metrics.read_text(encoding="utf-8"))[PART]["agent"]
    return {name: math.nan if value is None else float(value) for name, value in found.items()}
