"""A realistic report.json by numpy: an hourly half year that the agent trades a little too often."""

from typing import Any

import numpy as np

HOUR = 3_600_000
START = 1_672_531_200_000  # 1 Jan 2023
LABELS = ("Uptrend", "Downtrend", "Plateau", "Oscillating")
STAMPS = (
    "Look-ahead found",
    "Worse than doing nothing",
    "Not distinguishable",
    "Promising, not proven",
    "Better than the baselines",
)
POLICIES = {
    "agent": ("EnhancedDQN", ""),
    "buy_and_hold": ("Buy and hold", ""),
    "ma_cross": ("Moving-average cross", "20/100 bars"),
    "random": ("Random", "median of 21 random traders"),
    "flat": ("Flat", ""),
}
META = (
    ("total_return", "Total return", "percent", "high", "return"),
    ("log_return", "Log return", "ratio", "high", "return"),
    ("cagr", "Yearly growth", "percent", "high", "return"),
    ("final_value", "Final value", "money", "high", "return"),
    ("sharpe_ratio", "Sharpe ratio", "ratio", "high", "risk"),
    ("sortino_ratio", "Sortino ratio", "ratio", "high", "risk"),
    ("max_drawdown", "Worst drawdown", "percent", "low", "risk"),
    ("calmar", "Calmar ratio", "ratio", "high", "risk"),
    ("cvar_5", "Mean of the worst 5 % of bars", "percent", "high", "risk"),
    ("trades", "Trades", "count", None, "trading"),
    ("turnover", "Turnover a year", "ratio", "low", "trading"),
    ("win_rate", "Winning trades", "percent", "high", "trading"),
    ("profit_factor", "Profit factor", "ratio", "high", "trading"),
    ("average_bars", "Bars per trade", "bars", None, "trading"),
)


def example_report(n: int = 2_000, random_seed: int = 4) -> dict[str, Any]:
    """A whole report with `n` points per series, one point every two hours."""
    generator = np.random.default_rng(random_seed)
    spans = _spans(generator, n)
    codes = np.repeat([code for _, _, code in spans], [stop - start for start, stop, _ in spans])
    drift = np.array([0.0011, -0.0012, 0.0, 0.0001])[codes]
    spread = np.array([0.006, 0.008, 0.003, 0.009])[codes]
    market = drift + spread * generator.standard_normal(n)
    market[0] = 0.0
    exposures = {
        "agent": _held((codes == 0) | ((codes == 3) & (generator.random(n) < 0.4)), 10),
        "buy_and_hold": np.ones(n),
        "ma_cross": _held(np.convolve(market, np.ones(60), "full")[:n] > 0, 12),
        "random": _held(generator.random(n) < 0.5, 20),
        "flat": np.zeros(n),
    }
    for exposure in exposures.values():
        exposure[0] = 0.0
    policies = [_policy(key, exposure, market, n) for key, exposure in exposures.items()]
    times = (START + 2 * HOUR * np.arange(1, n + 1)).tolist()
    close = 16_500 * np.exp(np.cumsum(market))
    return _assemble(policies, times, close, spans, codes, market, exposures)


def _spans(generator: np.random.Generator, n: int) -> list[tuple[int, int, int]]:
    spans, start, code = [], 0, 3
    while start < n:
        stop = min(n, start + int(generator.geometric(1 / 45)))
        spans.append((start, stop, code))
        start, code = stop, int(generator.choice([c for c in range(4) if c != code]))
    return spans


def _held(wanted: np.ndarray, bars: int) -> np.ndarray:
    return np.repeat(wanted[::bars], bars)[: len(wanted)].astype(float)


def _policy(key: str, exposure: np.ndarray, market: np.ndarray, n: int) -> dict[str, Any]:
    turned = np.abs(np.diff(exposure, prepend=0.0))
    log_returns = np.concatenate([[0.0], exposure[:-1] * market[1:]]) - 0.0015 * turned
    equity = np.exp(np.cumsum(log_returns))
    equity[0] = 1.0
    drawdown = equity / np.maximum.accumulate(equity) - 1
    label, note = POLICIES[key]
    moved = key != "flat"
    total, trades = float(equity[-1] - 1), int((turned > 0).sum())
    sharpe = float(np.sqrt(4383) * log_returns.mean() / log_returns.std()) if moved else None
    metrics = {
        "total_return": total,
        "log_return": float(np.log(equity[-1])),
        "cagr": float(equity[-1] ** 2.19 - 1),
        "final_value": 10_000 * float(equity[-1]),
        "sharpe_ratio": sharpe,
        "sortino_ratio": sharpe * 1.35 if moved else None,
        "max_drawdown": float(-drawdown.min()),
        "calmar": total * 2.2 / float(-drawdown.min()) if moved else None,
        "cvar_5": float(np.sort(log_returns)[: n // 20].mean()) if moved else None,
        "trades": trades,
        "turnover": trades * 2.2,
        "win_rate": 0.46 if trades > 1 else None,
        "profit_factor": 1.05 if trades > 1 else float("nan"),
        "average_bars": 21.34 if trades > 1 else None,
    }
    width = 0.28 * float(moved)
    bounds = {
        "log_return": (metrics["log_return"] - width, metrics["log_return"] + width),
        "total_return": (
            np.exp(metrics["log_return"] - width) - 1,
            np.exp(metrics["log_return"] + width) - 1,
        ),
        "annual_log_return": (None, None),
        "sharpe_ratio": (sharpe - 2.7, sharpe + 2.7) if sharpe is not None else (None, None),
    }
    grown = np.sqrt(np.arange(n) / n)
    return {
        "key": key,
        "label": label,
        "kind": key if key in ("agent", "buy_and_hold") else "baseline",
        "note": note,
        "metrics": metrics,
        "intervals": {name: {"low": low, "high": high} for name, (low, high) in bounds.items()},
        "equity": equity.tolist(),
        "drawdown": drawdown.tolist(),
        "exposure": exposure.tolist(),
        "band": {
            "low": np.exp(-0.45 * grown - 0.1 * np.arange(n) / n).tolist(),
            "high": np.exp(0.28 * grown - 0.1 * np.arange(n) / n).tolist(),
            "label": "5–95 % of 21 random traders",
        }
        if key == "random"
        else None,
    }


def _fills(times: list[int], close: np.ndarray, exposure: np.ndarray) -> dict[str, Any]:
    steps = np.flatnonzero(np.diff(exposure)) + 1
    shown = [
        {
            "t": times[i],
            "side": 1 if exposure[i] > exposure[i - 1] else -1,
            "price": float(close[i]),
            "units": 0.5,
            "kind": "policy",
        }
        for i in steps
    ]
    return {"shown": shown, "total": len(shown)}


def _per_regime(policies: list[dict], codes: np.ndarray, exposures: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    rows = []
    for code, label in enumerate(LABELS):
        inside = codes == code
        row: dict[str, Any] = {"code": code, "key": label.upper(), "label": label, "letter": label[0]}
        row |= {"n": int(inside.sum()) * 2, "share": float(inside.mean())}
        for policy in policies[:2]:
            log_returns = np.diff(np.log(policy["equity"]), prepend=0.0)[inside]
            row[policy["key"]] = {
                "log_return": float(log_returns.sum()),
                "mean_exposure": float(exposures[policy["key"]][inside].mean()),
                "sharpe_ratio": float(66 * log_returns.mean() / log_returns.std()),
                "trades": int((np.diff(exposures[policy["key"]], prepend=0.0)[inside] != 0).sum()),
            }
        gap = row["agent"]["log_return"] - row["buy_and_hold"]["log_return"]
        rows.append(row | {"difference": {"log_return": gap}})
    return rows


def _cost_curve(policies: list[dict]) -> dict[str, Any]:
    multiples = [0, 0.5, 1, 2, 3, 4, 5]
    own, hold = policies[0]["metrics"], policies[1]["metrics"]
    lost = 0.0015 * own["trades"]
    curve = [own["log_return"] + lost * (1 - m) for m in multiples]
    held = [hold["log_return"] + 0.0015 * (1 - m) for m in multiples]
    crossing = 1 + own["log_return"] / lost
    return {
        "one_way": 0.0015,
        "multiples": multiples,
        "agent_log_return": curve,
        "buy_and_hold_log_return": held,
        "agent_total_return": np.expm1(curve).tolist(),
        "buy_and_hold_total_return": np.expm1(held).tolist(),
        "break_even_flat": crossing if 0 <= crossing <= 5 else None,
        "break_even_flat_words": f"{crossing:.1f} × the assumed costs",
        "break_even_buy_and_hold": None,
        "break_even_buy_and_hold_words": "below buy and hold even without costs",
    }


def _key_figures(policies: list[dict]) -> list[dict[str, Any]]:
    own, hold = policies[0], policies[1]
    rows = []
    for key, label, unit, n, n_label, note in (
        ("total_return", "Total return", "percent", 4319, "bars", ""),
        ("sharpe_ratio", "Sharpe ratio", "ratio", 0.4567, "years", "standard error about 1.5"),
        ("max_drawdown", "Worst drawdown", "percent", 4319, "bars", ""),
    ):
        bounds = own["intervals"].get(key, {"low": None, "high": None})
        rows.append(
            {
                "key": key,
                "label": label,
                "unit": unit,
                "better": "high",
                "agent": own["metrics"][key],
                **bounds,
                "baseline": hold["metrics"][key],
                "baseline_label": "buy and hold",
                "n": n,
                "n_label": n_label,
                "line": None if key == "max_drawdown" else 0.0,
                "note": note,
                "includes_line": None,
            }
        )
    gap = own["metrics"]["log_return"] - hold["metrics"]["log_return"]
    excess = {
        "key": "excess_log_return",
        "label": "Log return over buy and hold",
        "unit": "log",
        "agent": gap,
    }
    excess |= {"low": gap - 0.3, "high": gap + 0.3, "baseline": 0.0, "baseline_label": "buy and hold"}
    return [*rows, {**rows[0], **excess, "note": "paired on the same bars"}]


def _facts(n_bars: int, times: list[int]) -> dict[str, Any]:
    return {
        "symbol": "BTCUSD",
        "timeframe": "1h",
        "source": "BTCUSD_bitstamp_1h.parquet",
        "data_fingerprint": "0123456789abcdef",
        "start_ms": times[0],
        "end_ms": times[-1],
        "n_bars": n_bars,
        "n_decisions": n_bars - 1,
        "periods_per_year": 8766.0,
        "years": n_bars / 8766,
        "fills": "next_open",
        "fills_words": "an order decided at a close fills at the next bar's open",
        "costs": {
            "fee_rate": 0.001,
            "half_spread": 0.0002,
            "slippage": 0.0003,
            "fixed_fee": 0.0,
            "borrow_rate": 0.0,
            "one_way": 0.0015,
            "round_trip": 0.003,
        },
        "costs_words": "0.15 % per trade: fee 0.10 %, half spread 0.02 %, slippage 0.03 %",
        "agent": "EnhancedDQN",
        "random_seeds": [1],
        "run_id": "2025-11-20/19-30-12-train",
        "run_folder": "runs/2025-11-20/19-30-12-train",
        "test_looks_before": 0,
        "trials_counted": 1,
        "created_ms": 1_763_666_000_000,
        "initial_cash": 10_000.0,
        "sizing": "post_cost",
        "rebalance": "on_change",
        "action_mode": "trade",
        "allow_short": False,
    }


def _verdict() -> dict[str, Any]:
    checks = (
        ("above_flat", "the interval of the log return lies above 0", "no", 0.031, -0.128, 0.187, 0.0, "log"),
        (
            "above_hold",
            "the interval of the log return over buy and hold lies above 0",
            "no",
            0.046,
            -0.21,
            0.11,
            0.0,
            "log",
        ),
        ("above_rule", "more log return than the best simple rule", "yes", 0.12, None, None, 0.0, "log"),
        ("break_even", "break-even at 2 × the assumed costs or more", "no", 1.3, None, None, 2.0, "multiple"),
        ("deflated", "deflated Sharpe ratio of at least 0.95", "unknown", None, None, None, 0.95, "ratio"),
        ("look_ahead", "no look-ahead found in any feature", "unknown", None, None, None, 0.0, "count"),
    )
    names = ("key", "text", "state", "value", "low", "high", "threshold", "unit")
    return {
        "stamp": "Not distinguishable",
        "stamp_key": "not_distinguishable",
        "stamps": list(STAMPS),
        "sentences": [
            {
                "question": "How much?",
                "text": "The agent ended at +3.1 % after costs (95 % interval −12.0 % to +20.5 %); "
                "buy and hold ended at +8.0 % (−31.0 % to +66.2 %).",
            },
            {
                "question": "Is it skill?",
                "text": "Its log return is 0.046 below buy and hold (−0.21 to +0.11), so skill and luck "
                "cannot be told apart on this one market.",
            },
            {
                "question": "What speaks against it?",
                "text": "One seed and one market; nothing is left above 1.3 × the assumed costs; the Sharpe "
                "ratio fell from 0.90 on validation to 0.42 on test.",
            },
        ],
        "checks": [dict(zip(names, row, strict=True)) | {"ok": None} for row in checks],
    }


def _assemble(
    policies: list[dict],
    times: list[int],
    close: np.ndarray,
    spans: list[tuple[int, int, int]],
    codes: np.ndarray,
    market: np.ndarray,
    exposures: dict[str, np.ndarray],
) -> dict[str, Any]:
    own, hold = policies[0]["metrics"], policies[1]["metrics"]
    gap = own["log_return"] - hold["log_return"]
    edges = [START, *times]
    codes_table = [
        {"code": code, "key": label.upper(), "label": label, "letter": label[0]} for code, label in enumerate(LABELS)
    ]
    return {
        "format_version": 1,
        "title": "EnhancedDQN on BTCUSD 1h",
        "part": "test",
        "facts": _facts(2 * len(times), times),
        "verdict": _verdict(),
        "key_figures": _key_figures(policies),
        "metrics_meta": [dict(zip(("key", "label", "unit", "better", "group"), row, strict=True)) for row in META],
        "policies": policies,
        "differences": [
            {
                "key": f"agent_minus_buy_and_hold{ending}",
                "label": "Agent − buy and hold",
                "metric": metric,
                "value": value,
                "low": value - width,
                "high": value + width,
                "includes_zero": bool(abs(value) <= width),
            }
            for ending, metric, value, width in (
                ("", "log_return", gap, 0.3),
                ("_sharpe", "sharpe_ratio", own["sharpe_ratio"] - hold["sharpe_ratio"], 1.6),
            )
        ],
        "intervals": {
            "level": 0.95,
            "method": "stationary block bootstrap (Politis and Romano)",
            "n_resamples": 2000,
            "block_length": 33.0,
            "n": 4319,
        },
        "series_t": times,
        "price": {"close": close.tolist()},
        "regimes": {
            "codes": [*codes_table, {"code": -1, "key": "UNKNOWN", "label": "Unknown", "letter": "–"}],
            "spans": [[edges[start], edges[stop], code] for start, stop, code in spans],
        },
        "fills": _fills(times, close, exposures["agent"]),
        "per_regime": _per_regime(policies, codes, exposures),
        "cost_curve": _cost_curve(policies),
        "costs_paid": {"agent": 1312.5, "agent_share_of_initial": 0.13125, "per_trade": 14.2},
        "closed_trades": {"n": 20, "open": 0, "win_rate": 0.46, "profit_factor": 1.05, "average_bars": 21.3},
        "shrinkage": {
            "validation_sharpe": own["sharpe_ratio"] + 0.8,
            "test_sharpe": own["sharpe_ratio"],
            "validation_log_return": own["log_return"] + 0.1,
            "test_log_return": own["log_return"],
        },
        "warnings": [
            "one seed, one market: the interval of the difference to buy and hold includes zero",
            "the validation block holds fewer than 30 closed trades",
        ],
        "run_card": {
            "data": {"source": "BTCUSD_bitstamp_1h.parquet", "bars": 34_344, "gaps": 2},
            "model": {
                "algorithm": "EnhancedDQN",
                "parameters": 86_213,
                "features": ["log_return_1", "rsi_14"],
            },
            "settings": {"account": {"fee_rate": 0.001, "sizing": "post_cost"}, "episode": {"window": 30}},
            "versions": {"python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6"},
            "seeds": {"random_seed": 1},
        },
        "commands": [
            {
                "label": "Train again",
                "command": "regime-gym train data=file data.path=BTCUSD_bitstamp_1h.parquet random_seed=1",
            },
            {"label": "Evaluate again", "command": "regime-gym evaluate run=runs/2025-11-20/19-30-12-train"},
        ],
    }
