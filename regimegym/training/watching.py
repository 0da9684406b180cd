"""`regime-gym monitor`: a trained run on bars that came later, beside what it did on bars it had not learned from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from regimegym.common.checks import check_choice, check_not_negative
from regimegym.common.errors import DataError, RegimeGymError, RunError
from regimegym.common.seeding import generator
from regimegym.evaluate.metrics import all_metrics, annual_log_return, max_drawdown, sharpe_ratio, simple_returns
from regimegym.evaluate.monitoring.alerts import FileSink, LogSink, Sink, WebhookSink
from regimegym.evaluate.monitoring.drift import DriftSettings, FeatureDrift, feature_drift, performance_drift
from regimegym.evaluate.monitoring.monitor import Alert, Expectation, ModelMonitor, MonitorSettings
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.trajectory import Trajectory
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.bootstrap import block_rows
from regimegym.training.formatting import number
from regimegym.training.health import Health
from regimegym.training.outcome import period
from regimegym.training.run_folder import RunFolder
from regimegym.training.subject import Subject, open_subject
from regimegym.training.watching_outcome import FOLDER, PAGE, history_of, record_look
from regimegym.training.wiring import build

REFERENCES = ("validation", "test")
LEAST_BARS = 50  # new bars below which nothing can be said
N_PATHS = 300  # of what is expected
SURE = 0.01  # p-value of results that are worse


class Unhealthy(RegimeGymError):
    """The model is not what was expected of it; no mistake of anybody's, but scripts must notice."""

    group = "monitor"
    exit_code = 4


@dataclass(frozen=True)
class AlertSettings:
    """Who is told. file, webhook: None is nobody; quiet: hours for which the same alert is not repeated."""

    log: bool = False
    file: str | None = None
    webhook: str | None = None
    quiet: float = 24.0

    def __post_init__(self) -> None:
        check_not_negative("alerts.quiet", self.quiet)
        if self.webhook is not None:
            WebhookSink(self.webhook)  # a wrong address is said before anything is looked at

    def sinks(self, folder: RunFolder) -> list[Sink]:
        """Where alerts go; the run keeps its own in monitoring/alerts.jsonl."""
        sinks: list[Sink] = [FileSink(folder.path / FOLDER / "alerts.jsonl")]
        sinks += [LogSink()] if self.log else []
        sinks += [FileSink(self.file)] if self.file is not None else []
        return sinks + ([WebhookSink(self.webhook)] if self.webhook is not None else [])


def monitor_run(config: DictConfig) -> Health:
    """Look at the run `config.run` on the new bars of `config.data`, tell whom it may concern, print the table.

    Args:
        config: composed from conf/monitor.yaml.

    Raises:
        Unhealthy: there are alerts; everything is written by then.
        RegimeGymError: no run, no new bars, other features.
    """
    if config.run is None:
        help = ["regime-gym monitor run=last data.path=new.csv"]
        raise RunError("no-run-named", "monitor needs a run", needed="run=RUN_FOLDER", help=help)
    check_choice("reference", config.reference, REFERENCES)
    alerting: AlertSettings = build(config.alerts)
    new = open_subject(config.run, config)
    own = open_subject(config.run, _on_own_data(config))
    found = judge_health(own, new, build(config.monitor), build(config.drift), int(config.random_seed))
    record_look(new.run, found, alerting.sinks(new.run), alerting.quiet, config.reference)
    _print(found, config.reference, new.run)
    if found.alerts:
        raise Unhealthy(
            "unhealthy",
            f"{len(found.alerts)} alerts on {new.run.path}",
            place=[alert.text for alert in found.alerts],
            kept=f"written to {new.run.path / FOLDER}",
        )
    return found


def _on_own_data(config: DictConfig) -> DictConfig:
    """The same look at the run's own data."""
    names = ("with_layers", "trust")
    return OmegaConf.create({name: config[name] for name in names} | {"data": None, "part": config.reference})


def judge_health(
    own: Subject, new: Subject, settings: MonitorSettings, drift: DriftSettings, random_seed: int
) -> Health:
    """Results and features of `new` bars beside those of the run's `own` part.

    Raises:
        DataError: too few bars that are newer than the part.
    """
    rows = newer_rows(own, new)
    reference, now = (
        rollout(subject.trader.policy(subject.market.bars.symbol), subject.tape, subject.settings, part)[0]
        for subject, part in ((own, own.rows), (new, rows))
    )
    monitor = ModelMonitor(expected(reference, now, random_seed), settings)
    metrics = all_metrics(now)
    alerts = monitor.check(metrics)
    past = [metrics for _, metrics in history_of(new.run).read(settings.trend_window - 1)]
    alerts += monitor.check_trends([*past, metrics])
    change = performance_drift(reference.log_returns, now.log_returns, generator(random_seed, "performance-drift"))
    if change.p_value < SURE:
        text = f"the log return per bar fell from {change.before:.2e} to {change.now:.2e} (p = {change.p_value:.3f})"
        alerts.append(Alert("log_return", "drift", change.now, change.before, text))
    drifts = _feature_drifts(own, new, rows, generator(random_seed, "feature-drift"), drift)
    named = [one for one in drifts if one.drifted]
    alerts += [Alert(f"feature {d.name}", "drift", d.effect, d.threshold, f"{d.name}: {d.reason}") for d in named]
    return Health(alerts, metrics, monitor, drifts, now)


def _feature_drifts(
    own: Subject, new: Subject, rows: RowRange, draws: np.random.Generator, settings: DriftSettings
) -> list[FeatureDrift]:
    """Training rows against new ones. Predictions are left out: on training rows they were made by other folds."""
    predictors = new.trader.predictors
    names = list(new.card.feature_names if predictors is None else predictors.inputs)
    before, now = (
        subject.market.table.values[slice(*part)][:, [subject.market.table.names.index(name) for name in names]]
        for subject, part in ((own, own.spans["train"]), (new, rows))
    )
    return feature_drift(before, now, names, draws, settings)


def newer_rows(own: Subject, new: Subject) -> RowRange:
    """Rows of the new data behind the last bar of the run's own part: a file that grew holds the old ones too."""
    end = int(own.tape.timestamps[own.rows.stop - 1])
    start = max(new.rows.start, int(np.searchsorted(new.tape.timestamps, end, side="right")))
    if new.rows.stop - start < LEAST_BARS:
        raise DataError(
            "nothing-new",
            f"{max(0, new.rows.stop - start)} bars are newer than the part of the run that they are compared with",
            needed=f"{LEAST_BARS} bars after the warm-up, in one piece",
            found=f"data until {period(new.tape.timestamps[[-1, -1]]).split(' ')[0]}",
        )
    return RowRange(start, new.rows.stop)


def expected(reference: Trajectory, now: Trajectory, random_seed: int) -> dict[str, Expectation]:
    """What the reference lets expect of as many bars as `now` has: mean and deviation over paths made of its blocks.

    The deviation is widened for the reference's own error. What is not defined there is not expected here.
    """
    n_now, n_before, periods = len(now), len(reference), reference.periods_per_year
    draws = generator(random_seed, "expected")
    block = max(5.0, min(2.0 * n_before ** (1 / 3) + n_before / (reference.n_trades + 1), n_before / 4))
    paths = []
    for _ in range(N_PATHS):
        rows, _begins = block_rows(n_before, n_now, block, draws)
        equity = np.exp(np.concatenate([[0.0], np.cumsum(reference.log_returns[rows])]))
        paths.append(
            (sharpe_ratio(simple_returns(equity), periods), annual_log_return(equity, periods), max_drawdown(equity))
        )
    widen = np.sqrt(1.0 + n_now / n_before)
    found = {}
    for name, values in zip(("sharpe_ratio", "annual_log_return", "max_drawdown"), np.array(paths).T, strict=True):
        if np.isfinite(values).mean() > 0.9:
            found[name] = Expectation(float(np.nanmean(values)), float(np.nanstd(values) * widen))
    wins, k = all_metrics(reference)["win_rate"], (len(reference.trades), len(now.trades))
    if min(k) > 0:
        spread = max(wins * (1.0 - wins), 1.0 / (k[0] + 2.0))
        found["win_rate"] = Expectation(wins, float(np.sqrt(spread * (1.0 / k[0] + 1.0 / k[1]))))
    return found


def _print(found: Health, reference: str, run: RunFolder) -> None:
    console = Console(highlight=False)
    for line in health_lines(found.metrics, found.monitor, found.drifts, found.trajectory, reference):
        console.print(line, soft_wrap=True, markup=False)
    console.print(f"page   {run.path / FOLDER / PAGE}", soft_wrap=True, markup=False)
    if not found.alerts:
        console.print("healthy")


def health_lines(
    metrics: Mapping[str, float],
    monitor: ModelMonitor,
    drifts: Sequence[FeatureDrift],
    trajectory: Trajectory,
    reference: str,
) -> list[str]:
    """The table for people."""
    form = "{:<20} {:>10} {:>10} {:>10}"
    rows: list[tuple[Any, ...]] = [("metric", reference, "limit", "now")]
    for name, expectation in monitor.expected.items():
        values = (expectation.value, monitor.limit(name), metrics[name])
        rows.append((name, *(number(value, 3, signed=True) for value in values)))
    named = [drift.name for drift in drifts if drift.drifted]
    return [
        f"{len(trajectory):,} new bars, {period(trajectory.timestamps)}",
        *(form.format(*row) for row in rows),
        f"drift: {len(named)} of {len(drifts)} features{': ' if named else ''}{', '.join(named)}",
    ]
