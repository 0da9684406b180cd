"""The four regimes of every bar: scale-free, causal, a total partition (DEFINITIONS §3)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from regimegym.common.checks import check_at_least, check_positive
from regimegym.common.errors import ConfigError
from regimegym.common.regimes import N_REGIMES, UNKNOWN_PROBABILITIES, Regime
from regimegym.features.rolling import divide, rolling_sum

ROUND_OFF = 1e-18  # mean squared log return per bar below which a window counts as flat


@dataclass(frozen=True)
class RegimeSettings:
    """Windows in bars and thresholds of the regime rule; labels at t use bars up to t only.

    Attributes:
        window: w, returns of the trend score and of the present volatility.
        long_window: L, returns of the usual volatility; ≥ window.
        z_threshold: z_T, trend score from which a bar lies in a trend.
        v_lo: relative volatility below which a bar without trend is a plateau.
        tau_z, tau_v: softness of the probabilities.
    """

    window: int = 20
    long_window: int = 200
    z_threshold: float = 1.5
    v_lo: float = 0.6
    tau_z: float = 0.25
    tau_v: float = 0.1

    def __post_init__(self) -> None:
        check_at_least("regime.window", self.window, 2)
        check_at_least("regime.long_window", self.long_window, 2)
        for name in ("z_threshold", "v_lo", "tau_z", "tau_v"):
            check_positive(f"regime.{name}", getattr(self, name))
        if self.long_window < self.window:
            raise ConfigError(
                "out-of-range",
                f"'regime.long_window' must be ≥ 'regime.window' ({self.window}), got {self.long_window}",
            )


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

    @property
    def warm_up(self) -> int:
        """Number of leading rows whose regime is unknown."""
        known = self.labels != Regime.UNKNOWN
        return int(np.argmax(known)) if known.any() else len(known)


def classify_regimes(close: np.ndarray, settings: RegimeSettings | None = None) -> Regimes:
    """Regimes of `close` (T,) > 0, finite."""
    settings = settings or RegimeSettings()
    z, v = regime_scores(close, settings)
    return Regimes(hard_labels(z, v, settings), soft_probabilities(z, v, settings), z, v)


def regime_scores(close: np.ndarray, settings: RegimeSettings) -> tuple[np.ndarray, np.ndarray]:
    """Trend score z_t = Σ_w r / √(Σ_w r²) and relative volatility v_t, each (T,), NaN before w returns.

    v_t = √(mean_w r²) / √(mean_L r²), mean_L over the returns there are until there are L.
    """
    returns = np.diff(np.log(close))
    squares = returns**2
    z, v = np.full(len(close), np.nan), np.full(len(close), np.nan)
    mean_square = _zero_at_round_off(rolling_sum(squares, settings.window) / settings.window)
    z[1:] = divide(rolling_sum(returns, settings.window), np.sqrt(mean_square * settings.window), 0.0)
    v[1:] = np.sqrt(divide(mean_square, _long_mean_square(squares, settings), 0.0))
    return z, v


def _long_mean_square(squares: np.ndarray, settings: RegimeSettings) -> np.ndarray:
    """mean_L r² (T − 1,), over the returns there are while there are fewer than L."""
    mean = rolling_sum(squares, settings.long_window) / settings.long_window
    head = squares[: settings.long_window - 1]
    mean[: len(head)] = np.cumsum(head) / np.arange(1, len(head) + 1)
    return _zero_at_round_off(mean)


def _zero_at_round_off(mean_square: np.ndarray) -> np.ndarray:
    return np.where(mean_square <= ROUND_OFF, 0.0, mean_square)  # NaN stays


def hard_labels(z: np.ndarray, v: np.ndarray, settings: RegimeSettings) -> np.ndarray:
    """Exactly one label per bar (T,) int8, in this order: up, down, plateau, otherwise oscillating."""
    labels = np.full(len(z), Regime.OSCILLATING, dtype=np.int8)
    labels[v < settings.v_lo] = Regime.PLATEAU
    labels[z <= -settings.z_threshold] = Regime.DOWNTREND
    labels[z >= settings.z_threshold] = Regime.UPTREND
    labels[np.isnan(z)] = Regime.UNKNOWN
    return labels


def soft_probabilities(z: np.ndarray, v: np.ndarray, settings: RegimeSettings) -> np.ndarray:
    """Probabilities (T, 4); p_up ≥ ½ exactly where the label is UPTREND."""
    out = np.empty((len(z), N_REGIMES))
    up = expit((z - settings.z_threshold) / settings.tau_z)
    down = expit((-z - settings.z_threshold) / settings.tau_z)
    rest = np.maximum(1.0 - up - down, 0.0)
    plateau = rest * expit((settings.v_lo - v) / settings.tau_v)
    out[:, Regime.UPTREND] = up
    out[:, Regime.DOWNTREND] = down
    out[:, Regime.PLATEAU] = plateau
    out[:, Regime.OSCILLATING] = rest - plateau
    out[np.isnan(z)] = UNKNOWN_PROBABILITIES
    return out
