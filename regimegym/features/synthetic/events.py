"""Named worlds for evaluation: a quiet market in which one thing happens, at a known bar.

Each is a schedule of drift, volatility, gap, volume and spread per bar; shocks are drawn about it.
The market outside of the event is a driftless walk with clustered volatility, labelled OSCILLATING.
"""

from dataclasses import dataclass, replace

import numpy as np

from regimegym.common.checks import check_at_least, check_between, check_number, check_positive
from regimegym.common.errors import ConfigError
from regimegym.common.regimes import REGIMES, Regime
from regimegym.features.synthetic.bars import bars_from_opens_and_closes, log_before
from regimegym.features.synthetic.learning import RegimeSwitchSettings
from regimegym.features.synthetic.processes import volatility_factor
from regimegym.features.synthetic.world import WORLDS, Truth, World

USUAL_SPREAD = 2e-4  # share of the price
PERSISTENCE, VOLATILITY_SD = 0.98, 0.25  # clustering of the volatility outside of events


@dataclass(frozen=True, eq=False)
class Schedule:
    """What is planned for each of T bars, before any shock is drawn; every array may be changed in place.

    Attributes:
        drift, gap: (T,) log price, inside the bar and between the close before it and its open.
        calm: (T,) factor on the volatility. volume, spread: (T,) factors on the usual ones.
        regimes: (T,) int8 codes of Regime.
    """

    drift: np.ndarray
    gap: np.ndarray
    calm: np.ndarray
    volume: np.ndarray
    spread: np.ndarray
    regimes: np.ndarray

    @staticmethod
    def quiet(n_bars: int) -> "Schedule":
        """Nothing happens."""
        ones, zeros = np.ones(n_bars), np.zeros(n_bars)
        regimes = np.full(n_bars, Regime.OSCILLATING, dtype=np.int8)
        return Schedule(zeros, zeros.copy(), ones, ones.copy(), ones.copy(), regimes)


@dataclass(frozen=True)
class EventSettings:
    """What all named worlds share.

    Attributes:
        sd: volatility per bar outside of the event, log price.
        at: share of the bars after which the event begins, in (0, 1).
        length: bars of the event.
        size: what the event moves, or multiplies; each world says which.
    """

    sd: float = 0.004
    at: float = 0.5
    length: int = 50
    size: float = 0.1

    def __post_init__(self) -> None:
        check_positive("sd", self.sd)
        check_number("at", self.at, "between 0 and 1", lambda share: 0 < share < 1)
        check_at_least("length", self.length, 1)
        check_number("size", self.size, "finite and not 0", lambda size: size != 0)

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world. Raises ConfigError where the event does not fit into the bars."""
        check_at_least("n_bars", n_bars, 2)
        first = round(self.at * n_bars)
        if first < 1 or first + self.bars_of_event > n_bars:
            raise ConfigError(
                "too-few-bars",
                f"{n_bars:,} bars do not hold an event of {self.bars_of_event:,} bars that begins at bar {first:,}",
                help=("use more bars, or a smaller 'length' or 'at'",),
            )
        plan = Schedule.quiet(n_bars)
        events = self.plant(plan, first)
        return self._drawn(plan, events, rng)

    @property
    def bars_of_event(self) -> int:
        """Bars from the first to the last that differ from the quiet market."""
        return self.length

    def plant(self, plan: Schedule, first: int) -> dict[str, int]:
        """Write the event into `plan` from bar `first`; returns the first bar of each of its parts."""
        raise NotImplementedError

    def _drawn(self, plan: Schedule, events: dict[str, int], rng: np.random.Generator) -> World:
        n_bars = len(plan.drift)
        volatility = self.sd * plan.calm * volatility_factor(n_bars, PERSISTENCE, VOLATILITY_SD, rng)
        log_close = np.cumsum(plan.gap + plan.drift + volatility * rng.standard_normal(n_bars))
        bars = bars_from_opens_and_closes(
            log_before(log_close) + plan.gap,
            log_close,
            volatility,
            rng,
            volume_factor=plan.volume,
            spread=USUAL_SPREAD * plan.spread,
            source=f"{self}.draw({n_bars})",
        )
        begun = {name: np.array([row]) for name, row in events.items()}
        return World(bars, Truth(plan.regimes, plan.gap + plan.drift, volatility, None, begun, is_scheduled=True))


@WORLDS.register("flash_crash")
@dataclass(frozen=True)
class FlashCrashSettings(EventSettings):
    """A fall by `size` within `length` bars, four fifths of it won back within six times as many."""

    length: int = 5
    size: float = 0.12

    @property
    def bars_of_event(self) -> int:
        """The fall and the recovery."""
        return 7 * self.length

    def plant(self, plan: Schedule, first: int) -> dict[str, int]:
        """The fall, then a recovery that slows down; volatility, volume and spread die away."""
        low, last = first + self.length, first + self.bars_of_event
        plan.drift[first:low] = -self.size / self.length
        plan.drift[low:last] = 0.8 * self.size * _shares(-2.0, last - low)
        fading = np.concatenate([np.ones(self.length), np.exp(-3.0 * _steps(last - low))])
        plan.calm[first:last] += 2.0 * fading
        plan.volume[first:last] += 9.0 * fading
        plan.spread[first:last] += 14.0 * fading
        plan.regimes[first:low], plan.regimes[low:last] = Regime.DOWNTREND, Regime.UPTREND
        return {"crash": first, "recovery": low}


@WORLDS.register("gap")
@dataclass(frozen=True)
class GapSettings(EventSettings):
    """An open that is `size` (log price, negative: a fall) away from the close before; `length` uneasy bars follow."""

    length: int = 30
    size: float = -0.08

    def plant(self, plan: Schedule, first: int) -> dict[str, int]:
        """One gap; volatility, volume and spread die away."""
        rows, fading = slice(first, first + self.length), np.exp(-3.0 * _steps(self.length))
        plan.gap[first] = self.size
        plan.calm[rows] += fading
        plan.volume[rows] += 5.0 * fading
        plan.spread[rows] += 4.0 * fading
        return {"gap": first}


@WORLDS.register("melt_up")
@dataclass(frozen=True)
class MeltUpSettings(EventSettings):
    """A rise by `size` (log price) that speeds up over `length` bars; a tenth as many then lose a third of it."""

    length: int = 300
    size: float = 0.7

    @property
    def bars_of_event(self) -> int:
        """The rise and the fall."""
        return self.length + max(1, self.length // 10)

    def plant(self, plan: Schedule, first: int) -> dict[str, int]:
        """The faster it rises, the more it moves and trades."""
        top, last = first + self.length, first + self.bars_of_event
        plan.drift[first:top] = self.size * _shares(3.0, self.length)
        plan.drift[top:last] = -self.size / 3.0 / (last - top)
        plan.calm[first:top] += _steps(self.length)
        plan.volume[first:top] += 3.0 * _steps(self.length)
        plan.calm[top:last], plan.volume[top:last], plan.spread[top:last] = 2.5, 5.0, 3.0
        plan.regimes[first:top], plan.regimes[top:last] = Regime.UPTREND, Regime.DOWNTREND
        return {"rise": first, "fall": top}


@WORLDS.register("whipsaw")
@dataclass(frozen=True)
class WhipsawSettings(EventSettings):
    """Legs of `leg` bars that rise and fall in turn by `size`, as long as followers of trends need to join them."""

    length: int = 400
    size: float = 0.04
    leg: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("leg", self.leg, 1)

    def plant(self, plan: Schedule, first: int) -> dict[str, int]:
        """Up first."""
        rows = slice(first, first + self.length)
        rises = (np.arange(self.length) // self.leg) % 2 == 0
        plan.drift[rows] = np.where(rises, self.size, -self.size) / self.leg
        plan.regimes[rows] = np.where(rises, Regime.UPTREND, Regime.DOWNTREND)
        return {"whipsaw": first}


@WORLDS.register("plateau")
@dataclass(frozen=True)
class PlateauSettings(EventSettings):
    """`length` bars in which the volatility and the volume are only `size` of the usual."""

    length: int = 150
    size: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        check_between("size", self.size, 0.0, 1.0)

    def plant(self, plan: Schedule, first: int) -> dict[str, int]:
        """Calm from one bar to the next."""
        rows = slice(first, first + self.length)
        plan.calm[rows] = self.size
        plan.volume[rows] = np.sqrt(self.size)
        plan.regimes[rows] = Regime.PLATEAU
        return {"plateau": first}


@WORLDS.register("slow_bleed")
@dataclass(frozen=True)
class SlowBleedSettings(EventSettings):
    """A fall by `size` over `length` bars at half the usual volatility: no bar of it alarms anybody."""

    length: int = 500
    size: float = 0.4

    def plant(self, plan: Schedule, first: int) -> dict[str, int]:
        """A constant drift."""
        rows = slice(first, first + self.length)
        plan.drift[rows] = -self.size / self.length
        plan.calm[rows], plan.volume[rows] = 0.5, 0.8
        plan.regimes[rows] = Regime.DOWNTREND
        return {"bleed": first}


@WORLDS.register("liquidity_hole")
@dataclass(frozen=True)
class LiquidityHoleSettings(EventSettings):
    """`length` bars whose spread is `size` times the usual, with next to no volume."""

    length: int = 40
    size: float = 40.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("size", self.size, "≥ 1", lambda size: size >= 1)

    def plant(self, plan: Schedule, first: int) -> dict[str, int]:
        """It opens and closes within a few bars."""
        rows, depth = slice(first, first + self.length), _hump(self.length)
        plan.spread[rows] += (self.size - 1.0) * depth
        plan.volume[rows] *= 1.0 - 0.97 * depth
        plan.calm[rows] += 0.5 * depth
        return {"hole": first}


@WORLDS.register("volatility_burst")
@dataclass(frozen=True)
class VolatilityBurstSettings(EventSettings):
    """Volatility jumps to `size` times the usual and dies away within `length` bars; nothing drifts."""

    length: int = 150
    size: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("size", self.size, "≥ 1", lambda size: size >= 1)

    def plant(self, plan: Schedule, first: int) -> dict[str, int]:
        """At once, then fading."""
        rows, fading = slice(first, first + self.length), np.exp(-3.0 * _steps(self.length))
        plan.calm[rows] += (self.size - 1.0) * fading
        plan.volume[rows] += 3.0 * fading
        plan.spread[rows] += 4.0 * fading
        return {"burst": first}


@WORLDS.register("regime_switches")
@dataclass(frozen=True)
class RegimeSwitchesSettings:
    """The four regimes of `RegimeSwitchSettings` in their order, `length` bars each, again and again."""

    length: int = 150

    def __post_init__(self) -> None:
        check_at_least("length", self.length, 1)

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """The world; every switch is an event."""
        check_at_least("n_bars", n_bars, 2)
        states = ((np.arange(n_bars) // self.length) % len(REGIMES)).astype(np.int8)
        bars, truth = RegimeSwitchSettings().with_states(states, rng)
        switches = np.arange(self.length, n_bars, self.length)
        return World(bars, replace(truth, events={"switch": switches}))


def _steps(n: int) -> np.ndarray:
    """0 … 1 over n bars (n,)."""
    return np.arange(n) / max(1, n - 1)


def _shares(speed: float, n: int) -> np.ndarray:
    """n shares that sum to 1 and grow (speed > 0) or shrink exponentially from bar to bar."""
    weights = np.exp(speed * _steps(n))
    return weights / weights.sum()


def _hump(n: int) -> np.ndarray:
    """0 at both ends, 1 between them, over n bars (n,), with flanks of a fifth each."""
    rise = np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) / (0.2 * n + 1.0)
    return np.minimum(1.0, rise)
