"""`regime-gym monitor`: is a trained run still well? Exit code 0 where it is, 4 where it is not."""

from omegaconf import DictConfig

from regimegym.cli.application import run_application


def run(words: list[str]) -> None:
    """Run with the command line's `words` behind `regime-gym monitor`."""
    run_application("monitor", _task, words)


def _task(config: DictConfig) -> None:
    from regimegym.training.watching import monitor_run

    monitor_run(config)
