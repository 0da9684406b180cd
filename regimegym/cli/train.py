"""`regime-gym train`: compose the configuration, train, return what a sweep optimises."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from regimegym.cli.application import run_application
from regimegym.training.trainer import Job, train


def run(words: list[str]) -> None:
    """Run with the command line's `words` behind `regime-gym train`."""
    run_application("train", _task, words)


def _task(config: DictConfig) -> float:
    composed = HydraConfig.get()
    job = None
    if composed.mode == RunMode.MULTIRUN:
        job = Job(int(composed.job.num), Path(composed.sweep.dir))
    return train(config, list(composed.overrides.task), job)
