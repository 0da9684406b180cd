"""`regime-gym sweep`: compose the configuration and search."""

from omegaconf import DictConfig

from regimegym.cli.application import run_application


def run(words: list[str]) -> None:
    """Run with the command line's `words` behind `regime-gym sweep`."""
    run_application("sweep", _task, words)


def _task(config: DictConfig) -> None:
    from regimegym.cli.sweep_task import run_task

    run_task(config)
