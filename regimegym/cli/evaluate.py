"""`regime-gym evaluate`: compose the configuration, evaluate the run it names."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from regimegym.cli.application import run_application


def run(words: list[str]) -> None:
    """Run with the command line's `words` behind `regime-gym evaluate`."""
    run_application("evaluate", _task, words)


def _task(config: DictConfig) -> None:
    from regimegym.training.reevaluation import evaluate_run

    evaluate_run(config, list(HydraConfig.get().overrides.task))
