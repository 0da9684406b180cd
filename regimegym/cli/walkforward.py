"""`regime-gym walkforward`: train and test window after window, with the settings of `regime-gym train`."""

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from regimegym.cli.application import run_application

WINDOWS = "rolling=walk_forward"


def run(words: list[str]) -> None:
    """Run with the command line's `words` behind `regime-gym walkforward`."""
    chosen = [] if any(word.startswith("rolling=") for word in words) else [WINDOWS]
    run_application("train", _task, [*chosen, *words])


def _task(config: DictConfig) -> float:
    from regimegym.training.rolling import check_no_sweep, resume_rolling, train_rolling
    from regimegym.training.wiring import trusted_names

    composed = HydraConfig.get()
    check_no_sweep(composed.job.num if composed.mode == RunMode.MULTIRUN else None)
    if config.resume is not None:
        return resume_rolling(config.resume, trusted_names(config.trust))
    return train_rolling(config, [word for word in composed.overrides.task if word != WINDOWS])
