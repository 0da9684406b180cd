"""What the feature benchmark measures: one-minute bars, the xgboost set, its peers and its stream."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from regimegym.features.bars import NS_PER_SECOND, Bars
from regimegym.features.feature import FeatureInputs
from regimegym.features.loading import load_bars
from regimegym.features.pipeline import FeatureSettings, FeatureTable, compute_features, feature_set
from regimegym.features.regimes import classify_regimes
from regimegym.features.stream import FeatureStream
from regimegym.features.tail import bar_at
from regimegym.training.benchmarks.pandas_features import NAMES, pandas_columns

MINUTE_NS = 60 * NS_PER_SECOND
START_NS = 1_577_836_800 * NS_PER_SECOND  # 2020-01-01
RANDOM_SEED = 0
STREAM_BARS = 4_500  # enough for every feature to be past its warm-up and its memory
TIMED_BARS = 1_000


def minute_bars(n_bars: int) -> Bars:
    """A walk with changing volatility, gaps between bars and volume; the same one every time."""
    rng = np.random.default_rng(RANDOM_SEED)
    pace = np.exp(np.repeat(rng.normal(0.0, 0.5, n_bars // 500 + 1), 500)[:n_bars])
    close = 100.0 * np.exp(np.cumsum(5e-4 * pace * rng.standard_normal(n_bars)))
    start = np.concatenate([[100.0], close[:-1]]) * np.exp(5e-5 * rng.standard_normal(n_bars))
    reach = np.exp(2e-4 * np.abs(rng.standard_normal((2, n_bars))))
    return Bars(
        START_NS + np.arange(n_bars, dtype=np.int64) * MINUTE_NS,
        start,
        np.maximum(start, close) * reach[0],
        np.minimum(start, close) / reach[1],
        close,
        rng.lognormal(3.0, 1.0, n_bars),
        "MINUTES",
        MINUTE_NS,
        525_600.0,
    )


def full_set(bars: Bars) -> FeatureTable:
    """The xgboost set of `bars`, regimes included."""
    return compute_features(FeatureInputs(bars, classify_regimes(bars.close)), feature_set("xgboost"))


def shared_columns(bars: Bars) -> FeatureTable:
    """Ours: the columns that plain pandas can make too."""
    return compute_features(FeatureInputs(bars, classify_regimes(bars.close)), FeatureSettings(NAMES))


def cpu_seconds(n_bars: int, kind: str) -> float:
    """CPU-seconds of `ours`, `pandas` (the same columns) or `full` (all of them) on `n_bars`."""
    bars = minute_bars(n_bars)
    kinds: dict[str, Callable[[Bars], object]] = {"ours": shared_columns, "pandas": pandas_columns, "full": full_set}
    start = time.process_time()
    kinds[kind](bars)
    return time.process_time() - start


def stream_seconds() -> list[float]:
    """CPU-seconds of each of the last bars of a stream of the full set."""
    bars = minute_bars(STREAM_BARS)
    stream = FeatureStream(full_set(bars).names, MINUTE_NS)
    taken = []
    for row in range(STREAM_BARS):
        bar = bar_at(bars, row)
        start = time.process_time()
        stream.push(bar)
        taken.append(time.process_time() - start)
    return taken[-TIMED_BARS:]


def load_seconds(n_bars: int, folder: Path, repeats: int) -> list[tuple[float, float]]:
    """Wall and CPU-seconds (of all threads) of loading and checking `n_bars` from Parquet."""
    bars, path = minute_bars(n_bars), folder / "bars.parquet"
    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    pd.DataFrame({"date": pd.to_datetime(bars.timestamps, utc=True), **columns}).to_parquet(path)
    taken = []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        load_bars(path)
        taken.append((time.perf_counter() - start, time.process_time() - start_cpu))
    return taken


def peak_memory(n_bars: int) -> tuple[int, int]:
    """Bytes by which a fresh process grows at its largest while it makes the full set, and bytes of the result."""
    command = [sys.executable, "-m", "regimegym.training.benchmarks.feature_cases", str(n_bars)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(said.splitlines()[-1])
    return found["peak"], found["output"]


def _tell_peak(n_bars: int) -> None:
    full_set(minute_bars(5_000))  # loads or compiles the kernels
    bars = minute_bars(n_bars)
    before = _largest()
    table = full_set(bars)
    sys.stdout.write(json.dumps({"peak": _largest() - before, "output": table.values.nbytes}) + "\n")


def _largest() -> int:
    """Most bytes of memory this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():  # elsewhere the figure may include what the parent held
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1_024
    unit = 1 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    _tell_peak(int(sys.argv[1]))
