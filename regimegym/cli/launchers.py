"""Where the jobs of `-m` run: in processes here, or on a ray cluster; one that dies fails its own job."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from regimegym.cli.jobs import PLACE, GuardedJob, JobResult, JobSweeper, JobSweeperConf
from regimegym.common.checks import check_number
from regimegym.common.errors import RunError
from regimegym.training.sweeps.cluster import cluster
from regimegym.training.sweeps.optional import import_ray
from regimegym.training.sweeps.workers import Workers

Numbered = tuple[int, list[str]]  # number of a job and its overrides


@dataclass(frozen=True)
class Jobs:
    """All jobs of one command line, as they are sent to other processes."""

    hydra_context: HydraContext
    config: DictConfig
    task: GuardedJob

    def __call__(self, job: Numbered, ask: object = None) -> JobReturn:
        """Compose one of them and run it, in this process."""
        number, overrides = job
        setup_globals()
        os.chdir(self.config.hydra.runtime.cwd)
        config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{number}"
            config.hydra.job.num = number
        HydraConfig.instance().set_config(config)
        return run_job(
            hydra_context=self.hydra_context,
            config=config,
            task_function=self.task,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def dead(self, job: Numbered, why: str = "") -> JobReturn:
        """What is returned for a job whose process has ended before it."""
        number, overrides = job
        found = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
        mistake = RunError("worker-died", f"the job's process was killed{why}")
        found.return_value = JobResult(number, self.task.own(overrides), mistake=mistake)
        return found


class ManyLauncher(Launcher):
    """Runs jobs side by side; where, `_run` of its subclasses says."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        assert isinstance(task_function, GuardedJob)  # cli/application.py hands in no other
        self._jobs = Jobs(hydra_context, config, task_function)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs and wait; returns what became of them, in their order."""
        setup_globals()
        return self._run([(initial_job_idx + i, list(words)) for i, words in enumerate(job_overrides)])

    def _run(self, jobs: list[Numbered]) -> list[JobReturn]:
        raise NotImplementedError


class ProcessLauncher(ManyLauncher):
    """Runs jobs in processes of this machine; each process takes job after job.

    Joblib's own pool ends all of its work when one process is killed; these do not.

    Args:
        n_jobs: processes side by side; −1: one for each core.
    """

    def __init__(self, n_jobs: int = -1) -> None:
        check_number("hydra.launcher.n_jobs", n_jobs, "≥ 1, or -1: one for each core", lambda v: v == -1 or v >= 1)
        self._n_jobs = len(os.sched_getaffinity(0)) if n_jobs == -1 else n_jobs

    def _run(self, jobs: list[Numbered]) -> list[JobReturn]:
        waiting, found = list(jobs), {}
        with Workers(self._jobs, self._n_jobs) as workers:
            while waiting or workers.n_busy:
                while waiting and workers.has_room:
                    job = waiting.pop(0)
                    workers.submit(job, job)
                job, done = workers.next_done()
                found[job[0]] = self._jobs.dead(job) if done is None else done.value
        return [found[number] for number, _ in jobs]


class RayLauncher(ManyLauncher):
    """Runs jobs as ray tasks, on a cluster of its own on this machine or on the one at `address`.

    Args:
        address: of a running cluster, or `auto`; None: a local one that ends with the command.
        cpus_per_job: that a job holds.
    """

    def __init__(self, address: str | None = None, cpus_per_job: float = 1.0) -> None:
        self._address = address
        self._cpus_per_job = cpus_per_job

    def _run(self, jobs: list[Numbered]) -> list[JobReturn]:
        ray = import_ray()
        with cluster(self._address):
            task = ray.remote(num_cpus=self._cpus_per_job, max_retries=0)(_call)
            begun = [task.remote(self._jobs, job) for job in jobs]
            return [self._waited_for(ray, future, job) for future, job in zip(begun, jobs, strict=True)]

    def _waited_for(self, ray: Any, future: Any, job: Numbered) -> JobReturn:
        try:
            return ray.get(future)
        except ray.exceptions.RayError as error:
            return self._jobs.dead(job, f": {str(error).strip().splitlines()[0]}")


def _call(jobs: Jobs, job: Numbered) -> JobReturn:
    """Ray wants a function."""
    return jobs(job)


@dataclass
class ProcessLauncherConf:
    """hydra.launcher of hydra/launcher=joblib."""

    _target_: str = f"{PLACE}.ProcessLauncher"
    n_jobs: int = -1


@dataclass
class RayLauncherConf:
    """hydra.launcher of hydra/launcher=ray."""

    _target_: str = f"{PLACE}.RayLauncher"
    address: str | None = None
    cpus_per_job: float = 1.0


def register() -> None:
    """Make our sweeper and launchers known to Hydra."""
    plugins, store = Plugins.instance(), ConfigStore.instance()
    for plugin in (JobSweeper, ProcessLauncher, RayLauncher):
        plugins.register(plugin)
        plugins.class_name_to_class[f"{PLACE}.{plugin.__name__}"] = plugin
    # The name that Hydra's own plugin has, where that is installed.
    for group, name, node in (
        ("launcher", "joblib", ProcessLauncherConf),
        ("launcher", "ray", RayLauncherConf),
        ("sweeper", "jobs", JobSweeperConf),
    ):
        store.store(group=f"hydra/{group}", name=name, node=node, provider="regimegym")
