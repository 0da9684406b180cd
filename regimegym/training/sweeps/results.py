"""What a sweep has found: trials in order, the best, what mattered, and what the number of trials leaves of it."""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from regimegym.evaluate.metrics import sharpe_ratio, simple_returns
from regimegym.evaluate.overfitting import deflated_sharpe_ratio
from regimegym.training.run_folder import RunFolder
from regimegym.training.sweeps.choosing import Choosing, judge_choice
from regimegym.training.sweeps.settings import SearchSettings
from regimegym.training.sweeps.study import Study

NAN = float("nan")
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}


class Row(NamedTuple):
    """One trial.

    Attributes:
        state: complete | pruned | failed | running | waiting.
        values: objective by name; empty where it did not complete.
        last: newest score that a pruned one had reported; NaN without.
        metrics: all metrics of validation, by name.
        seconds: wall time of the last attempt; NaN unknown.
        error: why it failed.
    """

    number: int
    state: str
    parameters: Mapping[str, Any]
    values: Mapping[str, float]
    last: float
    metrics: Mapping[str, Any]
    seconds: float
    error: str


class SweepResult(NamedTuple):
    """What a sweep has found.

    Attributes:
        rows: best first, those without a score last.
        best: number of the best trial, or of the Pareto front, the best by the first objective first.
        importance: share of each parameter in what changed the first objective; may be empty.
        deflated_sharpe: probability that the best trial's Sharpe ratio is above 0 once the trials are counted.
        n_counted: trials that it counts: this sweep's, or all that the ledger knows of these data.
        choosing: what the trials together say of having chosen the best of them.
    """

    objectives: Mapping[str, str]
    rows: list[Row]
    best: list[int]
    importance: Mapping[str, float]
    deflated_sharpe: float
    n_counted: int
    choosing: Choosing = Choosing()

    def row(self, number: int) -> Row:
        """The trial `number`."""
        return next(row for row in self.rows if row.number == number)


def row_of(trial: Any, objectives: Mapping[str, str]) -> Row:
    """A Row from optuna's FrozenTrial."""
    state, notes = STATES[trial.state.name], trial.user_attrs
    values = dict(zip(objectives, trial.values, strict=True)) if state == "complete" else {}
    looks = trial.intermediate_values
    return Row(
        trial.number,
        state,
        dict(trial.params),
        values,
        float(looks[max(looks)]) if looks else NAN,
        notes.get("metrics", {}),
        float(notes.get("seconds", NAN)),
        notes.get("error", ""),
    )


def sort_rows(rows: list[Row], objectives: Mapping[str, str]) -> list[Row]:
    """Best first by the first objective; then those that were given up, then those without any score."""
    name, direction = next(iter(objectives.items()))
    sign = -1.0 if direction == "maximize" else 1.0

    def rank(row: Row) -> tuple[int, float, int]:
        score = row.values.get(name, row.last)
        known = math.isfinite(score)
        return (0 if row.values else 1 if known else 2, sign * score if known else 0.0, row.number)

    return sorted(rows, key=rank)


def gather(study: Study, settings: SearchSettings, ledger_trials: int = 0) -> SweepResult:
    """Everything the study knows; `ledger_trials` are all trials on these data, earlier sweeps included."""
    rows = sort_rows([row_of(trial, settings.objectives) for trial in study.trials()], settings.objectives)
    front = {trial.number for trial in study.best()}
    best = [row.number for row in rows if row.number in front]
    n_counted = max(ledger_trials, sum(row.state in ("complete", "pruned") for row in rows))
    return judged(settings.objectives, rows, best, study.importance(), n_counted)


def judged(
    objectives: Mapping[str, str], rows: list[Row], best: list[int], importance: Mapping[str, float], n_counted: int
) -> SweepResult:
    """The result of sorted `rows`, with what the trials that completed say of having chosen the `best`."""
    if not best:
        return SweepResult(objectives, rows, best, importance, NAN, n_counted)
    runs = {row.number: bar_returns(row) for row in rows if row.state == "complete"}
    sharpes = np.array([sharpe_ratio(returns, 1.0) for returns in runs.values()])
    deflated = deflated_sharpe_ratio(runs[best[0]], max(n_counted, 1), sharpes)
    others = [returns for number, returns in runs.items() if number != best[0]]
    held = bar_returns(next(row for row in rows if row.number == best[0]), "buy_and_hold")
    choosing = judge_choice([runs[best[0]], *others], held)
    return SweepResult(objectives, rows, best, importance, deflated, n_counted, choosing)


def bar_returns(row: Row, policy: str = "agent") -> np.ndarray:
    """(n,) simple net returns per bar of a policy in a trial's validation; empty where its run has no equity."""
    folder = row.metrics.get("run")
    files = sorted(Path(folder).rglob(RunFolder(".").equity.name)) if folder else []
    if not files:
        return np.empty(0)
    column = f"{policy}_equity"
    table = pd.read_parquet(files[0], columns=["part", column])
    return simple_returns(table.loc[table["part"] == "validation", column].to_numpy(np.float64))


def table_text(result: SweepResult) -> str:
    """The trials as CSV: number, state, objectives, parameters, seconds, run, error."""
    names = list(result.rows[0].parameters) if result.rows else []
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["trial", "state", *result.objectives, *names, "seconds", "run", "error"])
    for row in result.rows:
        scores = [row.values.get(name, "") for name in result.objectives]
        settings = [row.parameters.get(name, "") for name in names]
        seconds = row.seconds if math.isfinite(row.seconds) else ""
        writer.writerow([row.number, row.state, *scores, *settings, seconds, row.metrics.get("run", ""), row.error])
    return file.getvalue()
