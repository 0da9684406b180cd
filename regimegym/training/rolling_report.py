"""The report of a rolling training: walk_forward.json, .md and .html beside the one account's equity."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from regimegym.common.plain import plain
from regimegym.common.seeding import generator
from regimegym.evaluate.intervals import Interval, log_return_intervals
from regimegym.evaluate.report.markdown import markdown_of
from regimegym.evaluate.report.page import write_page
from regimegym.evaluate.report.walked import render_walk_forward
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.evaluate.trajectory import downsample
from regimegym.evaluate.walk_forward import WalkedForward
from regimegym.training.run_folder import RunFolder

NS_PER_MS = 1_000_000
MOVED = 0.01  # change of exposure that counts as a trade
PAGE = "walk_forward.html"
DIGITS = 6  # of the drawn equity


def write_rolling_report(
    folder: RunFolder,
    title: str,
    agent: WalkedForward,
    held: WalkedForward,
    results: Sequence[Mapping[str, Any]],
    intervals: tuple[Interval, Interval],
    evaluation: EvaluationSettings,
    random_seed: int,
) -> None:
    """Write what the page, its text and programs read. Raises MachineError.

    Args:
        results: of every window, in order. intervals: of the log return, and of that above buy and hold.
    """
    content = plain(
        {
            "title": title,
            "run": str(folder.path),
            "windows": list(results),
            "folds": _joined(report_folds(agent, held, evaluation, random_seed), results),
            "log_return": intervals[0]._asdict(),
            "log_return_above_buy_and_hold": intervals[1]._asdict(),
            "metrics": {"agent": agent.metrics, "buy_and_hold": held.metrics},
            "series": _series(agent, held, evaluation.chart_points),
        }
    )
    folder.write_json("walk_forward.json", content)
    page = render_walk_forward(content)
    folder.write_text("walk_forward.md", markdown_of(page))
    write_page(page, folder.path / PAGE)


def _joined(folds: Sequence[dict[str, Any]], results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The folds with what is known of their windows: model, validation, drift of weights and decisions, reason."""
    names = ("name", "model", "validation", "weights_moved", "decisions_moved", "reason")
    return [fold | {name: results[fold["fold"] - 1][name] for name in names} for fold in folds]


def report_folds(
    agent: WalkedForward, held: WalkedForward, evaluation: EvaluationSettings, random_seed: int
) -> list[dict[str, Any]]:
    """Every fold for the report: its dates (UTC ms), bars, log returns, and the paired difference with its interval."""
    frame, found = agent.frame, []
    stamps = _stamps(frame)
    for fold in frame["fold"].unique().tolist():
        marks = _marks(frame, fold)
        own, other = (np.diff(np.log(one.frame["agent_equity"].to_numpy()[marks])) for one in (agent, held))
        n_trades = int((np.abs(np.diff(frame["agent_exposure"].to_numpy()[marks])) > MOVED).sum())
        draws = generator(random_seed, f"fold-{fold}")
        _, (above,) = log_return_intervals(np.stack([own, other]), n_trades, evaluation.intervals, draws)
        found.append(
            {
                "fold": int(fold),
                "start_ms": int(stamps[marks][0]),
                "end_ms": int(stamps[marks][-1]),
                "n_bars": len(own),
                "agent": float(own.sum()),
                "buy_and_hold": float(other.sum()),
                "difference": above.value,
                "low": above.low,
                "high": above.high,
            }
        )
    return found


def _marks(frame: pd.DataFrame, fold: int) -> slice:
    """Rows of a fold and the first one of the next, or the last mark."""
    rows = np.flatnonzero(frame["fold"].to_numpy() == fold)
    return slice(int(rows[0]), min(int(rows[-1]) + 1, len(frame) - 1) + 1)


def _stamps(frame: pd.DataFrame) -> np.ndarray:
    return frame["timestamp"].astype("datetime64[ns, UTC]").astype("int64").to_numpy() // NS_PER_MS


def _series(agent: WalkedForward, held: WalkedForward, most: int) -> dict[str, Any]:
    """Equity of both as multiples of the start, thinned for drawing; the last mark is kept."""
    own, other = (found.frame["agent_equity"].to_numpy() for found in (agent, held))
    at = downsample([own, other], most)
    return {
        "t": _stamps(agent.frame)[at],
        "agent": (own[at] / own[0]).round(DIGITS),
        "buy_and_hold": (other[at] / other[0]).round(DIGITS),
    }
