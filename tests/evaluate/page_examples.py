"""Content of the pages beside the report: a model at work, a walk-forward, runs side by side."""

import numpy as np

from regimegym.evaluate.comparison import ComparedRun, comparison_content
from regimegym.evaluate.intervals import IntervalSettings
from regimegym.evaluate.metrics import METRICS

DAY = 86_400_000


def health(n_looks=3, alerts=(), **changes):
    def figures(k):
        return {
            "sharpe_ratio": {"now": 1.0 - 0.2 * k, "expected": 1.0, "limit": 0.2},
            "max_drawdown": {"now": None if k == 1 else 0.1, "expected": 0.1, "limit": 0.2},
        }

    metrics = [
        {"key": key, "label": label, "unit": unit, "alarms": False, **figures(n_looks - 1)[key]}
        for key, label, unit in (("sharpe_ratio", "Sharpe ratio", "ratio"), ("max_drawdown", "Drawdown", "percent"))
    ]
    return {
        "run": "runs/<one>",
        "reference": "validation",
        "time_ms": 20_000 * DAY,
        "start_ms": 19_000 * DAY,
        "end_ms": 19_100 * DAY,
        "n_bars": 100,
        "alerts": list(alerts),
        "metrics": metrics,
        "drifts": [
            {"name": "rsi", "effect": 0.4, "threshold": 0.1, "drifted": True},
            {"name": "calm", "effect": 0.01, "threshold": 0.1, "drifted": False},
        ],
        "looks": [{"time_ms": (20_000 + k) * DAY, "metrics": figures(k)} for k in range(n_looks)],
        **changes,
    }


def walked(n_folds=4, own=(0.1, -0.2, 0.4), above=(-0.3, -0.5, -0.1)):
    rng = np.random.default_rng(0)
    n = 100 * n_folds
    equity, held = (np.exp(np.cumsum(np.concatenate([[0.0], rng.normal(0, 0.01, n)]))).tolist() for _ in range(2))
    folds = [
        {
            "fold": k + 1, "name": f"fold {k + 1}", "model": f"fold {1 if k == 1 else k + 1}",
            "start_ms": (15_000 + 100 * k) * DAY, "end_ms": (15_100 + 100 * k) * DAY, "n_bars": 100,
            "validation": None if k == 2 else 0.1, "agent": 0.02 * k, "buy_and_hold": 0.03,
            "difference": 0.02 * k - 0.03, "low": 0.02 * k - 0.05, "high": 0.02 * k - 0.01,
            "weights_moved": None if k == 0 else 0.4, "decisions_moved": None if k == 0 else 0.7,
            "reason": "rsi <b> drifted" if k == 2 else "",
        }
        for k in range(n_folds)
    ]  # fmt: skip
    names = ("value", "low", "high")
    return {
        "title": "Agent on X, window after window",
        "run": "runs/<walk>",
        "folds": folds,
        "log_return": dict(zip(names, own, strict=True)),
        "log_return_above_buy_and_hold": dict(zip(names, above, strict=True)),
        "metrics": {"agent": dict.fromkeys(METRICS, 1.0), "buy_and_hold": dict.fromkeys(METRICS)},
        "series": {"t": [(15_000 + k) * DAY for k in range(n + 1)], "agent": equity, "buy_and_hold": held},
    }


def compared(n=300):
    rng = np.random.default_rng(1)
    held = np.exp(np.cumsum(np.concatenate([[0.0], rng.normal(0, 0.01, n)])))
    times = np.arange(n + 1) * DAY * 1_000_000
    runs = [
        ComparedRun(f"run {k}", "agent", k, times, np.exp(np.cumsum(np.concatenate([[0.0], rng.normal(0, 0.01, n)]))),
                    held, dict.fromkeys(METRICS, 1.0), 50, "Not distinguishable", None)
        for k in range(3)
    ]  # fmt: skip
    return comparison_content(runs, "test", "f", rng, IntervalSettings(n_resamples=100))
