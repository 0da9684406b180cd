"""The features of what stands beside the bars: other instruments, and series of sentiment, news and mentions.

The first of the other instruments is the reference; relative strength and ranks use all of them.
What is not known on a bar – another instrument that has not traded for long, a window that
begins before its data – counts as nothing unusual: 0, and ½ for a rank.
"""

import numpy as np

from regimegym.features import alternative, cross_asset
from regimegym.features.alignment import close_times, closes_as_of
from regimegym.features.default_features import VOLATILITY_BARS, VOLATILITY_MEMORY, in_volatility
from regimegym.features.feature import FeatureInputs, feature

STALE_BARS = 5  # of the longer of both bar lengths; an older close is no price of today
WINDOW = 60  # bars
BREAK_FAST, BREAK_SLOW = 20, 120
MOST_LAGS = 5
MOMENTUM = 20
NEWS_HALF_LIFE_BARS = 12.0
SENTIMENT_BARS = 120  # an older sentiment counts as neutral
MENTION_BARS = 48


def _other_closes(inputs: FeatureInputs) -> np.ndarray:
    """(N, T) closes of the other instruments as of each bar's close; NaN where there is none of today."""

    def join() -> np.ndarray:
        clock, own = close_times(inputs.bars), inputs.bars.timeframe_ns
        return np.stack(
            [closes_as_of(bars, clock, STALE_BARS * max(own, bars.timeframe_ns)) for bars in inputs.others.values()]
        )

    return inputs.shared("other closes", join)


def _changes(inputs: FeatureInputs) -> tuple[np.ndarray, np.ndarray]:
    """Log changes of the instrument and of the reference, each (T,)."""
    return inputs.shared(
        "changes",
        lambda: (cross_asset.log_changes(inputs.bars.close), cross_asset.log_changes(_other_closes(inputs)[0])),
    )


def _neutral(values: np.ndarray, neutral: float = 0.0) -> np.ndarray:
    return np.where(np.isnan(values), neutral, values)


@feature("reference_correlation", warm_up=WINDOW, memory=WINDOW + 1, needs=("others",))
def _reference_correlation(inputs: FeatureInputs) -> np.ndarray:
    return _neutral(cross_asset.rolling_correlation(*_changes(inputs), WINDOW))


@feature(
    "reference_correlation_break",
    warm_up=BREAK_FAST + BREAK_SLOW,
    memory=BREAK_FAST + BREAK_SLOW + 1,
    needs=("others",),
)
def _reference_correlation_break(inputs: FeatureInputs) -> np.ndarray:
    return _neutral(cross_asset.correlation_break(*_changes(inputs), BREAK_FAST, BREAK_SLOW))


@feature("reference_beta", warm_up=WINDOW, memory=WINDOW + 1, needs=("others",))
def _reference_beta(inputs: FeatureInputs) -> np.ndarray:
    return _neutral(cross_asset.rolling_beta(*_changes(inputs), WINDOW))


@feature("reference_residual", warm_up=WINDOW + 1, memory=VOLATILITY_MEMORY, needs=("others",))
def _reference_residual(inputs: FeatureInputs) -> np.ndarray:
    return in_volatility(inputs, _neutral(cross_asset.residual_return(*_changes(inputs), WINDOW)), 1)


def _lead(inputs: FeatureInputs) -> tuple[np.ndarray, np.ndarray]:
    return inputs.shared("lead", lambda: cross_asset.lead_lag(*_changes(inputs), MOST_LAGS, WINDOW))


@feature("reference_lead", warm_up=WINDOW + MOST_LAGS, memory=WINDOW + MOST_LAGS + 1, needs=("others",))
def _reference_lead(inputs: FeatureInputs) -> np.ndarray:
    """Correlation with the past move of the reference that foretold this instrument best."""
    return _neutral(_lead(inputs)[1])


@feature("reference_lag", warm_up=WINDOW + MOST_LAGS, memory=WINDOW + MOST_LAGS + 1, needs=("others",))
def _reference_lag(inputs: FeatureInputs) -> np.ndarray:
    """By how many bars it did, 1 … 5; 0 where it is not known."""
    return _neutral(_lead(inputs)[0])


@feature("relative_strength", warm_up=VOLATILITY_BARS, memory=VOLATILITY_MEMORY, needs=("others",))
def _relative_strength(inputs: FeatureInputs) -> np.ndarray:
    own = cross_asset.momentum(inputs.bars.close, MOMENTUM)
    others = cross_asset.momentum(_other_closes(inputs), MOMENTUM)
    return in_volatility(inputs, _neutral(cross_asset.relative_strength(own, others)), MOMENTUM)


@feature("rotation_rank", warm_up=MOMENTUM, memory=MOMENTUM + 1, needs=("others",))
def _rotation_rank(inputs: FeatureInputs) -> np.ndarray:
    """Rank of this instrument's momentum among all, 0 weakest … 1 strongest."""
    closes = np.concatenate([inputs.bars.close[None], _other_closes(inputs)])
    return _neutral(cross_asset.rotation_ranks(cross_asset.momentum(closes, MOMENTUM))[0], 0.5)


@feature("sentiment", warm_up=0, needs=("sentiment",))
def _sentiment(inputs: FeatureInputs) -> np.ndarray:
    longest = SENTIMENT_BARS * inputs.bars.timeframe_ns
    return alternative.sentiment_on_bars(inputs.series["sentiment"], close_times(inputs.bars), longest)


@feature("news_impact", warm_up=0, needs=("news",), scale_free=False)
def _news_impact(inputs: FeatureInputs) -> np.ndarray:
    news, half_life = inputs.series["news"], NEWS_HALF_LIFE_BARS * inputs.bars.timeframe_ns
    return alternative.decayed_impact(news.published, news.values, close_times(inputs.bars), half_life)


@feature("mention_burst", warm_up=MENTION_BARS, memory=MENTION_BARS + 1, needs=("mentions",))
def _mention_burst(inputs: FeatureInputs) -> np.ndarray:
    counts = alternative.mentions_on_bars(inputs.series["mentions"], inputs.bars.timestamps, close_times(inputs.bars))
    return alternative.mention_burst(counts, MENTION_BARS)
