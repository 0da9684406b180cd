"""What `regime-gym fit` does: predictors alone, compared with the floors, and the search for their settings."""

import shlex
from datetime import datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import Console

from regimegym.common.errors import ConfigError, RunError
from regimegym.training.compose import compose_config
from regimegym.training.fit_objective import FitObjective, search_settings
from regimegym.training.fit_run import fit
from regimegym.training.preparation import Job
from regimegym.training.run_folder import RUNS, RunFolder
from regimegym.training.sweeps.driver import SweepStopped
from regimegym.training.sweeps.results import Row
from regimegym.training.sweeps.settings import SweepSettings
from regimegym.training.sweeps.sweep import run_search
from regimegym.training.sweeps.table import print_result, trial_line
from regimegym.training.sweeps.train_objective import check_space

OF_SEARCH = ("search", "score", "latency", "n_trials", "n_jobs", "sweep_dir", "storage")
BEST = "best"  # folder of the best settings' own fit, below the search's


def run_task(config: DictConfig) -> None:
    """Fit, or search and fit the best, as the composed `config` says."""
    composed = HydraConfig.get()
    words, console = list(composed.overrides.task), Console(highlight=False)
    job = Job(int(composed.job.num), Path(composed.sweep.dir)) if composed.mode == RunMode.MULTIRUN else None
    if config.get("search") is None:
        fit(config, words, job, lambda line: _say(console, line))
        return
    if job is not None:
        raise ConfigError("multirun", "a search chooses the values itself", found="-m", help=["search.parameters=…"])
    _search(config, words, console)


def _search(config: DictConfig, given: list[str], console: Console) -> None:
    """Search, then fit the best settings into a folder of their own."""
    settings = SweepSettings(config.n_trials, config.n_jobs, config.storage)
    own = [word for word in given if _key(word) not in (*OF_SEARCH, "run_dir")]
    names = [word.partition("=")[0] for word in own]
    words = [*(word for word in config.search.overrides if word.partition("=")[0] not in names), *own]
    search = search_settings(config, words)
    check_space(search.space(), words, "fit")
    now = datetime.now().astimezone()
    folder = Path(config.sweep_dir) if config.sweep_dir else RUNS / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}-search"
    scores = " against ".join(search.objectives)
    _say(console, f"search   {folder}, {settings.n_trials} trials, {search.sampler}, {scores} out of fold")

    def on_trial(row: Row, done: int) -> None:
        _say(console, trial_line(row, done, settings.n_trials))

    about, objective = {"overrides": words, "command": "fit"}, FitObjective(tuple(words), bool(config.latency))
    try:
        result = run_search(folder, search, settings, objective, int(config.random_seed), about, on_trial)
    except KeyboardInterrupt as stopped:
        again = [*given, *([] if config.sweep_dir else [f"sweep_dir={folder}"])]
        said = f"stopped; all trials are kept\nnext     {shlex.join(['regime-gym', 'fit', *again])}"
        raise SweepStopped(said) from stopped
    if not result.best:
        raise RunError("no-trial", f"none of the {len(result.rows)} trials has completed", found=result.rows[0].error)
    best = [*words, *search.space().overrides(result.row(result.best[0]).parameters)]
    print_result(result, str(folder), shlex.join(["regime-gym", "train", *_of_train(best)]), console)
    place = _free(folder / BEST)
    fit(compose_config("fit", [*best, f"run_dir={place}"]), best, None, lambda line: _say(console, line))


def _of_train(words: list[str]) -> list[str]:
    """Words that `regime-gym train` knows too."""
    return [word for word in words if _key(word) not in ("explain", "figures", "intervals", "name")]


def _free(place: Path) -> Path:
    """`place`, or `place-2`, … where an earlier call has left a run."""
    tried, n = place, 1
    while RunFolder(tried).config.exists():
        n += 1
        tried = place.with_name(f"{place.name}-{n}")
    return tried


def _key(word: str) -> str:
    """The group or setting that a word of the command line begins with."""
    return word.lstrip("+~").partition("=")[0].partition("@")[0].partition(".")[0]


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
