"""Two or more runs side by side: what their folders say, and whether the differences mean anything.

Where runs went through the same suite of scenarios, the scenario is the unit of evidence; where they
were only judged on a common stretch of bars, blocks of it are, and one path stays one path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regimegym.common.errors import DataError, RunError
from regimegym.common.plain import plain
from regimegym.common.seeding import generator
from regimegym.evaluate.ab_test import Comparison, compare_agents, holm, path_p
from regimegym.evaluate.intervals import Interval, IntervalSettings, log_return_intervals
from regimegym.evaluate.metrics import simple_returns
from regimegym.evaluate.overfitting import probabilistic_sharpe_ratio
from regimegym.evaluate.power import detectable_difference, power_statement
from regimegym.evaluate.statistics import score_interval
from regimegym.training.run_folder import RunFolder, read_json

SCENARIOS = "scenarios.json"
CALENDAR_NS = 365.25 * 86_400e9


@dataclass(frozen=True)
class PathDifference:
    """Two runs on the bars of `part` that both traded.

    Attributes:
        name, other: which; `other` is the first run.
        n_bars: common ones.
        difference: in log return, with its bootstrap interval.
        p_value, p_holm: of no difference, alone and with all runs compared.
    """

    name: str
    other: str
    part: str
    n_bars: int
    difference: Interval
    p_value: float
    p_holm: float


@dataclass(frozen=True)
class RunComparison:
    """What `compare_runs` found; undefined is NaN.

    Attributes:
        names: of the runs, the first one is the reference.
        metrics: by run and metric, of the part they were compared on.
        part: its name.
        paths: differences on common bars.
        probabilistic_sharpe: by run, P(true Sharpe ratio > 0) on the common bars.
        scenarios: differences over common scenarios; empty without.
        scenario_names: those that all runs have, in order.
        interquartile_mean: by run, of the log returns over seeds and scenarios; empty without.
        detectable: by run but the first, the mean difference that these scenarios would have shown in 80 %.
        power: one sentence.
    """

    names: list[str]
    metrics: dict[str, dict[str, float | None]]
    part: str
    paths: list[PathDifference]
    probabilistic_sharpe: dict[str, float]
    scenarios: list[Comparison]
    scenario_names: list[str]
    interquartile_mean: dict[str, Interval]
    detectable: dict[str, float]
    power: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: intervals as {value, low, high}, undefined and infinite as null."""
        return plain(
            {
                "names": self.names,
                "part": self.part,
                "metrics": self.metrics,
                "paths": [{**vars(path), "difference": path.difference._asdict()} for path in self.paths],
                "probabilistic_sharpe": self.probabilistic_sharpe,
                "scenarios": [{**c._asdict(), "difference": c.difference._asdict()} for c in self.scenarios],
                "scenario_names": self.scenario_names,
                "interquartile_mean": {name: i._asdict() for name, i in self.interquartile_mean.items()},
                "detectable": self.detectable,
                "power": self.power,
            }
        )


def compare_runs(folders: Sequence[str | Path], random_seed: int = 0, level: float = 0.95) -> RunComparison:
    """Compare runs with the first one of them.

    Args:
        folders: run folders (metrics.json, equity.parquet), or evaluations below them; their scenarios are read
            from scenarios.json there, else from the newest evaluation that has one.
        random_seed: of the resampling.
        level: of the intervals.

    Raises:
        RunError: fewer than two, or one without results.
        DataError: no part, or no bars, that all of them have.
    """
    if len(folders) < 2:
        raise RunError("one-run", "a comparison needs two runs or more", found=f"{len(folders)}")
    runs = [_results(Path(folder)) for folder in folders]
    names = _names([Path(folder) for folder in folders])
    part = _common_part([frame for _, frame in runs], names)
    tables = _on_common_bars([frame[frame["part"] == part] for _, frame in runs], names)
    years, paths = _paths(tables, names, part, random_seed, level)
    scores, scenario_names = _scenario_scores([Path(folder) for folder in folders], names)
    reference = scores.get(names[0])
    differences = {} if reference is None else _differences(scores, names)
    any_difference = next(iter(differences.values()), None)
    n_bars = len(tables[0]) - 1
    return RunComparison(
        names,
        {name: dict(metrics[part]["agent"]) for name, (metrics, _) in zip(names, runs, strict=True)},
        part,
        paths,
        {name: probabilistic_sharpe_ratio(_returns(table)) for name, table in zip(names, tables, strict=True)},
        [] if reference is None else compare_agents(scores, names[0], generator(random_seed, "compare"), level),
        scenario_names,
        {name: score_interval(own, generator(random_seed, f"iqm-{name}"), level=level) for name, own in scores.items()},
        {name: detectable_difference(values) for name, values in differences.items()},
        power_statement(n_bars, n_bars / years, any_difference),
    )


def _results(folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    run = RunFolder(folder)
    metrics = read_json(run.metrics)
    if not metrics or not run.equity.is_file():
        raise RunError(
            "no-results",
            f"'{folder}' holds no results to compare",
            needed="metrics.json and equity.parquet, as train and evaluate write them",
            help=[f"regime-gym evaluate run={folder}"],
        )
    return metrics, pd.read_parquet(run.equity, columns=["timestamp", "agent_equity", "agent_exposure", "part"])


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart; equal paths are numbered."""
    for n in range(1, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-n:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [f"{folder} ({k + 1})" for k, folder in enumerate(folders)]


def _common_part(frames: Sequence[pd.DataFrame], names: Sequence[str]) -> str:
    """The part that all have, `test` before others."""
    parts = [list(dict.fromkeys(frame["part"])) for frame in frames]
    common = [part for part in parts[0] if all(part in others for others in parts)]
    if not common:
        found = "; ".join(f"{name}: {', '.join(own)}" for name, own in zip(names, parts, strict=True))
        raise DataError("no-common-part", "the runs were judged on different parts", found=found)
    return "test" if "test" in common else common[-1]


def _on_common_bars(frames: Sequence[pd.DataFrame], names: Sequence[str]) -> list[pd.DataFrame]:
    """The marks that all have, by time."""
    common = frames[0]["timestamp"]
    for frame in frames[1:]:
        common = common[common.isin(frame["timestamp"])]
    if len(common) < 20:
        spans = [f"{f['timestamp'].iloc[0]:%Y-%m-%d} … {f['timestamp'].iloc[-1]:%Y-%m-%d}" for f in frames]
        raise DataError(
            "no-common-bars",
            f"the runs have {len(common)} bars in common",
            needed="20, the same data and part",
            found="; ".join(f"{name}: {span}" for name, span in zip(names, spans, strict=True)),
        )
    return [frame[frame["timestamp"].isin(common)].reset_index(drop=True) for frame in frames]


def _returns(table: pd.DataFrame) -> np.ndarray:
    return simple_returns(table["agent_equity"].to_numpy())


def _paths(
    tables: Sequence[pd.DataFrame], names: Sequence[str], part: str, random_seed: int, level: float
) -> tuple[float, list[PathDifference]]:
    """Length in calendar years, and each run against the first one on the common bars."""
    logs = [np.log(np.maximum(1.0 + _returns(table), 1e-3)) for table in tables]
    n = len(logs[0])
    settings = IntervalSettings(level=level)
    trades = min(int((table["agent_exposure"].diff().abs() > 0.01).sum()) for table in tables)
    block = settings.block_length(n, trades)
    found = []
    for name, own in list(zip(names, logs, strict=True))[1:]:
        _, (less,) = log_return_intervals(np.stack([own, logs[0]]), trades, settings, generator(random_seed, name))
        p_value = path_p(own - logs[0], block, generator(random_seed, f"path-{name}"))
        found.append(PathDifference(name, names[0], part, n, less, p_value, np.nan))
    adjusted = holm(np.array([path.p_value for path in found]))
    stamps = tables[0]["timestamp"]
    years = (stamps.iloc[-1] - stamps.iloc[0]).value / CALENDAR_NS
    return years, [PathDifference(**{**vars(p), "p_holm": float(q)}) for p, q in zip(found, adjusted, strict=True)]


def _scenario_scores(folders: Sequence[Path], names: Sequence[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Log return (seeds, scenarios) by run, and the scenarios all of them have; empty where one has none."""
    contents = [_scenarios_of(folder) for folder in folders]
    if any(not content for content in contents):
        return {}, []
    by_name = [{scenario["name"]: scenario for scenario in content["scenarios"]} for content in contents]
    common = [name for name in by_name[0] if all(name in found for found in by_name)]
    alike = [name for name in common if len({_identity(found[name]) for found in by_name}) == 1]
    if not alike:
        return {}, []
    scores = {}
    for name, found in zip(names, by_name, strict=True):
        columns = [[float(run["log_return"]) for run in found[scenario]["per_seed"]] for scenario in alike]
        scores[name] = np.array(columns).T
    return scores, alike


def _identity(scenario: dict[str, Any]) -> tuple:
    """What makes two scenarios of one name the same: their bars and costs."""
    return tuple(scenario.get(key) for key in ("symbol", "start_ms", "end_ms", "n_bars", "cost_multiple", "delay"))


def _scenarios_of(folder: Path) -> dict[str, Any]:
    if (folder / SCENARIOS).is_file():
        return read_json(folder / SCENARIOS)
    found = sorted((folder / "evaluations").glob(f"**/{SCENARIOS}"), key=lambda path: path.stat().st_mtime_ns)
    return read_json(found[-1]) if found else {}


def _differences(scores: dict[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """By run but the first, mean over seeds minus that of the first, per scenario."""
    first = scores[names[0]].mean(axis=0)
    return {name: scores[name].mean(axis=0) - first for name in names[1:]}
