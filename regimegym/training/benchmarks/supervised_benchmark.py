"""The benchmark of predictors: latency and throughput of every registered one, and two peers."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.common.checks import check_choice
from regimegym.supervised.latency import row_latency
from regimegym.supervised.lesson import Lesson
from regimegym.training.benchmarks import supervised_cases as cases
from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.record import described
from regimegym.training.benchmarks.table import VERDICTS
from regimegym.training.benchmarks.target import Target
from regimegym.training.formatting import count, duration, number

FORMAT = 1
N_ROWS = 50_000
TREES = ("random_forest", "xgboost", "xgboost_plain")
LATENCY_TARGET = Target(100.0, at_least=False)  # milliseconds
TREE_TARGET = Target(5.0, at_least=False)
LORENTZIAN_TARGET = Target(50.0, at_least=True)
FILTER_TARGET = Target(1.0, at_least=True)


@dataclass(frozen=True)
class PredictorRow:
    """One predictor with its default settings.

    Attributes:
        fit_rows, fit_rate: rows it was fitted on, as many as the time allowed, and rows per CPU-second and pass.
        passes: over the rows that a whole fit makes at most; the fit here made one.
        predict_rows, predict_rate: the same of asking.
        wall_ms: 95th percentile from one more row to its answer in the quietest turn; it is judged, and other
            processes count.
        cpu_ms: the same by the processor's clock, of all threads.
    """

    name: str
    fit_rows: int
    fit_rate: float
    predict_rows: int
    predict_rate: float
    wall_ms: float
    cpu_ms: float
    passes: int = 1

    def whole_fit(self, n_rows: int) -> float:
        """CPU-seconds of a whole fit on `n_rows`, by the rate of the rows that were fitted."""
        return self.passes * n_rows / self.fit_rate

    @property
    def target(self) -> Target:
        """Of the latency."""
        return TREE_TARGET if self.name in TREES else LATENCY_TARGET

    @property
    def is_met(self) -> bool:
        """Whether the latency is low enough."""
        return self.target.is_met(self.wall_ms)


@dataclass(frozen=True)
class PeerRow:
    """How many times as fast as a peer, per CPU-second; the seconds of both."""

    name: str
    ours: float
    theirs: float
    target: Target

    @property
    def ratio(self) -> float:
        """Theirs over ours."""
        return self.theirs / self.ours

    @property
    def is_met(self) -> bool:
        """Whether the ratio reaches the target."""
        return self.target.is_met(self.ratio)


@dataclass(frozen=True)
class SupervisedBenchmark:
    """What one run measured; `budget` are the CPU-seconds that a fit was to take at most."""

    started: datetime
    repeats: int
    budget: float
    n_rows: int
    n_features: int
    predictors: list[PredictorRow]
    peers: list[PeerRow]

    def to_json(self) -> dict[str, Any]:
        """The whole record: rows with their verdicts, versions, machine."""
        return described("supervised", FORMAT, self.started) | {
            "repeats": self.repeats,
            "budget": self.budget,
            "n_rows": self.n_rows,
            "n_features": self.n_features,
            "predictors": [asdict(row) | {"met": row.is_met} for row in self.predictors],
            "peers": [asdict(row) | {"ratio": row.ratio, "met": row.is_met} for row in self.peers],
        }


def benchmark_supervised(
    repeats: int,
    budget: float,
    names: Sequence[str] = (),
    n_rows: int = N_ROWS,
    on_progress: Callable[[str], None] = lambda _: None,
) -> SupervisedBenchmark:
    """Measure the predictors `names`, all of conf/predictor and every strategy where empty, on rows × 178 features.

    Args:
        repeats: turns beside each peer, of which the median counts.
        budget: CPU-seconds that one fit may take; a slower predictor is fitted on fewer rows.

    Raises:
        ConfigError: an unknown name.
    """
    for name in names:
        check_choice("--predictor", name, cases.subject_names())
    started = datetime.now(UTC)
    on_progress(f"{cases.N_FEATURES} features of {n_rows:,} bars")
    lesson = cases.market_lesson(n_rows)
    rows = []
    for name in names or cases.subject_names():
        on_progress(f"{name}: fitting, asking, asking once more")
        rows.append(
            measured(name, cases.market_lesson(n_rows, nested=True) if name == "multi_target" else lesson, budget)
        )
    on_progress("Lorentzian neighbours beside scikit-learn, the filter beside hmmlearn")
    pairs = cases.lorentzian_pair_seconds(repeats, n_rows)
    filters = cases.filter_seconds(repeats, 20 * n_rows)
    peers = [
        PeerRow("Lorentzian search / scikit-learn, callable metric", *pairs, LORENTZIAN_TARGET),
        PeerRow(f"HMM filter of {20 * n_rows:,} bars / hmmlearn", *filters, FILTER_TARGET),
    ]
    return SupervisedBenchmark(started, repeats, budget, n_rows, len(lesson.names), rows, peers)


def measured(name: str, lesson: Lesson, budget: float) -> PredictorRow:
    """One predictor with the settings of its file on the lesson."""
    subject = cases.subject_of(name)
    predictor, fitted = cases.fit_throughput(subject.make, lesson, budget if subject.scales else 0.0)
    asked = cases.predict_throughput(predictor, lesson.features, budget)
    if subject.asked is not None:
        few = lesson.until(cases.FIRST_ROWS)
        predictor = subject.asked().fit(few, np.random.default_rng(cases.RANDOM_SEED))
    cpu, wall = row_latency(predictor, lesson.features)
    rates = (fitted.n_rows, fitted.rate, asked.n_rows, asked.rate)
    return PredictorRow(name, *rates, 1e3 * wall, 1e3 * cpu, subject.passes)


def supervised_table(benchmark: SupervisedBenchmark) -> RenderableType:
    """The predictors, the peers, and below them how they were measured; at most 80 columns."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("predictor", no_wrap=True)
    whole = f"{count(benchmark.n_rows)} rows,\nh:min:s"
    for heading in (
        "fitted\non rows",
        "fit,\nrows/s",
        whole,
        "predict,\nrows/s",
        "p95 of a\nrow, ms",
        "of the\nCPU",
        "target",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in benchmark.predictors:
        is_all = row.fit_rows == benchmark.n_rows and row.passes == 1
        cells = [
            count(row.fit_rows),
            count(row.fit_rate),
            f"{'' if is_all else '~'}{duration(row.whole_fit(benchmark.n_rows))}",
            count(row.predict_rate),
            number(row.wall_ms, 2),
            number(row.cpu_ms, 2),
            f"≤ {row.target.limit:g} {VERDICTS[row.is_met]}",
        ]
        table.add_row(row.name, *cells, style="bold" if not row.is_met else "")
    peers = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    peers.add_column("beside", no_wrap=True)
    for heading in ("times as fast", "target", ""):
        peers.add_column(heading, justify="right", no_wrap=True)
    for peer in benchmark.peers:
        cells = [f"{number(peer.ratio, 1)}×", f"≥ {peer.target.limit:g}×"]
        peers.add_row(peer.name, *cells, VERDICTS[peer.is_met], style="bold" if not peer.is_met else "")
    machine = describe_machine()
    passes = max((row.passes for row in benchmark.predictors), default=1)
    notes = [
        f"{benchmark.n_rows:,} rows × {benchmark.n_features} features, settings of conf/predictor; seconds of CPU",
        f"~ extrapolated from the rows that {benchmark.budget:g} s could fit (ensembles: {cases.FIRST_ROWS:,})",
        *([f"networks were fitted in one pass, and may take {passes}"] if passes > 1 else []),
        "p95 of a row in the quietest of several turns; its history is known before",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
    ]
    return Group(table, Text(), peers, Text(), *(Text(note) for note in notes))
