"""`regime-gym train`: compose the configuration, train, return what a sweep optimises."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from regimegym.cli.application import run_application
from regimegym.common.errors import ConfigError


def run(words: list[str]) -> None:
    """Run with the command line's `words` behind `regime-gym train`."""
    run_application("train", _task, words)


def _task(config: DictConfig) -> float:
    from regimegym.training.compose import compose_config
    from regimegym.training.job import train_job
    from regimegym.training.preparation import Job
    from regimegym.training.rolling import check_no_sweep, is_rolling, resume_rolling, train_rolling
    from regimegym.training.sweeps.best import best_file, optimised_words
    from regimegym.training.trainer import resume, train
    from regimegym.training.wiring import check_code, own_code, trusted_names

    composed = HydraConfig.get()
    job = None
    if composed.mode == RunMode.MULTIRUN:
        job = Job(int(composed.job.num), Path(composed.sweep.dir))
    overrides = list(composed.overrides.task)
    if config.optimised is not None:
        trusted = [*own_code(config).values(), *trusted_names(config.trust)]
        best = str(config.optimised)
        config = compose_config("train", optimised_words(best, overrides))
        check_code(config, best_file(Path(best)), trusted, f"regime-gym train optimised={best}")
    if config.resume is None and config.rolling.window is not None:
        check_no_sweep(job)
        return train_rolling(config, overrides)
    if config.resume is None:
        return train(config, overrides) if job is None else train_job(config, overrides, job)
    others = [word for word in overrides if not word.startswith(("resume=", "trust="))]
    if others or job is not None:
        raise ConfigError(
            "resume-alone",
            "a run goes on with its own settings; 'resume' stands alone",
            found=" ".join(others) or "-m",
            help=[f"regime-gym train resume={config.resume}"],
            kept="nothing was written",
        )
    trust = trusted_names(config.trust)
    return resume_rolling(config.resume, trust) if is_rolling(config.resume) else resume(config.resume, trust=trust)
