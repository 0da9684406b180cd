"""Rolling statistics of the last finished episodes, agent beside buy and hold."""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

NAN = math.nan


class EpisodeSummary(NamedTuple):
    """Latest value, mean and standard error over the rolling episodes; NaN before the first.

    Rewards are shaped sums per episode, equity and buy & hold are simple returns after costs
    over the same bars, exposure is the mean absolute weight, trades are per 1,000 bars.
    """

    n: int = 0
    reward_now: float = NAN
    reward_mean: float = NAN
    reward_se: float = NAN
    equity_now: float = NAN
    equity_mean: float = NAN
    equity_se: float = NAN
    buy_hold_now: float = NAN
    buy_hold_mean: float = NAN
    buy_hold_se: float = NAN
    exposure_now: float = NAN
    exposure_mean: float = NAN
    trades_per_1000: float = NAN


class EpisodeStats:
    """The last `n_episodes` finished episodes of a training."""

    def __init__(self, n_episodes: int = 100) -> None:
        self._rows: deque[tuple[float, ...]] = deque(maxlen=n_episodes)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, info: Mapping[str, Any]) -> None:
        """File one finished episode from the last `info` of its account.

        Reads `episode` {"r", "l"}, `episode_return`, `buy_hold_return`, `episode_trades`, and
        `episode_exposure` (mean over the episode) or else `exposure` (at its last bar); what is
        missing counts as NaN and is left out of the means.
        """
        episode = info.get("episode", {})
        length = float(info.get("episode_length", episode.get("l", NAN)))
        self._rows.append(
            (
                float(episode.get("r", NAN)),
                float(info.get("episode_return", NAN)),
                float(info.get("buy_hold_return", NAN)),
                abs(float(info.get("episode_exposure", info.get("exposure", NAN)))),
                float(info.get("episode_trades", NAN)),
                length,
            )
        )

    def rows(self) -> list[tuple[float, ...]]:
        """What is filed, plain; `load_rows` takes it back."""
        return list(self._rows)

    def load_rows(self, rows: Iterable[Iterable[float]]) -> None:
        """The inverse of `rows`."""
        self._rows.extend(tuple(row) for row in rows)

    def summary(self) -> EpisodeSummary:
        """Latest values, means and standard errors (sd / √n, ddof 1; NaN below two episodes)."""
        if not self._rows:
            return EpisodeSummary()
        reward, equity, buy_hold, exposure, trades, length = np.array(self._rows).T
        bars = np.nansum(length)
        return EpisodeSummary(
            len(self._rows),
            *_now_mean_se(reward),
            *_now_mean_se(equity),
            *_now_mean_se(buy_hold),
            *_now_mean_se(exposure)[:2],
            float(1000.0 * np.nansum(trades) / bars) if bars > 0 and not np.isnan(trades).all() else NAN,
        )


def _now_mean_se(values: np.ndarray) -> tuple[float, float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return NAN, NAN, NAN
    error = float(known.std(ddof=1) / math.sqrt(len(known))) if len(known) > 1 else NAN
    return float(values[-1]), float(known.mean()), error
