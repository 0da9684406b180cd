"""`regime-gym report`: the report of a run once more, or several runs side by side."""

from omegaconf import DictConfig, OmegaConf

from regimegym.cli.application import run_application
from regimegym.common.errors import ConfigError


def run(words: list[str]) -> None:
    """Run with the command line's `words` behind `regime-gym report`."""
    run_application("report", _task, words)


def _task(config: DictConfig) -> None:
    from regimegym.training.comparison import compare_runs
    from regimegym.training.reporting import report_run

    runs = OmegaConf.to_container(config.runs) if OmegaConf.is_config(config.runs) else config.runs
    if config.run is not None and not runs:
        report_run(str(config.run), config.walk_forward)
    elif config.run is None and isinstance(runs, list) and len(runs) > 1:
        compare_runs([str(name) for name in runs], config.part, int(config.random_seed))
    else:
        raise ConfigError(
            "no-run-named",
            "report needs one run, or several to compare",
            needed="run=RUN_FOLDER, or 'runs=[RUN_A,RUN_B]'",
            help=("regime-gym report run=last",),
        )
