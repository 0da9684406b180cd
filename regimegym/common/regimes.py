"""The four market regimes and their order, everywhere the same (DEFINITIONS §1)."""

from enum import IntEnum


class Regime(IntEnum):
    """Label of one bar. UNKNOWN marks the warm-up: never stored in replay, never fed to a gate."""

    UNKNOWN = -1
    UPTREND = 0
    DOWNTREND = 1
    PLATEAU = 2
    OSCILLATING = 3


REGIMES = (Regime.UPTREND, Regime.DOWNTREND, Regime.PLATEAU, Regime.OSCILLATING)
N_REGIMES = len(REGIMES)
UNKNOWN_PROBABILITIES = (0.25, 0.25, 0.25, 0.25)
