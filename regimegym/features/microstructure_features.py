"""The features of microstructure: from bars, from quotes, from an order book, from trades."""

from functools import partial

import numpy as np

from regimegym.features import indicators, microstructure, order_book
from regimegym.features.alignment import close_times
from regimegym.features.default_features import VOLATILITY_BARS, VOLATILITY_MEMORY, in_volatility, volatility
from regimegym.features.feature import FeatureInputs, feature
from regimegym.features.rolling import rolling_mean_sd

FAST, SLOW = 20, 120  # bars
BOOK_LEVELS = (1, 3, 5)


def _returns(inputs: FeatureInputs) -> np.ndarray:
    return inputs.shared("return", lambda: indicators.log_returns(inputs.bars.close))


def _mean_volume(inputs: FeatureInputs, window: int) -> np.ndarray:
    return inputs.shared(("mean volume", window), lambda: rolling_mean_sd(inputs.bars.volume, window)[0])


def _buy_share(inputs: FeatureInputs) -> np.ndarray:
    return inputs.shared("buy share", lambda: microstructure.buy_share(_returns(inputs), volatility(inputs)))


@feature("amihud", warm_up=SLOW, memory=SLOW + 1, needs=("volume",))
def _amihud(inputs: FeatureInputs) -> np.ndarray:
    """ln of the illiquidity of 20 bars over that of 120: the market has become thinner than usual."""
    notional = inputs.bars.close * inputs.bars.volume
    fast, slow = (microstructure.amihud_illiquidity(_returns(inputs), notional, window) for window in (FAST, SLOW))
    return microstructure.log_ratio(fast, slow)


@feature("roll_spread", warm_up=VOLATILITY_BARS + 1, memory=VOLATILITY_MEMORY)
def _roll_spread(inputs: FeatureInputs) -> np.ndarray:
    return in_volatility(inputs, microstructure.roll_spread(_returns(inputs), VOLATILITY_BARS), 1)


@feature("corwin_schultz_spread", warm_up=VOLATILITY_BARS, memory=VOLATILITY_MEMORY)
def _corwin_schultz_spread(inputs: FeatureInputs) -> np.ndarray:
    bars = inputs.bars
    spread = microstructure.corwin_schultz_spread(bars.high, bars.low, bars.close)
    return in_volatility(inputs, rolling_mean_sd(spread, FAST)[0], 1)


@feature("kyle_lambda", warm_up=VOLATILITY_BARS + FAST, memory=VOLATILITY_MEMORY + FAST, needs=("volume",))
def _kyle_lambda(inputs: FeatureInputs) -> np.ndarray:
    """Price moved by one bar's usual volume, in σ."""
    signed = (2.0 * _buy_share(inputs) - 1.0) * inputs.bars.volume
    moved = microstructure.kyle_lambda(_returns(inputs), signed, FAST) * _mean_volume(inputs, FAST)
    return in_volatility(inputs, moved, 1)


@feature("volume_imbalance", warm_up=VOLATILITY_BARS + FAST, memory=VOLATILITY_MEMORY + FAST, needs=("volume",))
def _volume_imbalance(inputs: FeatureInputs) -> np.ndarray:
    return microstructure.volume_imbalance(_buy_share(inputs), inputs.bars.volume, FAST)


@feature("volume_intensity", warm_up=SLOW, memory=SLOW, needs=("volume",))
def _volume_intensity(inputs: FeatureInputs) -> np.ndarray:
    """ln of the mean volume of 20 bars over that of 120."""
    return microstructure.log_ratio(_mean_volume(inputs, FAST), _mean_volume(inputs, SLOW))


@feature("relative_spread", warm_up=VOLATILITY_BARS, memory=VOLATILITY_MEMORY, needs=("quotes",))
def _relative_spread(inputs: FeatureInputs) -> np.ndarray:
    return in_volatility(inputs, _quoted_spread(inputs) / inputs.bars.close, 1)


@feature("size_imbalance", warm_up=0, memory=1, needs=("sizes",))
def _size_imbalance(inputs: FeatureInputs) -> np.ndarray:
    bars = inputs.bars
    assert bars.bid_size is not None
    assert bars.ask_size is not None
    return microstructure.size_imbalance(bars.bid_size, bars.ask_size)


@feature("microprice_gap", warm_up=VOLATILITY_BARS, memory=VOLATILITY_MEMORY, needs=("quotes", "sizes"))
def _microprice_gap(inputs: FeatureInputs) -> np.ndarray:
    gap = microstructure.microprice_gap(_quoted_spread(inputs), inputs.bars.close, _size_imbalance(inputs))
    return in_volatility(inputs, gap, 1)


def _quoted_spread(inputs: FeatureInputs) -> np.ndarray:
    assert inputs.bars.spread_close is not None  # needs=("quotes",)
    return inputs.bars.spread_close


def _book_imbalance(inputs: FeatureInputs, levels: int) -> np.ndarray:
    opens, closes = inputs.bars.timestamps, close_times(inputs.bars)
    return order_book.book_imbalance_on_bars(inputs.book, levels, opens, closes)


for _levels in BOOK_LEVELS:
    feature(f"book_imbalance_{_levels}", warm_up=0, memory=1, needs=("book",))(partial(_book_imbalance, levels=_levels))


@feature("order_flow_imbalance", warm_up=0, memory=1, needs=("book",))
def _order_flow_imbalance(inputs: FeatureInputs) -> np.ndarray:
    return order_book.order_flow_on_bars(inputs.book, inputs.bars.timestamps, close_times(inputs.bars))


@feature("trade_imbalance", warm_up=0, memory=1, needs=("trades",))
def _trade_imbalance(inputs: FeatureInputs) -> np.ndarray:
    return order_book.signed_volume_on_bars(inputs.trades, inputs.bars.timestamps, close_times(inputs.bars))


@feature("trade_intensity", warm_up=0, memory=1, needs=("trades",))
def _trade_intensity(inputs: FeatureInputs) -> np.ndarray:
    """ln(1 + trades per second)."""
    counts = order_book.trade_intensity_on_bars(inputs.trades, inputs.bars.timestamps, close_times(inputs.bars))
    return np.log1p(counts)
