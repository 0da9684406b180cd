"""What `regime-gym sweep` does: search, leave a table, a page and the best settings."""

import shlex
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import Console

from regimegym.cli.stopping import sigterm_as_ctrl_c
from regimegym.common.errors import ConfigError, RunError
from regimegym.training.run_folder import RUNS, RunFolder
from regimegym.training.sweeps.best import best_file, experiment_text
from regimegym.training.sweeps.driver import SweepStopped
from regimegym.training.sweeps.results import Row, SweepResult
from regimegym.training.sweeps.schedule import decide, last_finished, period_of, unfinished
from regimegym.training.sweeps.settings import SearchSettings, SweepSettings
from regimegym.training.sweeps.sweep import run_search
from regimegym.training.sweeps.table import print_result, trial_line
from regimegym.training.sweeps.train_objective import LATENCY, TrainObjective, check_space
from regimegym.training.sweeps.tune import run_on_cluster
from regimegym.training.sweeps.tune_settings import ClusterSettings
from regimegym.training.wiring import build, trust_word

OWN = ("search", "cluster", "sweep_dir", "every", "dry_run", *(field.name for field in fields(SweepSettings)))
NOT_HERE = ("resume", "trust", "run_dir", "optimised")  # of train, without meaning for many trials
# A gate that stays closed scores 0, and a search cannot tell zeros apart; the best one is trained with it.
NO_GATE = "trainer.gate=null"


def run_task(config: DictConfig) -> None:
    """Search as the composed `config` says."""
    hydra = HydraConfig.get()
    given = list(hydra.overrides.task)
    _check_words(given, hydra.mode == RunMode.MULTIRUN)
    search: SearchSettings = build(config.search)
    settings = SweepSettings(config.n_trials, config.n_jobs, config.storage)
    console = Console(highlight=False)
    folder = _folder(config, console)
    if folder is None:
        return
    words = [*left_in_force(search.overrides, given), *(w for w in given if _key(w) not in (*OWN, "random_seed"))]
    check_space(search.space(), [NO_GATE, *words])
    with sigterm_as_ctrl_c():
        try:
            result = _search(config, search, settings, words, folder, console)
        except KeyboardInterrupt as stopped:
            again = shlex.join(["regime-gym", "sweep", *_with_folder(given, folder)])
            raise SweepStopped(f"stopped; all trials are kept\nnext     {again}") from stopped
    _leave_best(result, search, words, folder)
    print_result(result, str(folder), f"regime-gym train optimised={folder}{trust_word(config)}", console)
    if not result.best:
        raise RunError("no-trial", f"none of the {len(result.rows)} trials has completed", found=result.rows[0].error)


def _search(
    config: DictConfig,
    search: SearchSettings,
    settings: SweepSettings,
    words: list[str],
    folder: Path,
    console: Console,
) -> SweepResult:
    """Run the trials: with Ray Tune where a scheduler of it was chosen, else with Optuna."""
    cluster: ClusterSettings = build(config.cluster)
    seed, n_trials = int(config.random_seed), settings.n_trials

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    if cluster.scheduler != "none":
        say(f"sweep    {folder}, {n_trials} trials, {cluster.scheduler} on {cluster.address or 'this machine'}")
        return run_on_cluster(folder, search, cluster, n_trials, [NO_GATE, *words], seed, say)
    say(f"sweep    {folder}, {n_trials} trials, {search.sampler}, pruner {search.pruner}")
    seeds = tuple(range(seed, seed + search.seeds_per_trial))
    objective = TrainObjective((NO_GATE, *words), seeds, LATENCY in search.objectives)

    def on_trial(row: Row, done: int) -> None:
        say(trial_line(row, done, n_trials))

    return run_search(folder, search, settings, objective, seed, {"overrides": words}, on_trial)


def _leave_best(result: SweepResult, search: SearchSettings, words: list[str], folder: Path) -> None:
    """Write the best trial as an experiment file."""
    if not result.best:
        return
    row = result.row(result.best[0])
    scores = ", ".join(f"{name} {value:.4f}" for name, value in row.values.items())
    said = f"Trial {row.number} of {len(result.rows)} ({result.n_counted} on these data): {scores} on validation."
    text = experiment_text([*words, *search.space().overrides(row.parameters)], folder, said)
    RunFolder(folder).write_text(str(best_file(Path())), text)


def _folder(config: DictConfig, console: Console) -> Path | None:
    """Folder of this sweep; None where the schedule says that none is due, or nothing is to be done."""
    now = datetime.now().astimezone()
    if config.every is None:
        return Path(config.sweep_dir) if config.sweep_dir else RUNS / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}-sweep"
    root = Path(config.sweep_dir) if config.sweep_dir else RUNS / "sweeps"
    begun = unfinished(root)
    decision = decide(last_finished(root), period_of(config.every), now)
    if begun is not None:
        _say(console, f"due: the sweep in {begun} has not finished")
    else:
        _say(console, f"{'due' if decision.is_due else 'not due'}: {decision.reason}")
    if config.dry_run or not (decision.is_due or begun):
        return None
    return begun or root / f"{now:%Y-%m-%d-%H-%M-%S}"


def _check_words(given: list[str], is_multirun: bool) -> None:
    if is_multirun:
        raise ConfigError("multirun", "a sweep chooses the values itself", found="-m", help=["search.parameters=…"])
    for word in given:
        if _key(word) in NOT_HERE:
            raise ConfigError("not-here", f"'{_key(word)}' belongs to one run", found=word, help=["sweep_dir=FOLDER"])


def left_in_force(overrides: Sequence[str], given: Sequence[str]) -> list[str]:
    """A search's own `overrides` but those of a group of which the words `given` choose an option.

    The small market of `search=smoke` is a setting of built-in data, and `data=file` knows no such setting.
    """
    chosen = {_key(word) for word in given}
    return [word for word in overrides if _key(word).partition(".")[0] not in chosen]


def _key(word: str) -> str:
    """What a word of the command line sets; of `search.sampler=gp` it is `search`."""
    key = word.lstrip("+~").partition("=")[0].partition("@")[0]
    group = key.partition(".")[0]
    return group if group in ("search", "cluster") else key


def _with_folder(given: list[str], folder: Path) -> list[str]:
    return given if any(_key(word) in ("sweep_dir", "every") for word in given) else [*given, f"sweep_dir={folder}"]


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)
