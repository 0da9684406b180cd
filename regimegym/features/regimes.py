"""The four regimes of every bar: scale-free, causal, a total partition (DEFINITIONS §3)."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import expit

from regimegym.common.checks import (
    check_at_least,
    check_between,
    check_choice,
    check_flag,
    check_number,
    check_positive,
)
from regimegym.common.errors import ConfigError
from regimegym.common.regimes import N_REGIMES, UNKNOWN_PROBABILITIES, Regime
from regimegym.features.rolling import divide, rolling_sum

ROUND_OFF = 1e-18  # mean squared log return per bar below which a window counts as flat
BLOCK_ROWS = 16_384  # at a time, so that the steps stay in the cache
PLATEAU_RULES = ("relative", "economic")
FITS = ("none", "quantile")
UP, DOWN, PLATEAU, OSCILLATING, UNKNOWN = (
    Regime.UPTREND.value,
    Regime.DOWNTREND.value,
    Regime.PLATEAU.value,
    Regime.OSCILLATING.value,
    Regime.UNKNOWN.value,
)


@dataclass(frozen=True)
class RegimeSettings:
    """Windows in bars and thresholds of the regime rule; labels at t use bars up to t only.

    Attributes:
        window: w, returns of the trend score and of the present volatility.
        long_window: L, returns of the usual volatility; ≥ window.
        z_threshold: z_T, trend score from which a bar lies in a trend.
        v_lo: relative volatility below which a bar without trend is a plateau.
        tau_z, tau_v: softness of the probabilities.
        hysteresis: a trend that was entered at z_T is left only below leave_share·z_T, and every
            label stays for at least min_dwell bars. The probabilities know nothing of it.
        leave_share: share of z_T, in (0, 1].
        min_dwell: bars ≥ 1.
        plateau: "relative" is the rule of v_lo, under which a plateau as long as L becomes normal;
            "economic" calls a bar without trend a plateau where the window's move is too small to
            pay for a trade: √(Σ_w r²) = σ_w·√w < kappa_p·round_trip_cost. τ_v then softens their ratio.
        kappa_p: κ_p, a multiple of the costs.
        round_trip_cost: share of the notional that a trade there and back costs.
        fit: "none" takes z_threshold and v_lo as they stand; "quantile" replaces them by what gives
            the training rows these shares (features.regime_fit), and nothing changes them after.
        trend_share: share of the training rows in trends of either direction.
        plateau_share: share of the training rows in plateaus; only for the relative rule.
    """

    window: int = 20
    long_window: int = 200
    z_threshold: float = 1.5
    v_lo: float = 0.6
    tau_z: float = 0.25
    tau_v: float = 0.1
    hysteresis: bool = False
    leave_share: float = 0.67
    min_dwell: int = 5
    plateau: str = "relative"
    kappa_p: float = 1.0
    round_trip_cost: float = 0.003
    fit: str = "none"
    trend_share: float = 0.3
    plateau_share: float = 0.2

    def __post_init__(self) -> None:
        check_at_least("regime.window", self.window, 2)
        check_at_least("regime.long_window", self.long_window, 2)
        for name in ("z_threshold", "v_lo", "tau_z", "tau_v", "kappa_p", "round_trip_cost"):
            check_positive(f"regime.{name}", getattr(self, name))
        check_flag("regime.hysteresis", self.hysteresis)
        check_number("regime.leave_share", self.leave_share, "in (0, 1]", lambda share: 0 < share <= 1)
        check_at_least("regime.min_dwell", self.min_dwell, 1)
        check_choice("regime.plateau", self.plateau, PLATEAU_RULES)
        check_choice("regime.fit", self.fit, FITS)
        for name in ("trend_share", "plateau_share"):
            check_between(f"regime.{name}", getattr(self, name), 0.0, 1.0)
        if self.long_window < self.window:
            raise ConfigError(
                "out-of-range",
                f"'regime.long_window' must be ≥ 'regime.window' ({self.window}), got {self.long_window}",
            )
        if self.trend_share + self.plateau_share > 1:
            raise ConfigError(
                "out-of-range",
                f"'regime.trend_share' + 'regime.plateau_share' must be ≤ 1, "
                f"got {self.trend_share} + {self.plateau_share}",
            )

    @property
    def calm_below(self) -> float:
        """Calm score (`calm_scores`) below which a bar without trend is a plateau."""
        return self.v_lo if self.plateau == "relative" else 1.0


@dataclass(frozen=True, eq=False)
class Regimes:
    """Regimes of T bars.

    Attributes:
        labels: (T,) int8 codes of Regime; UNKNOWN on the first `window` rows.
        probabilities: (T, 4) float64 in the order of Regime, rows sum to 1; ¼ where unknown.
        z: (T,) trend score, |z| ≤ √window; NaN where unknown.
        v: (T,) relative volatility ≥ 0; NaN where unknown.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    z: np.ndarray
    v: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.labels, self.probabilities, self.z, self.v):
            array.flags.writeable = False

    def rows(self, start: int, stop: int) -> "Regimes":
        """The regimes of the bars [start, stop), as views."""
        return Regimes(*(array[start:stop] for array in (self.labels, self.probabilities, self.z, self.v)))

    @property
    def warm_up(self) -> int:
        """Number of leading rows whose regime is unknown."""
        known = self.labels != Regime.UNKNOWN
        return int(np.argmax(known)) if known.any() else len(known)


def classify_regimes(close: np.ndarray, settings: RegimeSettings | None = None) -> Regimes:
    """Regimes of `close` (T,) > 0, finite. Raises ConfigError when the thresholds are still to be fitted."""
    settings = settings or RegimeSettings()
    if settings.fit != "none":
        raise ConfigError(
            "regimes-not-fitted",
            f"'regime.fit' is {settings.fit} and no training rows were given",
            help=("fit_regimes(regimes, settings, rows) of features.regime_fit fits and freezes the thresholds",),
        )
    z, v = regime_scores(close, settings)
    calm = calm_scores(close, v, settings)
    label = settled_labels if settings.hysteresis else hard_labels
    return Regimes(label(z, calm, settings), soft_probabilities(z, calm, settings), z, v)


def regime_scores(close: np.ndarray, settings: RegimeSettings) -> tuple[np.ndarray, np.ndarray]:
    """Trend score z_t = Σ_w r / √(Σ_w r²) and relative volatility v_t, each (T,), NaN before w returns.

    v_t = √(mean_w r²) / √(mean_L r²), mean_L over the returns there are until there are L.
    """
    z, v = np.empty(len(close)), np.empty(len(close))
    for start in range(0, len(close), BLOCK_ROWS):
        first, rows = max(0, start - settings.long_window), slice(start, start + BLOCK_ROWS)
        z[rows], v[rows] = (scores[start - first :] for scores in _scores(close[first : rows.stop], settings))
    return z, v


def _scores(close: np.ndarray, settings: RegimeSettings) -> tuple[np.ndarray, np.ndarray]:
    """As `regime_scores`, in one piece."""
    returns = np.diff(np.log(close))
    z, v = np.full(len(close), np.nan), np.full(len(close), np.nan)
    mean_square = _mean_square(returns**2, settings.window)
    z[1:] = divide(rolling_sum(returns, settings.window), np.sqrt(mean_square * settings.window), 0.0)
    v[1:] = np.sqrt(divide(mean_square, _long_mean_square(returns**2, settings), 0.0))
    return z, v


def calm_scores(close: np.ndarray, v: np.ndarray, settings: RegimeSettings) -> np.ndarray:
    """What decides between plateau and oscillation (T,): v, or σ_w·√w in units of κ_p·round-trip cost."""
    if settings.plateau == "relative":
        return v
    move = np.full(len(close), np.nan)
    move[1:] = np.sqrt(_mean_square(np.diff(np.log(close)) ** 2, settings.window) * settings.window)
    return move / (settings.kappa_p * settings.round_trip_cost)


def _mean_square(squares: np.ndarray, window: int) -> np.ndarray:
    """mean_w r² (T − 1,), NaN before w returns."""
    return _zero_at_round_off(rolling_sum(squares, window) / window)


def _long_mean_square(squares: np.ndarray, settings: RegimeSettings) -> np.ndarray:
    """mean_L r² (T − 1,), over the returns there are while there are fewer than L."""
    mean = rolling_sum(squares, settings.long_window) / settings.long_window
    head = squares[: settings.long_window - 1]
    mean[: len(head)] = np.cumsum(head) / np.arange(1, len(head) + 1)
    return _zero_at_round_off(mean)


def _zero_at_round_off(mean_square: np.ndarray) -> np.ndarray:
    return np.where(mean_square <= ROUND_OFF, 0.0, mean_square)  # NaN stays


def hard_labels(z: np.ndarray, calm: np.ndarray, settings: RegimeSettings) -> np.ndarray:
    """Exactly one label per bar (T,) int8, in this order: up, down, plateau, otherwise oscillating."""
    labels = np.full(len(z), OSCILLATING, dtype=np.int8)
    labels[calm < settings.calm_below] = PLATEAU
    labels[z <= -settings.z_threshold] = DOWN
    labels[z >= settings.z_threshold] = UP
    labels[np.isnan(z)] = UNKNOWN
    return labels


def settled_labels(z: np.ndarray, calm: np.ndarray, settings: RegimeSettings) -> np.ndarray:
    """Labels (T,) int8 with hysteresis: trends are left late, and every label lasts min_dwell bars."""
    leave = settings.leave_share * settings.z_threshold
    return _settle(hard_labels(z, calm, settings), z, leave, settings.min_dwell)


@njit(cache=True)
def _settle(labels: np.ndarray, z: np.ndarray, leave: float, min_dwell: int) -> np.ndarray:
    """A state machine over the bars: the label of a bar depends on its scores and the label before it."""
    out = labels.copy()
    present, stayed = UNKNOWN, 0
    for t in range(len(labels)):
        if labels[t] == UNKNOWN:
            continue
        in_trend = (present == UP and z[t] >= leave) or (present == DOWN and z[t] <= -leave)
        if present == UNKNOWN or (stayed >= min_dwell and not in_trend and labels[t] != present):
            present, stayed = labels[t], 0
        out[t] = present
        stayed += 1
    return out


def soft_probabilities(z: np.ndarray, calm: np.ndarray, settings: RegimeSettings) -> np.ndarray:
    """Probabilities (T, 4); p_up ≥ ½ exactly where the hard label is UPTREND."""
    out = np.empty((len(z), N_REGIMES))
    for start in range(0, len(z), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        _soft_probabilities(out[rows], z[rows], calm[rows], settings)
    return out


def _soft_probabilities(out: np.ndarray, z: np.ndarray, calm: np.ndarray, settings: RegimeSettings) -> None:
    up = expit((z - settings.z_threshold) / settings.tau_z)
    down = expit((-z - settings.z_threshold) / settings.tau_z)
    rest = np.maximum(1.0 - up - down, 0.0)
    plateau = rest * expit((settings.calm_below - calm) / settings.tau_v)
    out[:, UP] = up
    out[:, DOWN] = down
    out[:, PLATEAU] = plateau
    out[:, OSCILLATING] = rest - plateau
    out[np.isnan(z)] = UNKNOWN_PROBABILITIES
