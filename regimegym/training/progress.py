"""What the progress display shows: header, state, validations, and the series since the start."""

import math
from typing import NamedTuple

from regimegym.training.episodes import NAN, EpisodeSummary


class RunHeader(NamedTuple):
    """What will happen, one line each; parts are joined by " · " and the last ones may be left out."""

    command: str
    folder: str
    data: str
    env: str
    agent: str
    regimes: str = ""  # no line where empty


class Snapshot(NamedTuple):
    """State of the training at `step` (account steps of all environments); NaN where unknown."""

    step: int
    episodes: EpisodeSummary = EpisodeSummary()
    loss_now: float = NAN
    loss_mean: float = NAN
    q_mean: float = NAN
    epsilon: float = NAN
    regime_shares: tuple[float, ...] = ()  # of the replay, in the order of REGIMES; empty when unknown
    share_env: float = NAN  # shares of the wall time
    share_learn: float = NAN
    share_validate: float = NAN


class ValidationLine(NamedTuple):
    """One validation: unshaped log returns after costs over the whole validation part."""

    step: int
    log_return: float
    buy_hold: float
    ma_cross: float
    drawdown: float = NAN
    trades: int = 0
    is_best: bool = False
    saved: str | None = None  # where the new best was written
    next_step: int | None = None
    without_best: int = 0  # validations since the best one
    patience: int | None = None  # validations without a new best that end the training


class History:
    """A series since the start in at most `limit` points: when full, neighbours are averaged."""

    def __init__(self, limit: int = 128) -> None:
        self._limit = limit
        self._per_point = 1
        self._pending: list[float] = []
        self.points: list[float] = []

    def add(self, value: float) -> None:
        """File one value; NaN is left out."""
        if not math.isfinite(value):
            return
        self._pending.append(value)
        if len(self._pending) < self._per_point:
            return
        self.points.append(sum(self._pending) / len(self._pending))
        self._pending = []
        if len(self.points) == self._limit:
            self.points = [(a + b) / 2 for a, b in zip(self.points[::2], self.points[1::2], strict=True)]
            self._per_point *= 2


class Progress(NamedTuple):
    """All that a drawing needs; rates over the last minute, validations included."""

    header: RunHeader
    snapshot: Snapshot
    total_steps: int
    elapsed: float
    steps_per_second: float
    eta: float
    best: ValidationLine | None
    last: ValidationLine | None
    histories: dict[str, History]
    free_bytes: int
