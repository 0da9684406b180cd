"""Two models at work side by side: who is asked, who wins, who is sent back.

Evidence that is looked at again and again finds something by chance alone, if each look is a test.
Here the evidence is a martingale when the models are equally good, so its chance of ever reaching
1/α is at most α, however often it is looked at.

Source: Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic
confidence sequences", Annals of Statistics 49, 1055-1080 (two-sided and one-sided normal mixture),
with de la Peña's 1999 exponential bound for sums that are symmetric about 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

import numpy as np
from scipy.special import log_ndtr

from regimegym.common.checks import check_choice, check_number, check_positive
from regimegym.common.errors import ConfigError

Side = Literal["both", "better", "worse"]
SIDES = ("both", "better", "worse")
PREPARED_FOR = 50.0  # normalised squares at which the mixture is sharpest: about as many differences


def split_traffic(key: str, shares: Mapping[str, float], salt: str = "") -> str:
    """The model that `key` (an account, a symbol, a day) is given to: the same at every call.

    Args:
        shares: by model, positive, in sum 1. salt: another salt splits anew.

    Raises:
        ConfigError: shares that do not sum to 1.
    """
    for name, share in shares.items():
        check_positive(f"shares.{name}", share)
    if not math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9):
        raise ConfigError("out-of-range", f"'shares' must sum to 1, got {sum(shares.values()):g}")
    point = int.from_bytes(sha256(f"{salt}\0{key}".encode()).digest()[:8], "big") / 2.0**64
    edge = 0.0
    for name, share in shares.items():
        edge += share
        if point < edge:
            return name
    return name


def log_evidence(differences: np.ndarray, side: Side = "both") -> np.ndarray:
    """ln of the evidence (n,) after each of the paired `differences` (n,) that the models differ.

    Each difference is divided by the root mean square of those before it; the first one sets the scale
    and counts for nothing. Under the null each difference is symmetric about 0, given the past.

    Args:
        side: `better` counts positive differences only, `worse` negative ones, `both` either.
    """
    check_choice("side", side, SIDES)
    squares = np.cumsum(np.square(differences, dtype=np.float64))
    counted = np.arange(1, len(differences) + 1)
    scale = np.sqrt(squares / counted)
    known = np.concatenate([[False], scale[:-1] > 0.0])[: len(differences)]
    before = np.concatenate([[1.0], scale[:-1]])[: len(differences)]
    normal = np.where(known, differences / np.where(known, before, 1.0), 0.0)
    total, size = np.cumsum(normal), np.cumsum(normal**2)
    log_value = 0.5 * np.log(PREPARED_FOR / (size + PREPARED_FOR)) + total**2 / (2.0 * (size + PREPARED_FOR))
    if side == "both":
        return log_value
    sign = 1.0 if side == "better" else -1.0
    return log_value + math.log(2.0) + log_ndtr(sign * total / np.sqrt(size + PREPARED_FOR))


@dataclass(frozen=True)
class Decided:
    """Who won after how many differences; `winner` is None while it is open."""

    winner: Literal["a", "b"] | None
    at: int | None
    evidence: float


def sequential_winner(differences: np.ndarray, alpha: float = 0.05) -> Decided:
    """First difference A − B (n,) at which one is shown to be better, at error `alpha` over all looks together."""
    _check_alpha(alpha)
    evidence = log_evidence(differences)
    found = np.flatnonzero(evidence >= -math.log(alpha))
    if len(found) == 0:
        return Decided(None, None, math.exp(evidence[-1]) if len(evidence) else 1.0)
    at = int(found[0])
    winner: Literal["a", "b"] = "a" if np.sum(differences[: at + 1]) > 0 else "b"
    return Decided(winner, at + 1, math.exp(evidence[at]))


def rollback_at(new_minus_old: np.ndarray, alpha: float = 0.05) -> int | None:
    """Number of differences (n,) after which the new model must go back: it is shown to be worse. None: it stays.

    An improvement never triggers it; a NaN does at once: a model that gives no number is worse.
    """
    _check_alpha(alpha)
    broken = np.flatnonzero(np.isnan(new_minus_old))
    usable = new_minus_old[: broken[0]] if len(broken) else new_minus_old
    found = np.flatnonzero(log_evidence(usable, "worse") >= -math.log(alpha))
    if len(found):
        return int(found[0]) + 1
    return int(broken[0]) + 1 if len(broken) else None


def _check_alpha(alpha: float) -> None:
    check_number("alpha", alpha, "between 0 and 1", lambda value: 0.0 < value < 1.0)
