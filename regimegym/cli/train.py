"""`regime-gym train`: compose the configuration, train, return what a sweep optimises."""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from regimegym.training.trainer import Job, train


@hydra.main(version_base="1.3", config_path="pkg://regimegym.conf", config_name="train")
def _train(config: DictConfig) -> float:
    composed = HydraConfig.get()
    job = None
    if composed.mode == RunMode.MULTIRUN:
        job = Job(int(composed.job.num), Path(composed.sweep.dir))
    return train(config, list(composed.overrides.task), job)


def run(words: list[str]) -> int:
    """Run with the command line's `words` behind `regime-gym train`."""
    sys.argv = ["regime-gym train", *words]
    _train()
    return 0
