"""ModelMonitor: are the results of a model at work still what was expected of it?

Only a change for the worse alarms: a higher Sharpe ratio, a smaller drawdown or a larger return never
does. A metric that is missing or not a number alarms too: a model that says nothing is not well.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from regimegym.common.checks import check_at_least, check_choice, check_not_negative
from regimegym.common.errors import ConfigError, nearest_name
from regimegym.evaluate.metrics import METRICS

Better = Literal["high", "low"]
Reason = Literal["worse", "missing", "below", "above", "trend", "drift"]
# Of metrics that are not those of an account (DEFINITIONS §15).
OTHERS: Mapping[str, Better] = {
    **dict.fromkeys(("accuracy", "precision", "recall", "f1", "auc", "r2", "coverage"), "high"),
    **dict.fromkeys(("mse", "mae", "mape", "log_loss", "ece", "var", "expected_shortfall"), "low"),
    **dict.fromkeys(("latency", "latency_p95"), "low"),
}


class Alert(NamedTuple):
    """One thing that is not as it should be.

    Attributes:
        key: what is debounced together: the metric, or the feature.
        reason: `worse` than expected, `missing`, `below` or `above` a fixed bound, `trend` for the worse, or `drift`.
        value, limit: what was found, and what it should not have passed; NaN where there is none.
        text: one sentence for people.
    """

    key: str
    reason: Reason
    value: float
    limit: float
    text: str


@dataclass(frozen=True)
class Expectation:
    """What is expected of one metric.

    Attributes:
        value: expected, from data the model had not seen.
        error: its standard error; 0 where it is not known.
        below, above: fixed bounds that alarm whatever is expected; None is none.
    """

    value: float
    error: float = 0.0
    below: float | None = None
    above: float | None = None

    def __post_init__(self) -> None:
        check_not_negative("error", self.error)


@dataclass(frozen=True)
class MonitorSettings:
    """When a deviation alarms.

    Attributes:
        tolerance: share of the expected value by which a metric may be worse.
        n_errors: standard errors of the expectation by which it may be worse; the larger of both counts, and
            where the expected value is 0 these alone.
        trend_window: latest values of which a steady change for the worse alarms.
    """

    tolerance: float = 0.2
    n_errors: float = 2.0
    trend_window: int = 10

    def __post_init__(self) -> None:
        check_not_negative("tolerance", self.tolerance)
        check_not_negative("n_errors", self.n_errors)
        check_at_least("trend_window", self.trend_window, 3)


class ModelMonitor:
    """Compares metrics with what is expected of them.

    Args:
        expected: by name of the metric.
        better: direction of metrics that this package does not know.

    Raises:
        ConfigError: a metric of unknown direction.
    """

    def __init__(
        self,
        expected: Mapping[str, Expectation],
        settings: MonitorSettings | None = None,
        better: Mapping[str, Better] | None = None,
    ) -> None:
        self.expected = dict(expected)
        self.settings = settings or MonitorSettings()
        self.better = {name: direction(name, better) for name in expected}

    def check(self, metrics: Mapping[str, float | None]) -> list[Alert]:
        """Alerts on one set of metrics; those that nothing is expected of are not looked at."""
        return [alert for name in self.expected for alert in self._of(name, metrics.get(name))]

    def _of(self, name: str, value: float | None) -> list[Alert]:
        expected = self.expected[name]
        if value is None or not math.isfinite(value):
            found = "is missing" if value is None else f"is {value}"
            return [
                Alert(name, "missing", math.nan, expected.value, f"{name} {found}, {expected.value:.4g} was expected")
            ]
        alerts = []
        limit = self.limit(name)
        if value < limit if self.better[name] == "high" else value > limit:
            text = f"{name} is {value:.4g}, worse than {limit:.4g} ({expected.value:.4g} was expected)"
            alerts.append(Alert(name, "worse", value, limit, text))
        if expected.below is not None and value < expected.below:
            alerts.append(
                Alert(name, "below", value, expected.below, f"{name} is {value:.4g}, below {expected.below:.4g}")
            )
        if expected.above is not None and value > expected.above:
            alerts.append(
                Alert(name, "above", value, expected.above, f"{name} is {value:.4g}, above {expected.above:.4g}")
            )
        return alerts

    def limit(self, name: str) -> float:
        """The value beyond which `name` is worse than expected."""
        expected = self.expected[name]
        room = max(self.settings.tolerance * abs(expected.value), self.settings.n_errors * expected.error)
        return expected.value - room if self.better[name] == "high" else expected.value + room

    def check_trends(self, history: Sequence[Mapping[str, float | None]]) -> list[Alert]:
        """Alerts on metrics whose last `trend_window` values went steadily for the worse.

        Args:
            history: sets of metrics in the order of time.
        """
        window = self.settings.trend_window
        alerts = []
        for name, better in self.better.items():
            series = [metrics.get(name) for metrics in history[-window:]]
            values = np.array([math.nan if value is None else value for value in series], np.float64)
            if len(values) == window and is_worsening(values, better):
                text = f"{name} went from {values[0]:.4g} to {values[-1]:.4g} over the last {window} values"
                alerts.append(Alert(name, "trend", float(values[-1]), float(values[0]), text))
        return alerts


def is_worsening(values: np.ndarray, better: Better) -> bool:
    """Mann-Kendall: at one-sided 1 %, the (n,) values go for the worse; NaN among them says nothing.

    Source: Mann 1945, "Nonparametric tests against trend", Econometrica 13; normal approximation.
    """
    n = len(values)
    if n < 3 or np.isnan(values).any():
        return False
    upper = np.triu_indices(n, 1)
    balance = float(np.sign(values[None] - values[:, None])[upper].sum())
    variance = n * (n - 1) * (2 * n + 5) / 18.0
    z = (balance - math.copysign(1.0, balance)) / math.sqrt(variance) if balance else 0.0
    return z < -2.326 if better == "high" else z > 2.326


def direction(name: str, better: Mapping[str, Better] | None = None) -> Better:
    """Whether a high or a low value of the metric `name` is better. Raises ConfigError where nobody knows."""
    if better is not None and name in better:
        check_choice(f"better.{name}", better[name], ("high", "low"))
        return better[name]
    known = {**{key: metric.better for key, metric in METRICS.items() if metric.better is not None}, **OTHERS}
    if name not in known:
        raise ConfigError(
            "no-direction",
            f"of '{name}' it is not known whether high or low is better",
            needed="a metric of DEFINITIONS §15, or its direction in `better`",
            nearest=nearest_name(name, known),
        )
    return known[name]
