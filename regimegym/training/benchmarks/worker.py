"""A contender in a process of its own, asked for one turn at a time.

    python -m regimegym.training.benchmarks.worker CONTENDER SIZES

One JSON object per line: in {"case": …, "seconds": …}, out {"units": …, "seconds": …}.
What the contender prints goes to stderr.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import TextIO

import regimegym
from regimegym.training.benchmarks.harness import Run, Sample, Work, run_for
from regimegym.training.benchmarks.market import Sizes

OURS = "regime-gym"
MODULE = "regimegym.training.benchmarks"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerError(RuntimeError):
    """The contender's process ended before it answered; the text is its last words."""


class Worker:
    """The asking side; a context manager that ends the process."""

    def __init__(self, contender: str, sizes: Sizes) -> None:
        self._errors = TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{MODULE}.worker", contender, json.dumps(asdict(sizes))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=child_environment(),
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def run_of(self, case: str) -> Run:
        """The case as harness.measure wants it.

        Calling it raises:
            WorkerError: the process has ended.
        """

        def run(seconds: float) -> Sample:
            return self._ask({"case": case, "seconds": seconds})

        return run

    def _ask(self, question: dict[str, object]) -> Sample:
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answered is not None
        with contextlib.suppress(BrokenPipeError):
            asked.write(json.dumps(question) + "\n")
            asked.flush()
        line = answered.readline()
        if not line:
            self._process.wait()
            raise WorkerError(self._last_words())
        return Sample(**json.loads(line))

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.returncode}"


def child_environment() -> dict[str, str]:
    """The environment of a child process: this very package first, one thread for all."""
    here = str(Path(regimegym.__path__[0]).parent)
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path} | dict.fromkeys(THREADS, "1")


def serve(cases: dict[str, Callable[[], Work]], questions: TextIO, answers: TextIO) -> None:
    """Answer every question; a case is built when it is first asked for."""
    built: dict[str, Work] = {}
    for line in questions:
        question = json.loads(line)
        name = question["case"]
        if name not in built:
            built[name] = cases[name]()
        sample = run_for(built[name], question["seconds"])
        answers.write(json.dumps(sample._asdict()) + "\n")
        answers.flush()


def cases_of(contender: str, sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """Builders of a contender's cases by name."""
    from regimegym.training.benchmarks import envs, peers, replay

    builders = {
        OURS: envs.our_cases,
        "gym-anytrading": peers.anytrading_cases,
        "gym-trading-env": peers.trading_env_cases,
        replay.OURS: replay.our_replay_cases,
        replay.CPPRB: replay.cpprb_cases,
        replay.SB3: replay.sb3_cases,
    }
    return builders[contender](sizes)


def main() -> None:
    """Serve the contender named on the command line until stdin ends."""
    contender, sizes = sys.argv[1], Sizes(**json.loads(sys.argv[2]))
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        serve(cases_of(contender, sizes), sys.stdin, answers)


if __name__ == "__main__":
    main()
