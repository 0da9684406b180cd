"""Many runs from one command line (`-m`): where they run, and what became of each.

Jobs run one after the other (hydra/launcher=basic), side by side on this machine (joblib), or on a
cluster (ray). A job that fails does not end the others; all that failed are listed at the end.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from regimegym.cli.config_messages import config_error_from_hydra
from regimegym.common.errors import RegimeGymError, RunError
from regimegym.training.compose import hydra_set_aside
from regimegym.training.sweeps.cluster import cluster
from regimegym.training.sweeps.optional import import_ray

# Hydra takes plugins by names below this package only; a second top-level package would be much for two classes.
PLACE = "hydra_plugins.regimegym"
SWEEPER = "hydra/sweeper=jobs"  # the word that chooses JobSweeper


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


def guarded(task: Callable[[DictConfig], float | None], words: Sequence[str]) -> TaskFunction:
    """`task` as a job: a failure becomes its result, and away from the terminal its words go to a file."""

    def job(config: DictConfig) -> JobResult:
        """The task, whatever becomes of it."""
        hydra = HydraConfig.get()
        own = (int(hydra.job.num), tuple(word for word in hydra.overrides.task if word not in words))
        is_here = hydra.runtime.choices["hydra/launcher"] == "basic"
        with contextlib.nullcontext() if is_here else _told_to(Path(hydra.sweep.dir) / "logs" / f"{own[0]}.txt"):
            try:
                return JobResult(*own, task(config))
            except Exception as failure:  # one broken job is not the end of the others
                with hydra_set_aside():
                    mistake = config_error_from_hydra(failure, list(words))
                return JobResult(*own, None, mistake, "" if mistake else traceback.format_exc())

    return job


class JobSweeper(Sweeper):
    """Hydra's sweeper of grids and lists, which keeps what the jobs returned."""

    returned: ClassVar[list[JobResult]] = []

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        # Hydra loads the modules of its plugins a second time; a class taken before that is not theirs.
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        self._basic = BasicSweeper(max_batch_size=None)
        self._basic.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs; `returned` then holds a JobResult for each."""
        batches = self._basic.sweep(arguments)
        JobSweeper.returned = [job.return_value for batch in batches for job in batch]
        return batches


class RayLauncher(Launcher):
    """Runs jobs as ray tasks, on a cluster of its own on this machine or on the one at `address`.

    Args:
        address: of a running cluster, or `auto`; None: a local one that ends with the command.
        cpus_per_job: that a job holds.
    """

    def __init__(self, address: str | None = None, cpus_per_job: float = 1.0) -> None:
        self.address = address
        self.cpus_per_job = cpus_per_job

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs and wait; a worker that dies makes its own job fail, and no other."""
        setup_globals()
        ray = import_ray()
        with cluster(self.address):
            task = ray.remote(num_cpus=self.cpus_per_job, max_retries=0)(_run_on_cluster)
            begun = [
                task.remote(initial_job_idx + i, list(overrides), self.hydra_context, self.config, self.task_function)
                for i, overrides in enumerate(job_overrides)
            ]
            return [
                self._result(ray, future, initial_job_idx + i, overrides)
                for i, (future, overrides) in enumerate(zip(begun, job_overrides, strict=True))
            ]

    def _result(self, ray: Any, future: Any, number: int, overrides: Sequence[str]) -> JobReturn:
        try:
            return ray.get(future)
        except ray.exceptions.RayError as error:
            found = JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
            first = str(error).strip().splitlines()[0]
            found.return_value = JobResult(
                number, tuple(overrides), mistake=RunError("worker-died", f"the job's process ended: {first}")
            )
            return found


@dataclass
class RayLauncherConf:
    """hydra.launcher of hydra/launcher=ray."""

    _target_: str = f"{PLACE}.RayLauncher"
    address: str | None = None
    cpus_per_job: float = 1.0


@dataclass
class JobSweeperConf:
    """hydra.sweeper of every `-m`."""

    _target_: str = f"{PLACE}.JobSweeper"


def register() -> None:
    """Make JobSweeper and RayLauncher known to Hydra."""
    for plugin in (JobSweeper, RayLauncher):
        Plugins.instance().register(plugin)
        Plugins.instance().class_name_to_class[f"{PLACE}.{plugin.__name__}"] = plugin
    store = ConfigStore.instance()
    store.store(group="hydra/launcher", name="ray", node=RayLauncherConf, provider="regimegym")
    store.store(group="hydra/sweeper", name="jobs", node=JobSweeperConf, provider="regimegym")


def close(returned: Sequence[JobResult]) -> None:
    """Say what became of every job.

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
        raise first
    error = RunError(
        "failed-jobs",
        f"{len(failures)} of {len(returned)} jobs failed",
        place=[job.line() for job in failures],
        kept=f"the other {len(returned) - len(failures)} are finished",
    )
    if None in mistakes:
        error.exit_code = 1  # a bug of ours
    raise error


def _run_on_cluster(
    number: int,
    overrides: list[str],
    hydra_context: HydraContext,
    config: DictConfig,
    task_function: TaskFunction,
) -> JobReturn:
    setup_globals()
    os.chdir(config.hydra.runtime.cwd)
    job = hydra_context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id = f"{job.hydra.job.name}_{number}"
        job.hydra.job.num = number
    HydraConfig.instance().set_config(job)
    return run_job(
        hydra_context=hydra_context,
        config=job,
        task_function=task_function,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


@contextlib.contextmanager
def _told_to(log: Path) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        yield
