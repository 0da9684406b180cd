"""World: synthetic bars together with what is true of them and no feature may see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from regimegym.common.errors import ConfigError
from regimegym.common.registry import Registry
from regimegym.features.bars import Bars, freeze_arrays


@dataclass(frozen=True, eq=False)
class Truth:
    """What made the T bars of a world; for judges of labels and policies, never for features.

    Attributes:
        regimes: (T,) int8 codes of Regime, the state that made the move of each bar; None where
            the world has no states.
        expected: (T,) float64 log return of each bar that was to be expected from everything
            hidden before it, gaps included; None where it is not known.
        volatility: (T,) float64 standard deviation of each bar's log return about it, or None.
        centre: (T,) float64 log price, relative to START_PRICE, to which the price was drawn
            during the bar (the wave of a sine, the mean of an OU); NaN on bars without one, None
            in worlds without one.
        events: bars at which something planted begins, int64 by its name: {"crash": [1200]}.
        is_scheduled: given this truth the moves are independent, so that past prices tell nothing more.
    """

    regimes: np.ndarray | None = None
    expected: np.ndarray | None = None
    volatility: np.ndarray | None = None
    centre: np.ndarray | None = None
    events: Mapping[str, np.ndarray] = field(default_factory=dict)
    is_scheduled: bool = False

    def __post_init__(self) -> None:
        freeze_arrays(self)


class World(NamedTuple):
    """Bars and their truth, row by row the same T bars."""

    bars: Bars
    truth: Truth


class WorldSettings(Protocol):
    """Settings of one kind of world, which know how to draw it."""

    def draw(self, n_bars: int, rng: np.random.Generator) -> World:
        """`n_bars` bars and their truth; everything random comes from `rng`."""


WORLDS: Registry[type[WorldSettings]] = Registry("world")


def draw_world(name: str, n_bars: int, rng: np.random.Generator, settings: WorldSettings | None = None) -> World:
    """`n_bars` hourly bars of the registered world `name`, with its truth.

    Args:
        name: of a registered world.
        n_bars: number of bars T.
        rng: draws everything; another generator makes fresh bars of the same world.
        settings: of this world; its defaults where None.

    Raises:
        ConfigError: unknown name, settings of another world, too few bars.
    """
    kind = WORLDS.get(name)
    if settings is None:
        settings = kind()
    elif not isinstance(settings, kind):
        raise ConfigError("other-world", f"the world '{name}' takes {kind.__name__}, got {type(settings).__name__}")
    return settings.draw(n_bars, rng)
