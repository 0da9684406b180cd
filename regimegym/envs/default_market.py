"""The market an environment falls back on when none is given."""

from functools import lru_cache

from regimegym.features.tape import MarketTape

N_BARS = 4_000
RANDOM_SEED = 0


@lru_cache(maxsize=1)
def default_tape() -> MarketTape:
    """A small synthetic regime-switching market, the same one every time.

    The features are scaled with the statistics of all its rows; for an honest split prepare a
    market of your own (features.market).
    """
    from regimegym.features.market import build_tape, prepare_market
    from regimegym.features.pipeline import FeatureSettings
    from regimegym.features.regimes import RegimeSettings
    from regimegym.features.scaling import fit_scaler
    from regimegym.features.splits import RowRange
    from regimegym.features.synthetic.worlds import regime_switching_market

    bars = regime_switching_market(N_BARS, random_seed=RANDOM_SEED).bars
    market = prepare_market(bars, RegimeSettings(), FeatureSettings())
    scaler = fit_scaler(market.table, RowRange(market.table.warm_up, N_BARS))
    return build_tape(market, scaler)
