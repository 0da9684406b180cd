"""Where bars come from: the targets of the config group `data`."""

from collections.abc import Mapping
from dataclasses import replace

from regimegym.common.errors import DataError
from regimegym.common.seeding import generator
from regimegym.features.bars import Bars
from regimegym.features.loading import load_bars
from regimegym.features.synthetic.catalogue import draw_world
from regimegym.features.synthetic.world import WorldSettings
from regimegym.features.synthetic.worlds import (
    RegimeMarketSettings,
    random_walk_bars,
    regime_switching_market,
    sine_bars,
)


def file(
    path: str | None = None,
    symbol: str | None = None,
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    periods_per_year: float | None = None,
    dialect: str | None = None,
) -> Bars:
    """Bars of a CSV or Parquet file; arguments as in `load_bars`. Raises DataError without a path."""
    if not path:
        raise DataError(
            "no-file-named",
            "data=file needs the file of the prices",
            needed="data.path=FILE (.csv or .parquet)",
            help=("regime-gym train data=file data.path=prices.csv",),
        )
    return load_bars(path, symbol, columns, timezone, periods_per_year, dialect)


def synthetic(n_bars: int = 40_000, market_seed: int = 7, settings: RegimeMarketSettings | None = None) -> Bars:
    """The regime-switching market; `market_seed` makes the data and is not the run's random seed."""
    return regime_switching_market(n_bars, market_seed, settings).bars


def sine(
    n_bars: int = 20_000,
    market_seed: int = 7,
    period: float = 40.0,
    amplitude: float = 0.05,
    noise: float = 0.0,
) -> Bars:
    """A sine in log price; see `sine_bars`."""
    return sine_bars(n_bars, market_seed, period, amplitude, noise)


def random_walk(n_bars: int = 20_000, market_seed: int = 7, bar_volatility: float = 0.01) -> Bars:
    """A driftless random walk; see `random_walk_bars`."""
    return random_walk_bars(n_bars, market_seed, bar_volatility)


def world(
    name: str = "regime", n_bars: int = 26_000, market_seed: int = 7, settings: WorldSettings | None = None
) -> Bars:
    """A world by its name (docs/worlds.md), without its truth; see `draw_world`."""
    bars = draw_world(name, n_bars, generator(market_seed, f"world-{name}"), settings).bars
    return replace(
        bars, source=f"world({name=}, {n_bars=}, {market_seed=}{'' if settings is None else f', {settings}'})"
    )
