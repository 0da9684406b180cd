"""Many runs from one command line (`-m`): what becomes of each, and how they are gone on with.

A job that fails does not end the others; all that failed are listed at the end. Where jobs run, a
launcher says (cli/launchers.py).
"""

import contextlib
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from regimegym.cli.config_messages import config_error_from_hydra
from regimegym.common.errors import RegimeGymError, RunError
from regimegym.training.compose import hydra_set_aside

# Hydra takes plugins by names below this package only; a second top-level package would be much for two classes.
PLACE = "hydra_plugins.regimegym"
SWEEPER = "hydra/sweeper=jobs"  # the word that chooses JobSweeper
NOTE = "multirun.yaml"  # Hydra's own record of a sweep, written before the first job
PLACE_WORD, RUN_WORD = "hydra.sweep.dir=", "run_dir="


class JobsStopped(KeyboardInterrupt):
    """Somebody stopped a command of many jobs; what they have is saved, and the message says how to go on."""

    exit_code = 0  # it did what it was asked to


@dataclass(frozen=True)
class JobResult:
    """What became of a job: what it returned, its mistake, or the traceback of a bug of ours.

    Args:
        overrides: those that tell it from the other jobs.
    """

    number: int
    overrides: tuple[str, ...]
    value: float | None = None
    mistake: RegimeGymError | None = None
    trace: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it ended without a result."""
        return self.mistake is not None or bool(self.trace)

    def line(self) -> str:
        """What became of it, in one line."""
        said = f"{self.value:+.4f}" if self.value is not None else "done"
        if self.mistake is not None:
            said = self.mistake.lines()[0].removeprefix("error ")
        elif self.trace:
            said = self.trace.strip().splitlines()[-1]
        return f"job {self.number} ({' '.join(self.overrides)}): {said}"


@dataclass(frozen=True)
class GuardedJob:
    """A task as a job: a failure becomes its result, and away from the terminal its words go to a file.

    Args:
        task: a function at module level, as jobs are sent to other processes.
        words: of the command line, the command first.
    """

    task: Callable[[DictConfig], float | None]
    words: Sequence[str]

    def own(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """Those of a job's overrides that tell it from the other jobs."""
        return tuple(word for word in overrides if word not in self.words and not word.startswith("hydra"))

    def __call__(self, config: DictConfig) -> JobResult:
        """The task, whatever becomes of it."""
        hydra = HydraConfig.get()
        own = (int(hydra.job.num), self.own(hydra.overrides.task))
        is_here = hydra.runtime.choices["hydra/launcher"] == "basic"
        with contextlib.nullcontext() if is_here else _told_to(Path(hydra.sweep.dir) / "logs" / f"{own[0]}.txt"):
            try:
                return JobResult(*own, self.task(config))
            except Exception as failure:  # one broken job is not the end of the others
                with hydra_set_aside():
                    mistake = config_error_from_hydra(failure, list(self.words))
                return JobResult(*own, None, mistake, "" if mistake else traceback.format_exc())


class JobSweeper(Sweeper):
    """Hydra's sweeper of grids and lists, which keeps what the jobs returned, and their folder."""

    returned: ClassVar[list[JobResult]] = []
    folder: ClassVar[str | None] = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        # Hydra loads the modules of its plugins a second time; a class taken before that is not theirs.
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        self._basic = BasicSweeper(max_batch_size=None)
        JobSweeper.folder = str(config.hydra.sweep.dir)
        self._basic.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs; `returned` then holds a JobResult for each."""
        batches = self._basic.sweep(arguments)
        JobSweeper.returned = [job.return_value for batch in batches for job in batch]
        return batches


@dataclass
class JobSweeperConf:
    """hydra.sweeper of every `-m`."""

    _target_: str = f"{PLACE}.JobSweeper"


def place_words(words: Sequence[str]) -> list[str]:
    """What keeps Hydra's own files of `-m` with the runs where their folder is given."""
    given = [word for word in words if word.startswith(RUN_WORD)]
    if not given or any(word.startswith(PLACE_WORD) for word in words):
        return []
    return [PLACE_WORD + given[-1].removeprefix(RUN_WORD)]


def again(words: Sequence[str]) -> str:
    """The command that goes on with the jobs of `words`, the command first."""
    has_place = any(word.startswith(RUN_WORD) for word in words)
    place = [] if has_place or JobSweeper.folder is None else [RUN_WORD + JobSweeper.folder]
    return shlex.join(["regime-gym", *words, *place])


def close(returned: Sequence[JobResult], words: Sequence[str]) -> None:
    """Say what became of every job of the command line `words`.

    Raises:
        RegimeGymError: the mistake itself where all jobs made the same, else `failed-jobs` with a line each.
    """
    failures = [job for job in returned if job.has_failed]
    for job in returned:
        if not job.has_failed:
            print(job.line())
    if not failures:
        return
    for trace in dict.fromkeys(job.trace for job in failures if job.trace):
        print(trace, file=sys.stderr)
    mistakes = {None if job.mistake is None else job.mistake.sentence for job in failures}
    first = failures[0].mistake
    if first is not None and len(mistakes) == 1 and len(failures) == len(returned):
        _take_back(JobSweeper.folder)
        raise first
    error = RunError(
        "failed-jobs",
        f"{len(failures)} of {len(returned)} jobs failed",
        place=[job.line() for job in failures],
        kept=f"the other {len(returned) - len(failures)} are finished",
        help=["what is missing, and nothing else, is run by", again(words)] if _may_go_on(failures) else [],
    )
    if None in mistakes:
        error.exit_code = 1  # a bug of ours
    raise error


@contextlib.contextmanager
def _told_to(log: Path) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        yield


def _take_back(folder: str | None) -> None:
    """Remove the folder of jobs that wrote nothing: Hydra has put a note of its own there."""
    if folder is None or not (place := Path(folder)).is_dir() or set(os.listdir(place)) - {NOTE}:
        return
    (place / NOTE).unlink(missing_ok=True)
    place.rmdir()


def _may_go_on(failures: Sequence[JobResult]) -> bool:
    """Whether the same command can come to another end: not where all the mistakes are in it."""
    return any(job.mistake is None or job.mistake.group in ("run", "machine") for job in failures)
