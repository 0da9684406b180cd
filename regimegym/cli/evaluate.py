"""`regime-gym evaluate`: compose the configuration, evaluate the run it names."""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from regimegym.training.reevaluation import evaluate_run


@hydra.main(version_base="1.3", config_path="pkg://regimegym.conf", config_name="evaluate")
def _evaluate(config: DictConfig) -> None:
    evaluate_run(config, list(HydraConfig.get().overrides.task))


def run(words: list[str]) -> int:
    """Run with the command line's `words` behind `regime-gym evaluate`."""
    sys.argv = ["regime-gym evaluate", *words]
    _evaluate()
    return 0
