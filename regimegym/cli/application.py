"""A Hydra application as a subcommand: composes, runs, and lets our own errors through unchanged.

A task imports what it needs when it runs: what does not compose, and `--help`, are answered at once.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import nan

import hydra
from hydra._internal.hydra import Hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from regimegym.cli import jobs, launchers
from regimegym.cli.own_modules import find_own_modules
from regimegym.cli.stopping import sigterm_as_ctrl_c
from regimegym.common.errors import RegimeGymError
from regimegym.training.compose import expanded

SWEEP_FLAGS = ("-m", "--multirun")


@contextmanager
def _mode_is_known(overrides: Sequence[str]) -> Iterator[None]:
    """Hydra composes everything one time more to ask it for `hydra.mode`: half of what a command's start costs.

    No configuration of ours sets it, so the flags decide, as they do where it is not set.
    """
    get_mode = Hydra.get_mode
    if not any(word.lstrip("+").startswith("hydra") for word in overrides):
        Hydra.get_mode = lambda self, config_name, overrides: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = get_mode  # type: ignore[method-assign]


def run_application(name: str, task: Callable[[DictConfig], float | None], words: list[str]) -> None:
    """Compose conf/`name`.yaml with the overrides in `words` and hand it to `task`.

    With `-m` the task runs once per job; a job that fails does not stop the others.

    Raises:
        RegimeGymError, HydraException, OmegaConfBaseException: what the task raised, which jobs
            failed, or why the configuration cannot be composed.
    """
    failures: list[Exception] = []

    def single(config: DictConfig) -> float | None:
        """The task, its failure kept for later."""
        try:
            return task(config)
        except (RegimeGymError, HydraException, OmegaConfBaseException) as failure:
            # Hydra would print lines of its own before it raised this again.
            failures.append(failure)
            return nan

    find_own_modules()
    # Hydra's own handler would print a shortened traceback and exit with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # argparse takes a flag only before or behind all overrides, people write it anywhere.
    sweep = [word for word in words if word in SWEEP_FLAGS]
    launchers.register()
    jobs.JobSweeper.returned, jobs.JobSweeper.folder = [], None
    own = [jobs.SWEEPER, *jobs.place_words(words)] if sweep else []
    overrides = expanded([word for word in words if word not in SWEEP_FLAGS])
    sys.argv = [f"regime-gym {name}", *sweep, *own, *overrides]
    run = jobs.GuardedJob(task, [name, *words]) if sweep else single
    composed = hydra.main(version_base="1.3", config_path="pkg://regimegym.conf", config_name=name)(run)
    with _mode_is_known(overrides):
        if sweep:
            _run_jobs(composed, [name, *words])
        else:
            composed()
    if failures:
        raise failures[0]


def _run_jobs(composed: Callable[[], None], words: list[str]) -> None:
    """Run all jobs and say what became of them; stopped, say how they are gone on with."""
    try:
        with sigterm_as_ctrl_c():
            composed()
    except KeyboardInterrupt as stopped:
        if jobs.JobSweeper.folder is None:
            raise
        said = [str(stopped), "stopped; what the jobs have is kept", f"next     {jobs.again(words)}"]
        raise jobs.JobsStopped("\n".join(filter(None, said))) from stopped
    jobs.close(jobs.JobSweeper.returned, words)
