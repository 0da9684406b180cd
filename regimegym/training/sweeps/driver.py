"""The loop of a sweep: ask for a trial, run it, tell how it went; stop and go on at any moment."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimegym.training.sweeps.attempt import Outcome, attempt
from regimegym.training.sweeps.space import Space
from regimegym.training.sweeps.study import Study
from regimegym.training.sweeps.trial import Objective, TrialRun
from regimegym.training.sweeps.workers import Answer, Workers

ATTEMPTS = 2  # of a trial whose process was killed


class SweepStopped(KeyboardInterrupt):
    """Somebody stopped the sweep; every trial is kept, the running ones go on when it does."""

    exit_code = 0  # it did what it was asked to


@dataclass(frozen=True)
class TrialWork:
    """What a worker does with a trial that it is sent."""

    objective: Objective

    def __call__(self, sent: tuple[Any, ...], ask: Answer) -> Outcome:
        """Run the trial; its reports are questions to the parent."""
        number, parameters, overrides, folder, log = sent
        trial = TrialRun(number, parameters, overrides, folder, lambda look, value: bool(ask((look, value))))
        return attempt(self.objective, trial, log)


def _answers(run: TrialRun) -> Answer:
    """What the parent does with a worker's reports."""
    return lambda report: run.tell(*report)


class Driver:
    """Runs the trials of one sweep folder until there are `n_trials`.

    Args:
        study: chooses and remembers.
        objective: what every trial runs.
        folder: of the sweep; trials write below trials/, their words go to logs/.
        on_trial: called with each trial that has ended.
    """

    def __init__(
        self, study: Study, space: Space, objective: Objective, folder: Path, on_trial: Callable[[Any], None]
    ) -> None:
        self._study = study
        self._space = space
        self._objective = objective
        self._folder = folder
        self._on_trial = on_trial
        self._waiting: deque[Any] = deque()
        self._begun: dict[int, tuple[Any, float]] = {}

    def run(self, n_trials: int, n_jobs: int) -> None:
        """Run what is missing. Raises SweepStopped on Ctrl-C and SIGTERM."""
        self._waiting.extend(self._study.unfinished())
        try:
            if n_jobs == 1:
                self._run_here(n_trials)
            else:
                self._run_beside(n_trials, n_jobs)
        except KeyboardInterrupt as stop:
            raise SweepStopped(str(stop)) from stop

    def _run_here(self, n_trials: int) -> None:
        while (trial := self._next(n_trials)) is not None:
            run = self._begin(trial)
            outcome = attempt(self._objective, run, self._log_of(run.number))
            self._settle(run.number, outcome)

    def _run_beside(self, n_trials: int, n_jobs: int) -> None:
        with Workers(TrialWork(self._objective), n_jobs) as workers:
            while True:
                while workers.has_room and (trial := self._next(n_trials)) is not None:
                    run = self._begin(trial)
                    plain = (run.number, run.parameters, run.overrides, run.folder, self._log_of(run.number))
                    workers.submit(run.number, plain, _answers(run))
                if not workers.n_busy:
                    return
                number, done = workers.next_done()
                self._settle(number, None if done is None else done.value)

    def _next(self, n_trials: int) -> Any | None:
        """The next trial to run: one that was begun already, a new one, or None."""
        if self._waiting:
            return self._waiting.popleft()
        if len(self._study.trials()) >= n_trials or self._study.is_exhausted:
            return None
        return self._study.ask()

    def _begin(self, trial: Any) -> TrialRun:
        self._begun[trial.number] = (trial, time.monotonic())
        values = {name: trial.params[name] for name in self._space.names}
        return TrialRun(
            trial.number,
            values,
            tuple(self._space.overrides(values)),
            self._folder / "trials" / str(trial.number),
            lambda look, value: self._study.report(trial, look, value),
        )

    def _settle(self, number: int, outcome: Outcome | None) -> None:
        """Tell the study how an attempt ended; None: its process was killed."""
        trial, begun = self._begun.pop(number)
        if outcome is None and self._study.restarted(trial) + 1 < ATTEMPTS:
            self._waiting.appendleft(trial)
            return
        if outcome is not None and outcome.kind == "stopped":
            raise SweepStopped(outcome.reason)
        self._study.note_seconds(trial, time.monotonic() - begun)
        if outcome is None:
            self._study.fail(trial, f"its process was killed {ATTEMPTS} times")
        elif outcome.kind == "done":
            self._study.complete(trial, outcome.metrics)
        elif outcome.kind == "pruned":
            self._study.prune(trial)
        else:
            self._study.fail(trial, outcome.reason)
        self._on_trial(self._study.trials()[number])

    def _log_of(self, number: int) -> Path:
        return self._folder / "logs" / f"{number}.txt"
