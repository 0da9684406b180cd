"""Performance metrics (DEFINITIONS §15) as free functions, and the one table that describes them.

`equity` is (n + 1,) float64 money, marks V_0 … V_n of n bars; `returns` is (n,) simple net returns
per bar as fractions. A value that is not defined (zero variance, no trade) is NaN, never 0.
"""

import math
from typing import Literal, NamedTuple

import numpy as np

from regimegym.evaluate.trajectory import Trajectory

MIN_DEVIATION = 1e-12  # return fraction per bar; below it a deviation is float round-off, not risk
RETURN_FLOOR = 1e-3  # share of equity left after one bar, least value a log return is taken of (§6)

NAN = float("nan")


class Metric(NamedTuple):
    """How one metric is shown and compared; fractions are shown as percent."""

    label: str
    unit: Literal["percent", "ratio", "count", "money", "bars"]
    better: Literal["high", "low"] | None
    group: Literal["return", "risk", "trading"]


METRICS: dict[str, Metric] = {
    "final_value": Metric("Final value", "money", "high", "return"),
    "total_return": Metric("Total return", "percent", "high", "return"),
    "log_return": Metric("Log return", "ratio", "high", "return"),
    "annual_log_return": Metric("Log return per year", "ratio", "high", "return"),
    "cagr": Metric("Growth per year", "percent", "high", "return"),
    "sharpe_ratio": Metric("Sharpe ratio", "ratio", "high", "risk"),
    "sharpe_standard_error": Metric("Standard error of Sharpe", "ratio", None, "risk"),
    "sortino_ratio": Metric("Sortino ratio", "ratio", "high", "risk"),
    "calmar": Metric("Calmar ratio", "ratio", "high", "risk"),
    "max_drawdown": Metric("Largest drawdown", "percent", "low", "risk"),
    "volatility": Metric("Volatility per year", "percent", None, "risk"),
    "cvar_5": Metric("Mean of the worst 5 % of bars", "percent", "high", "risk"),
    "tail_ratio": Metric("Tail ratio", "ratio", "high", "risk"),
    "trades": Metric("Trades", "count", None, "trading"),
    "closed_trades": Metric("Closed trades", "count", None, "trading"),
    "open_trades": Metric("Open at the end", "count", None, "trading"),
    "win_rate": Metric("Win rate", "percent", "high", "trading"),
    "profit_factor": Metric("Profit factor", "ratio", "high", "trading"),
    "average_bars_held": Metric("Bars held per closed trade", "bars", None, "trading"),
    "turnover": Metric("Turnover per year", "ratio", "low", "trading"),
    "costs_paid": Metric("Costs paid", "money", "low", "trading"),
    "mean_exposure": Metric("Mean exposure", "percent", None, "trading"),
    "mean_exposure_change": Metric("Mean change of exposure per bar", "percent", None, "trading"),
}


def simple_returns(equity: np.ndarray) -> np.ndarray:
    """r_t = V_t / V_tm1 − 1, (n,); 0 after the equity has fallen to 0 or below (it is frozen)."""
    before, after = equity[:-1], equity[1:]
    alive = before > 0
    return np.where(alive, after / np.where(alive, before, 1.0) - 1.0, 0.0)


def total_return(equity: np.ndarray) -> float:
    """V_T / V_0 − 1, a fraction net of costs."""
    return float(equity[-1] / equity[0] - 1.0)


def log_return(equity: np.ndarray) -> float:
    """ln(V_T / V_0), net of costs; a bar that leaves less than 1e-3 of the equity counts as 1e-3."""
    ratios = simple_returns(equity) + 1.0
    if len(ratios) == 0:
        return 0.0
    if ratios.min() > RETURN_FLOOR:
        return math.log(equity[-1] / equity[0])
    return float(np.log(np.maximum(ratios, RETURN_FLOOR)).sum())


def annual_log_return(equity: np.ndarray, periods_per_year: float) -> float:
    """ln(V_T / V_0) · P/n; NaN without bars."""
    n = len(equity) - 1
    return log_return(equity) * periods_per_year / n if n else NAN


def cagr(equity: np.ndarray, periods_per_year: float) -> float:
    """(V_T / V_0)^(P/n) − 1, a fraction; −1 after a total loss, NaN without bars or beyond float range."""
    n = len(equity) - 1
    if n == 0:
        return NAN
    if equity[-1] <= 0:
        return -1.0
    growth = math.log(equity[-1] / equity[0]) * periods_per_year / n
    return math.expm1(growth) if growth < 700.0 else NAN


def volatility(returns: np.ndarray, periods_per_year: float) -> float:
    """√P · sd(r), ddof 1, a fraction per year; NaN with fewer than two bars."""
    return math.sqrt(periods_per_year) * float(np.std(returns, ddof=1)) if len(returns) > 1 else NAN


def sharpe_ratio(returns: np.ndarray, periods_per_year: float, risk_free: float = 0.0) -> float:
    """√P · mean(r − rf) / sd(r − rf), ddof 1; `risk_free` is a fraction per bar. NaN at zero variance."""
    if len(returns) < 2:
        return NAN
    deviation = float(np.std(returns, ddof=1))
    if not deviation > MIN_DEVIATION:
        return NAN
    return math.sqrt(periods_per_year) * float(np.mean(returns) - risk_free) / deviation


def sharpe_standard_error(n_returns: int, periods_per_year: float) -> float:
    """SE(Sharpe) ≈ 1/√years with years = n/P; NaN without bars."""
    return math.sqrt(periods_per_year / n_returns) if n_returns > 0 else NAN


def sortino_ratio(returns: np.ndarray, periods_per_year: float, minimum_return: float = 0.0) -> float:
    """√P · mean(r − mar) / √(mean(min(0, r − mar)²)) over all bars; NaN without any shortfall."""
    if len(returns) == 0:
        return NAN
    excess = returns - minimum_return
    downside = math.sqrt(float(np.mean(np.minimum(0.0, excess) ** 2)))
    if not downside > MIN_DEVIATION:
        return NAN
    return math.sqrt(periods_per_year) * float(np.mean(excess)) / downside


def drawdowns(equity: np.ndarray) -> np.ndarray:
    """(peak_t − V_t) / peak_t, (n + 1,), positive fractions; V_0 is the first peak."""
    peaks = np.maximum.accumulate(equity)
    return (peaks - equity) / peaks


def max_drawdown(equity: np.ndarray) -> float:
    """Largest (peak − V)/peak, a positive fraction, 0 for an equity that never falls."""
    return float(drawdowns(equity).max())


def calmar(equity: np.ndarray, periods_per_year: float) -> float:
    """cagr / max_drawdown; NaN without a drawdown."""
    worst = max_drawdown(equity)
    return cagr(equity, periods_per_year) / worst if worst > MIN_DEVIATION else NAN


def tail_ratio(returns: np.ndarray) -> float:
    """|q95| / |q5| of the returns; NaN when the 5 % quantile is 0."""
    if len(returns) == 0:
        return NAN
    low, high = np.quantile(returns, [0.05, 0.95])
    return float(abs(high) / abs(low)) if abs(low) > MIN_DEVIATION else NAN


def cvar_5(returns: np.ndarray) -> float:
    """Mean of the ⌈n/20⌉ worst returns, a fraction (negative for losses); NaN without bars."""
    if len(returns) == 0:
        return NAN
    worst = -(-len(returns) // 20)
    return float(np.partition(returns, worst - 1)[:worst].mean())


def turnover(notionals: np.ndarray, equity: np.ndarray, periods_per_year: float) -> float:
    """Σ traded notional / mean V · P/n; `notionals` (fills,) money at mid prices. NaN without bars."""
    n = len(equity) - 1
    mean_equity = float(np.mean(equity))
    if n == 0 or mean_equity <= 0:
        return NAN
    return float(np.sum(notionals)) / mean_equity * periods_per_year / n


def win_rate(profits: np.ndarray) -> float:
    """Share of closed trades (money, net) with profit > 0; NaN without closed trades."""
    return float(np.mean(profits > 0)) if len(profits) else NAN


def profit_factor(profits: np.ndarray) -> float:
    """Σ winning / |Σ losing| closed trades (money, net); NaN without a losing trade."""
    lost = float(-profits[profits < 0].sum())
    return float(profits[profits > 0].sum()) / lost if lost > 0 else NAN


def mean_exposure(exposure: np.ndarray) -> float:
    """Mean exposure held at the marks after the first, `exposure` (n + 1,); NaN without bars."""
    return float(np.mean(exposure[1:])) if len(exposure) > 1 else NAN


def mean_exposure_change(exposure: np.ndarray) -> float:
    """mean |x_t − x_tm1| over the bars, `exposure` (n + 1,); NaN without bars."""
    return float(np.mean(np.abs(np.diff(exposure)))) if len(exposure) > 1 else NAN


def all_metrics(trajectory: Trajectory) -> dict[str, float]:
    """Every metric of METRICS, in its order, over exactly the bars of `trajectory`."""
    equity, periods = trajectory.equity, trajectory.periods_per_year
    returns = simple_returns(equity)
    trades, fills = trajectory.trades, trajectory.fills
    values = {
        "final_value": float(equity[-1]),
        "total_return": total_return(equity),
        "log_return": log_return(equity),
        "annual_log_return": annual_log_return(equity, periods),
        "cagr": cagr(equity, periods),
        "sharpe_ratio": sharpe_ratio(returns, periods),
        "sharpe_standard_error": sharpe_standard_error(len(returns), periods),
        "sortino_ratio": sortino_ratio(returns, periods),
        "calmar": calmar(equity, periods),
        "max_drawdown": max_drawdown(equity),
        "volatility": volatility(returns, periods),
        "cvar_5": cvar_5(returns),
        "tail_ratio": tail_ratio(returns),
        "trades": float(trajectory.n_trades),
        "closed_trades": float(len(trades)),
        "open_trades": float(trajectory.open_trades),
        "win_rate": win_rate(trades["pnl"]),
        "profit_factor": profit_factor(trades["pnl"]),
        "average_bars_held": float(np.mean(trades["bars"])) if len(trades) else NAN,
        "turnover": turnover(fills["units"] * fills["mid"], equity, periods),
        "costs_paid": float(trajectory.costs.sum()),
        "mean_exposure": mean_exposure(trajectory.exposure),
        "mean_exposure_change": mean_exposure_change(trajectory.exposure),
    }
    return {name: values[name] for name in METRICS}
