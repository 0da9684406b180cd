"""`regime-gym signal`: what a trained run decides at the newest bar."""

from omegaconf import DictConfig

from regimegym.cli.application import run_application

JSON = "--json"


def run(words: list[str]) -> None:
    """Run with the command line's `words` behind `regime-gym signal`; `--json` prints one JSON object."""

    def task(config: DictConfig) -> None:
        """Print it."""
        from regimegym.training.model_at_work import print_signal

        print_signal(config, as_json=JSON in words)

    run_application("signal", task, [word for word in words if word != JSON])
