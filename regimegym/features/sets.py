"""The named sets of features, and the modules whose import registers them."""

from regimegym.features import (
    calendar_features,
    consolidation,
    context_features,
    default_features,
    families,
    interactions,
    jumps,
    microstructure_features,
    ranges,
    recipe_features,
    technical,
    timeframes,
    volumes,
)
from regimegym.features.feature import FEATURES, Feature, FeatureInputs, feature

__all__ = (
    "DEFAULT_SET",
    "FEATURES",
    "LSTM_SET",
    "MINIMAL_SET",
    "MODULES",
    "RECIPE_SET",
    "SETS",
    "TREND_SET",
    "XGBOOST_SET",
    "Feature",
    "FeatureInputs",
    "feature",
)

# Importing them registers their features.
MODULES = (
    *(default_features, families, ranges, technical, jumps, volumes, calendar_features, timeframes, interactions),
    *(microstructure_features, context_features, consolidation, recipe_features),
)


def windows(family: str, *lengths: int) -> tuple[str, ...]:
    """Names of a family over several windows."""
    return tuple(f"{family}_{length}" for length in lengths)


DEFAULT_SET = (
    *("return_1", "return_2", "return_5", "return_10", "return_20", "return_40", "return_80"),
    *("trend_score", "relative_volatility"),
    *("average_gap_5", "average_gap_20", "average_gap_60"),
    *("volatility_ratio", "adx", "slope", "persistence", "rsi", "stochastic_k", "stochastic_d"),
    *("bollinger_position", "bollinger_width"),
    *("probability_uptrend", "probability_downtrend", "probability_plateau", "probability_oscillating"),
    "volume_z",
)
MINIMAL_SET = (
    *("return_1", "return_5", "return_20", "trend_score", "relative_volatility"),
    *("rsi", "bollinger_position", "volatility_ratio"),
)
LSTM_SET = (
    *DEFAULT_SET[:-1],
    *("momentum_10", "momentum_30", "momentum_60", "range_position_60", "slope_30", "fit_30", "residual_30"),
    *("efficiency_30", "autocorrelation_30", "range_ratio_20", "range_expansion_10", "volatility_breakout_20"),
    *("body", "upper_shadow", "lower_shadow", "week_sine", "week_cosine", "hour_sine", "hour_cosine"),
    *("volume_surge_20", "signed_volume_30"),
)
XGBOOST_SET = (
    *DEFAULT_SET[:-1],
    "hour_sine",
    "hour_cosine",
    "week_sine",
    "week_cosine",
    *windows("momentum", 10, 30, 60, 120),
    *windows("up_share", 10, 30, 60),
    *windows("efficiency", 10, 30, 60),
    *windows("range_position", 10, 30, 60, 120),
    *windows("high_gap", 20, 60, 120),
    *windows("low_gap", 20, 60, 120),
    *windows("close_z", 10, 40, 60, 120),
    *windows("slope", 10, 30, 60, 120),
    *windows("fit", 10, 30, 60, 120),
    *windows("residual", 10, 30, 60, 120),
    *windows("volatility", 10, 20, 60, 120),
    *windows("skew", 30, 60, 120),
    *windows("kurtosis", 30, 60, 120),
    *windows("autocorrelation", 30, 60, 120),
    *windows("jump_share", 30, 60),
    *windows("variance_ratio", 60, 120),
    *windows("downside_share", 20, 60),
    *windows("volatility_of_volatility", 20, 60),
    *windows("largest_gain", 20, 60),
    *windows("largest_loss", 20, 60),
    *windows("aroon_up", 25, 60),
    *windows("aroon_down", 25, 60),
    *windows("turning_share", 20, 60),
    *windows("parkinson", 20, 60),
    *windows("garman_klass", 20, 60),
    *windows("rogers_satchell", 20, 60),
    *windows("yang_zhang", 20, 60),
    *windows("range_ratio", 20, 60),
    *windows("range_expansion", 10, 30),
    "body",
    "upper_shadow",
    "lower_shadow",
    "close_location",
    *windows("body_mean", 5, 20),
    *windows("shadow_balance", 10),
    *windows("inside_share", 20),
    *windows("outside_share", 20),
    "overlap",
    "opening_gap",
    *windows("true_range", 14, 50),
    *windows("rsi", 7, 21),
    *windows("adx", 7),
    "plus_di",
    "minus_di",
    *windows("commodity_channel", 14, 40),
    "ultimate_oscillator",
    "macd",
    "macd_signal",
    "macd_histogram",
    "trix",
    *windows("average_gap", 10, 40),
    "double_average_gap",
    "weighted_average_gap",
    *windows("average_cross_5", 20),
    *windows("average_cross_10", 40),
    "keltner_position",
    *windows("volatility_ratio_5", 20),
    *windows("volatility_ratio_20", 120),
    *windows("return_1_lag", 1, 2, 3, 4, 5),
    "rsi_change",
    "adx_change",
    "momentum_30_change",
    "volatility_ratio_5_20_change",
    "trend_strength",
    *windows("momentum_acceleration", 5, 20),
    *windows("volatility_breakout", 20, 60),
    *windows("range_breakout", 20, 60),
    *windows("choppiness", 14, 50),
    *windows("compression", 20, 60),
    *windows("stay_in_range", 20, 60),
    *windows("volume_surge", 10, 20, 60),
    *windows("volume_score", 20, 120),
    *windows("volume_dispersion", 20),
    *windows("volume_trend", 60),
    *windows("signed_volume", 10, 30),
    *windows("money_flow", 20),
    *windows("money_flow_index", 14),
    *windows("average_price_gap", 20),
    *windows("volume_impact", 30),
    "volume_change",
    *timeframes.CHANGE_NAMES,
    *timeframes.TIMEFRAME_NAMES,
    *interactions.NAMES,
)
MICROSTRUCTURE_SET = (
    *DEFAULT_SET,
    *("amihud", "roll_spread", "corwin_schultz_spread", "kyle_lambda", "volume_imbalance", "volume_intensity"),
)
QUOTES_SET = (*MICROSTRUCTURE_SET, "relative_spread", "size_imbalance", "microprice_gap")
ORDER_BOOK_SET = (
    *MICROSTRUCTURE_SET,
    *("book_imbalance_1", "book_imbalance_3", "book_imbalance_5", "order_flow_imbalance"),
    *("trade_imbalance", "trade_intensity"),
)
CROSS_ASSET_SET = (
    *DEFAULT_SET,
    *("reference_correlation", "reference_correlation_break", "reference_beta", "reference_residual"),
    *("reference_lead", "reference_lag", "relative_strength", "rotation_rank"),
)
ALTERNATIVE_SET = (*DEFAULT_SET, "sentiment", "news_impact", "mention_burst")
_SUMS = (
    *windows("return", 2, 5, 10, 20, 40, 80),
    *windows("level_score", 20, 60, 120),
    *windows("path_score", 20, 60, 120),
    *windows("average_gap", 5, 20, 60),
    *("log_volatility_10_60", "log_volatility_20_200"),
)
RECIPE_SET = ("return_1", *windows("lagged_return", *recipe_features.LAGS), *_SUMS)
TREND_SET = (
    *("return_1", *_SUMS),
    *("log_volatility_10_500", "log_volatility_30_500", "log_volatility_100_500", "swing"),
)
SETS = {
    "default": DEFAULT_SET,
    "minimal": MINIMAL_SET,
    "lstm": LSTM_SET,
    "xgboost": XGBOOST_SET,
    "microstructure": MICROSTRUCTURE_SET,
    "quotes": QUOTES_SET,
    "order_book": ORDER_BOOK_SET,
    "cross_asset": CROSS_ASSET_SET,
    "alternative": ALTERNATIVE_SET,
    "recipe": RECIPE_SET,
    "trend": TREND_SET,
}
