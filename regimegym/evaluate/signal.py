"""Signal: what a model decides at the close of the newest bar."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from regimegym.common.plain import plain


@dataclass(frozen=True)
class Signal:
    """What a model decides at the close of the newest bar.

    Attributes:
        symbol, timeframe: of the bars.
        bar_ns, close_ns: start and close of the newest bar, UTC nanoseconds.
        close: its price.
        execution: when an order fills: `next_open` or `same_close`.
        action: name of the action: HOLD, SELL, BUY, or a target weight in words.
        target: target weight, position value / equity; None keeps the position.
        exposure: the position now, as a share of equity.
        order_units: signed units that the order buys (+) or sells (−) at the close's price; 0: nothing to do.
        order_share: the same as a share of equity.
        equity: of the account, money.
        scores: by name of the action, larger is better; None where the policy has none.
        regime: label of the newest bar by the model's own rule.
        regime_probabilities: by name, what the policy itself believes; the rule's where it has no opinion.
        confidence: calibrated probability that the action pays; None without that layer.
        uncertainty: ≥ 0; None where the policy says none.
        followed_since_ns: first bar of the account, UTC nanoseconds; None for a position of the caller's.
        n_bars: bars it has lived through.
    """

    symbol: str
    timeframe: str
    bar_ns: int
    close_ns: int
    close: float
    execution: str
    action: str
    target: float | None
    exposure: float
    order_units: float
    order_share: float
    equity: float
    scores: dict[str, float] | None
    regime: str
    regime_probabilities: dict[str, float]
    confidence: float | None
    uncertainty: float | None
    followed_since_ns: int | None
    n_bars: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; times as ISO 8601 in UTC (`bar_time`, …) beside the nanoseconds."""
        times = {
            f"{name.removesuffix('_ns')}_time": None if value is None else pd.Timestamp(value, tz="UTC").isoformat()
            for name, value in asdict(self).items()
            if name.endswith("_ns")
        }
        return plain(asdict(self) | times)
