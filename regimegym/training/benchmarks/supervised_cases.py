"""What the benchmark of predictors measures: a lesson of real features, the clock around each call, the peers."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import OmegaConf

from regimegym.features.market import prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.sets import SETS
from regimegym.features.synthetic.worlds import regime_switching_market
from regimegym.supervised.base import Predictor
from regimegym.supervised.boosting_settings import XGBoostSettings
from regimegym.supervised.ensemble.settings import STRATEGIES, EnsembleSettings
from regimegym.supervised.lesson import Lesson, lesson_of
from regimegym.supervised.lorentzian_search import NO_CLOCK, build_index, search
from regimegym.supervised.markov_filter import Gaussians, filtered, stationary
from regimegym.supervised.registry import predictor_of
from regimegym.supervised.sequence.settings import SequenceModelSettings
from regimegym.supervised.targets import Direction, Moves
from regimegym.training.wiring import build

N_FEATURES = 178
# The first of the xgboost set that hourly bars can have.
NAMES = tuple(n for n in SETS["xgboost"] if not n.endswith("min") and n != "change_1h")[:N_FEATURES]
WARM_UP_BARS = 3_000  # of the longest feature, and some more
WARM_UP_ROWS = 400  # of a fit that nobody times: kernels compile, libraries are imported
FIRST_ROWS = 1_000  # that tell how long a fit of more rows would take
RANDOM_SEED = 0
STRATEGY = "ensemble/"  # before the strategy of an ensemble other than the default
CONF = Path(str(files("regimegym.conf") / "predictor"))


class Subject(NamedTuple):
    """A predictor to be measured.

    Attributes:
        make: makes it as it is fitted here.
        passes: how often a whole fit goes over the rows at most, where `make` goes over them once.
        asked: makes it as it is asked for one row, where that is another: no tree is left out.
        scales: whether a fit of few rows is followed by one of more.
    """

    make: Callable[[], Predictor]
    passes: int = 1
    asked: Callable[[], Predictor] | None = None
    scales: bool = True


def subject_names() -> list[str]:
    """Every file of conf/predictor, then the strategies of the ensemble."""
    others = [name for name in STRATEGIES if name != EnsembleSettings().strategy]
    return [*sorted(path.stem for path in CONF.glob("*.yaml")), *(f"{STRATEGY}{name}" for name in others)]


def subject_of(name: str) -> Subject:
    """The predictor of that name with the settings of its file."""
    if name.startswith(STRATEGY):
        settings: Any = EnsembleSettings(strategy=name.removeprefix(STRATEGY))
        return Subject(lambda: predictor_of(settings), scales=False)
    settings = build(OmegaConf.load(CONF / f"{name}.yaml"))
    if isinstance(settings, SequenceModelSettings):
        once = replace(settings, epochs=1)
        return Subject(lambda: predictor_of(once), settings.epochs)
    if isinstance(settings, XGBoostSettings):
        all_trees = replace(settings, early_stopping_rounds=0)
        return Subject(lambda: predictor_of(settings), asked=lambda: predictor_of(all_trees))
    return Subject(lambda: predictor_of(settings), scales=not isinstance(settings, EnsembleSettings))


class Throughput(NamedTuple):
    """`n_rows` rows in `seconds` of CPU time."""

    n_rows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Rows per CPU-second."""
        return self.n_rows / max(self.seconds, 1e-9)


def market_lesson(n_rows: int, nested: bool = False) -> Lesson:
    """`n_rows` hourly bars of a regime-switching market, their first 178 features, and whether they rise in ten bars.

    With `nested`, which of the moves of 1, 2 and 5 % come instead.
    """
    bars = regime_switching_market(n_rows + WARM_UP_BARS, RANDOM_SEED).bars
    table = prepare_market(bars, None, FeatureSettings(NAMES)).table
    target = Moves() if nested else Direction()
    lesson = lesson_of(table, target.of(bars), target.classes)
    lesson = lesson.take(np.arange(len(lesson) - n_rows, len(lesson)))
    return replace(lesson, features=np.ascontiguousarray(lesson.features))  # a table lies column by column


def fit_throughput(make: Callable[[], Predictor], lesson: Lesson, budget: float) -> tuple[Predictor, Throughput]:
    """Fit on as many of the first rows as about `budget` CPU-seconds allow, by the time that few rows took."""
    n_rows, taken = min(FIRST_ROWS, len(lesson)), 0.0
    make().fit(lesson.until(WARM_UP_ROWS), np.random.default_rng(RANDOM_SEED))
    while True:
        part = lesson.until(n_rows)
        predictor = make()
        start = time.process_time()
        predictor.fit(part, np.random.default_rng(RANDOM_SEED))
        taken = time.process_time() - start
        larger = min(len(lesson), int(n_rows * budget / max(taken, 1e-3)))
        if larger < 2 * n_rows:
            return predictor, Throughput(n_rows, taken)
        n_rows = min(larger, 10 * n_rows)  # few rows say little about many


def predict_throughput(predictor: Predictor, features: np.ndarray, budget: float) -> Throughput:
    """Ask about as many rows at once as about `budget` CPU-seconds allow."""
    n_rows = min(len(features), predictor.warm_up + 100)
    while True:
        start = time.process_time()
        predictor.predict_proba(features[:n_rows])
        taken = time.process_time() - start
        larger = min(len(features), int(n_rows * budget / max(taken, 1e-4)))
        if larger < 2 * n_rows:
            return Throughput(n_rows, taken)
        n_rows = min(larger, 10 * n_rows)


def _cpu_seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def lorentzian_pair_seconds(repeats: int, n_rows: int = 50_000) -> tuple[float, float]:
    """CPU-seconds per pair of rows of 178 features: our exact search, scikit-learn's with a callable metric."""
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(RANDOM_SEED)
    points, queries = rng.normal(size=(n_rows, N_FEATURES)), rng.normal(size=(64, N_FEATURES))
    index, clocks = build_index(points, np.zeros(n_rows), 10.0), np.full(64, NO_CLOCK)
    search(index, queries[:2], clocks[:2], 5)
    few = min(n_rows, 5_000)  # the peer takes minutes over all of them

    def metric(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.log1p(np.abs(a - b)).sum())

    peer = NearestNeighbors(n_neighbors=5, algorithm="brute", metric=metric).fit(points[:few])
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(_cpu_seconds(lambda: search(index, queries, clocks, 5)) / (64 * n_rows))
        theirs.append(_cpu_seconds(lambda: peer.kneighbors(queries[:2])) / (2 * few))
    return statistics.median(ours), statistics.median(theirs)


def filter_seconds(repeats: int, n_rows: int = 1_000_000, n_states: int = 4) -> tuple[float, float]:
    """CPU-seconds over `n_rows` bars of two values: our forward filter, hmmlearn's posterior pass."""
    from hmmlearn.hmm import GaussianHMM

    rng = np.random.default_rng(RANDOM_SEED)
    transition = 0.95 * np.eye(n_states) + 0.05 / n_states
    model = Gaussians(
        stationary(transition), transition, rng.normal(size=(n_states, 2)), np.tile(np.eye(2), (n_states, 1, 1))
    )
    peer = GaussianHMM(n_states, "diag", init_params="")
    peer.startprob_, peer.transmat_, peer.means_ = model.start, model.transition, model.means
    peer.covars_ = np.ones((n_states, 2))
    rows = rng.normal(size=(n_rows, 2))
    filtered(model, rows[:10])
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(_cpu_seconds(lambda: filtered(model, rows)))
        theirs.append(_cpu_seconds(lambda: peer.predict_proba(rows)))
    return statistics.median(ours), statistics.median(theirs)
