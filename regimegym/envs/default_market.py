"""The markets an environment falls back on when none is given."""

from dataclasses import replace
from functools import lru_cache

from regimegym.features.portfolio_tape import PortfolioTape, align_tapes
from regimegym.features.tape import MarketTape

N_BARS = 4_000
RANDOM_SEED = 0
N_ASSETS = 3


@lru_cache(maxsize=1)
def default_tape() -> MarketTape:
    """A small synthetic regime-switching market, the same one every time.

    The features are scaled with the statistics of all its rows; for an honest split prepare a
    market of your own (features.market).
    """
    return _synthetic_tape(RANDOM_SEED, "SYNTHETIC")


@lru_cache(maxsize=1)
def default_portfolio_tape() -> PortfolioTape:
    """Three such markets, independent of each other."""
    return align_tapes([_synthetic_tape(RANDOM_SEED + j, f"SYNTHETIC_{j}") for j in range(N_ASSETS)])


def _synthetic_tape(random_seed: int, symbol: str) -> MarketTape:
    from regimegym.features.market import build_tape, prepare_market
    from regimegym.features.pipeline import FeatureSettings
    from regimegym.features.regimes import RegimeSettings
    from regimegym.features.scaling import fit_scaler
    from regimegym.features.splits import RowRange
    from regimegym.features.synthetic.worlds import regime_switching_market

    bars = replace(regime_switching_market(N_BARS, random_seed=random_seed).bars, symbol=symbol)
    market = prepare_market(bars, RegimeSettings(), FeatureSettings())
    scaler = fit_scaler(market.table, RowRange(market.table.warm_up, N_BARS))
    return build_tape(market, scaler)
