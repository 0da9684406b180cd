"""The numbers that `report.js` draws, as one JSON block that cannot break out of its script."""

import json
import math
from typing import Any

from regimegym.evaluate.report.numbers import is_defined
from regimegym.evaluate.report.reading import Report, agent_of, buy_and_hold_of, by_regime_of, display_name

DAY_MS = 86_400_000

# Blue is the agent and orange buy and hold everywhere; the others are grey and differ in dashes.
LINES: dict[str, dict[str, Any]] = {
    "agent": {"colour": "--agent", "text": "--agent", "dash": "", "width": 2.4},
    "buy_and_hold": {"colour": "--hold-line", "text": "--hold", "dash": "", "width": 1.8},
    "ma_cross": {"colour": "--other", "text": "--other", "dash": "6 4", "width": 1.5},
    "random": {"colour": "--other", "text": "--other", "dash": "1.5 3.5", "width": 1.7},
    "flat": {"colour": "--other-faint", "text": "--other", "dash": "9 3 2 3", "width": 1.3},
}
SPARE_DASHES = ("3 3", "10 5", "2 2 6 2")


def chart_data(report: Report) -> dict[str, Any]:
    """Everything the charts need; undefined numbers are None.

    Series lie on `t` (UTC ms). Inner points are rounded to six digits, the last is exact, so
    that a chart ends on the value of its table.
    """
    agent, baseline = agent_of(report), buy_and_hold_of(report)
    times = report["series_t"]
    return {
        "t": times,
        "intraday": _is_intraday(report),
        "policies": [_policy(policy, i) for i, policy in enumerate(report["policies"])],
        "drawdown": {
            "agent": _series(agent["drawdown"]),
            "buy_and_hold": _series(baseline["drawdown"]),
        },
        "exposure": _series(agent["exposure"]),
        "close": _series(report["price"]["close"]),
        "regimes": report["regimes"],
        "fills": {
            "shown": [
                [fill["t"], fill["side"], _short(fill["price"]), fill["kind"]] for fill in report["fills"]["shown"]
            ],
            "total": report["fills"]["total"],
        },
        "costs": _costs(report["cost_curve"]),
        "profile": _profile(report),
        "histories": _histories(report),
        "values": _values(report),
        "reliability": _reliability(report),
    }


def _policy(policy: Report, index: int) -> dict[str, Any]:
    spare = {**LINES["ma_cross"], "dash": SPARE_DASHES[index % len(SPARE_DASHES)]}
    band = policy.get("band")
    return {
        "key": policy["key"],
        "name": display_name(policy),
        "may_leave": policy["kind"] == "ceiling",
        "line": LINES.get(policy["key"], spare),
        "equity": _series(policy["equity"]),
        "band": band and {"low": _series(band["low"]), "high": _series(band["high"]), "label": band["label"]},
    }


def _costs(curve: Report) -> dict[str, Any]:
    return {
        "one_way": curve["one_way"],
        "multiples": curve["multiples"],
        "agent": [_clean(value) for value in curve["agent_total_return"]],
        "buy_and_hold": [_clean(value) for value in curve["buy_and_hold_total_return"]],
        "break_even_flat": _clean(curve["break_even_flat"]),
        "break_even_buy_and_hold": _clean(curve["break_even_buy_and_hold"]),
    }


def _profile(report: Report) -> dict[str, Any] | None:
    scenarios = (report.get("statistics") or {}).get("scenarios")
    return scenarios and scenarios["profile"]


def _histories(report: Report) -> dict[str, Any] | None:
    """Quantiles of the equity over the paths, multiples of the start, by the name that the chart calls them."""
    content = report.get("monte_carlo")
    if not content:
        return None
    rows = dict(zip(content["tail_levels"], content["equity_band"], strict=True))
    names = {0.05: "low", 0.25: "quarter", 0.5: "median", 0.75: "three_quarters", 0.95: "high"}
    return {"bars": content["equity_band_bars"], **{name: _series(rows[level]) for level, name in names.items()}}


def _values(report: Report) -> list[dict[str, Any]] | None:
    actions = (report.get("calibration") or {}).get("actions")
    return actions and [{name: one[name] for name in ("label", "predicted", "realised")} for one in actions]


def _reliability(report: Report) -> dict[str, Any] | None:
    calibration = report.get("calibration") or {}
    if not calibration.get("regimes"):
        return None
    found = by_regime_of(calibration)
    return {name: {"stated": one["stated"], "happened": one["happened"]} for name, one in found.items()}


def _series(values: list[float | None]) -> list[float | None]:
    return [*map(_short, values[:-1]), *map(_clean, values[-1:])]


def _short(value: float | None) -> float | None:
    return float(f"{value:.6g}") if is_defined(value) else None


def _clean(value: float | None) -> float | None:
    return value if is_defined(value) else None


def _is_intraday(report: Report) -> bool:
    facts = report["facts"]
    bars = max(1, facts["n_decisions"])
    return (facts["end_ms"] - facts["start_ms"]) / bars < DAY_MS * 0.9


def embed_json(value: Any) -> str:
    """`value` as JSON that may stand inside <script>: no <, >, & and no line separators.

    NaN and ±∞, which JSON does not know, become null.
    """
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
