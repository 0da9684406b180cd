"""Processes that run trials side by side; one that dies takes its trial with it and nothing else."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from regimegym.training.sweeps.attempt import Outcome, attempt
from regimegym.training.sweeps.trial import Objective, TrialRun

PATIENCE = 60.0  # seconds that a worker has to save its trial when it is asked to stop
Tell = Callable[[int, float], bool]


@dataclass
class _Worker:
    """One process, the parent's end of its pipe, and what it works on."""

    process: Any
    pipe: Connection
    trial: TrialRun | None = None


class Workers:
    """Up to `n_jobs` processes that live as long as the block, each imports everything once.

    Args:
        objective: what every trial runs.
        log_of: file of a trial's words.
    """

    def __init__(self, objective: Objective, n_jobs: int, log_of: Callable[[int], Path]) -> None:
        # A forked process would inherit torch's threads as they are; a spawned one is clean.
        self._context = multiprocessing.get_context("spawn")
        self._objective = objective
        self._n_jobs = n_jobs
        self._log_of = log_of
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            if worker.trial is None:
                worker.pipe.close()  # the end of its pipe is the end of its work
            else:
                worker.process.terminate()  # SIGTERM: it saves a checkpoint
        for worker in self._workers:
            worker.process.join(PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    @property
    def n_busy(self) -> int:
        """Trials that are running."""
        return sum(worker.trial is not None for worker in self._workers)

    @property
    def has_room(self) -> bool:
        """Whether another trial can be submitted."""
        return self.n_busy < self._n_jobs

    def submit(self, trial: TrialRun) -> None:
        """Give `trial` to an idle process, or to a new one."""
        idle = next((worker for worker in self._workers if worker.trial is None), None)
        worker = self._started() if idle is None else idle
        worker.trial = trial
        plain = (trial.number, trial.parameters, trial.overrides, trial.folder, self._log_of(trial.number))
        worker.pipe.send(plain)

    def next_outcome(self) -> tuple[TrialRun, Outcome | None]:
        """Wait until a trial ends, answering what the others report; None: its process has died."""
        while True:
            busy = {worker.pipe: worker for worker in self._workers if worker.trial is not None}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                trial = worker.trial
                assert trial is not None
                try:
                    message = worker.pipe.recv()
                except (EOFError, ConnectionError):
                    self._bury(worker)
                    return trial, None
                if isinstance(message, Outcome):
                    worker.trial = None
                    return trial, message
                with contextlib.suppress(BrokenPipeError):  # found at the next wait
                    worker.pipe.send(trial.tell(*message))

    def _started(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._objective), daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def _bury(self, worker: _Worker) -> None:
        worker.process.join(PATIENCE)
        worker.pipe.close()
        self._workers.remove(worker)


def _work(pipe: Connection, objective: Objective) -> None:
    """What a process does: trials as they come, until the pipe ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            number, parameters, overrides, folder, log = pipe.recv()
            trial = TrialRun(number, parameters, overrides, folder, lambda look, value: _asked(pipe, look, value))
            outcome = attempt(objective, trial, log)
            pipe.send(outcome)
            if outcome.kind == "stopped":
                return


def _asked(pipe: Connection, look: int, value: float) -> bool:
    pipe.send((look, value))
    return bool(pipe.recv())


def _end_with_parent() -> None:
    """A killed sweep must not leave trainings behind that hold their folders."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
