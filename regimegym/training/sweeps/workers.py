"""Processes that work side by side; one that dies takes its own task with it and nothing else."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

PATIENCE = 60.0  # seconds that a worker has to save its task when it is asked to stop
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read by libraries when they are loaded
Answer = Callable[[Any], Any]  # the parent's answer to what a task asks while it runs
Work = Callable[[Any, Answer], Any]  # a task and whom to ask; runs in the worker, so it must be sent there


class Done(NamedTuple):
    """What a task came to; anything else that a worker sends is a question."""

    value: Any


@dataclass
class _Worker:
    """One process, the parent's end of its pipe, what it works on and who answers its questions."""

    process: Any
    pipe: Connection
    task: Any | None = None
    answer: Answer = bool


class Workers:
    """Up to `n_jobs` processes that live as long as the block, each imports everything once.

    Args:
        work: what every process does with its tasks; it and they must not be None.
        n_jobs: processes at most.
    """

    def __init__(self, work: Work, n_jobs: int) -> None:
        # A forked process would inherit torch's threads as they are; a spawned one is clean.
        self._context = multiprocessing.get_context("spawn")
        self._work = work
        self._n_jobs = n_jobs
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            if worker.task is not None:
                worker.process.terminate()  # SIGTERM: it saves a checkpoint
            worker.pipe.close()  # the end of its pipe is the end of its work
        for worker in self._workers:
            worker.process.join(PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    @property
    def n_busy(self) -> int:
        """Tasks that are running."""
        return sum(worker.task is not None for worker in self._workers)

    @property
    def has_room(self) -> bool:
        """Whether another task can be submitted."""
        return self.n_busy < self._n_jobs

    def submit(self, task: Any, sent: Any, answer: Answer = bool) -> None:
        """Give `sent` to an idle process, or to a new one; `task` is its name here, `answer` hears its questions."""
        idle = next((worker for worker in self._workers if worker.task is None), None)
        worker = self._started() if idle is None else idle
        worker.task, worker.answer = task, answer
        with contextlib.suppress(ConnectionError):  # it has died since; found at the next wait
            worker.pipe.send(sent)

    def next_done(self) -> tuple[Any, Done | None]:
        """Wait until a task ends, answering what the others ask; None: its process has died."""
        while True:
            busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                task = worker.task
                try:
                    message = worker.pipe.recv()
                except (EOFError, ConnectionError):
                    self._bury(worker)
                    return task, None
                if isinstance(message, Done):
                    worker.task = None
                    return task, message
                with contextlib.suppress(ConnectionError):
                    worker.pipe.send(worker.answer(message))

    def _started(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._work), daemon=True)
        with _ctrl_c_held_back(), _cores_shared(self._n_jobs):
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))
        return self._workers[-1]

    def _bury(self, worker: _Worker) -> None:
        worker.process.join(PATIENCE)
        worker.pipe.close()
        self._workers.remove(worker)


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """A process that starts inside inherits that Ctrl-C waits; a terminal sends it to all of them at once."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def _cores_shared(n_jobs: int) -> Iterator[None]:
    """A process that starts inside takes its share of the cores for linear algebra, unless that is set already."""
    share = str(max(1, len(os.sched_getaffinity(0)) // n_jobs))
    added = {name: share for name in THREADS if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _serve(pipe: Connection, work: Work) -> None:
    """What a process does: tasks as they come, until the pipe ends."""
    # The parent hears Ctrl-C and sends SIGTERM; a training listens to both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError, KeyboardInterrupt):
        while True:
            sent = pipe.recv()
            pipe.send(Done(work(sent, lambda question: _asked(pipe, question))))


def _asked(pipe: Connection, question: Any) -> Any:
    """The parent's answer; None where it listens no more, which is about to stop this process."""
    try:
        pipe.send(question)
        return pipe.recv()
    except (EOFError, ConnectionError):
        return None


def _end_with_parent() -> None:
    """A killed sweep must not leave trainings behind that hold their folders."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
