"""The named sets of features, and the modules whose import registers them."""

from regimegym.features import context_features, default_features, microstructure_features, recipe_features
from regimegym.features.feature import FEATURES, Feature, FeatureInputs, feature

__all__ = ("DEFAULT_SET", "FEATURES", "MODULES", "Feature", "FeatureInputs", "feature")

MODULES = (
    default_features,
    microstructure_features,
    context_features,
    recipe_features,
)  # importing them registers their features

DEFAULT_SET = (
    *("return_1", "return_2", "return_5", "return_10", "return_20", "return_40", "return_80"),
    *("trend_score", "relative_volatility"),
    *("average_gap_5", "average_gap_20", "average_gap_60"),
    *("volatility_ratio", "adx", "slope", "persistence", "rsi", "stochastic_k", "stochastic_d"),
    *("bollinger_position", "bollinger_width"),
    *("probability_uptrend", "probability_downtrend", "probability_plateau", "probability_oscillating"),
    "volume_z",
)

_SUMS = (
    *("return_2", "return_5", "return_10", "return_20", "return_40", "return_80"),
    *("level_score_20", "level_score_60", "level_score_120", "path_score_20", "path_score_60", "path_score_120"),
    *("average_gap_5", "average_gap_20", "average_gap_60", "log_volatility_10_60", "log_volatility_20_200"),
)
RECIPE_SET = ("return_1", *(f"lagged_return_{lag}" for lag in recipe_features.LAGS), *_SUMS)
TREND_SET = (
    "return_1",
    *_SUMS,
    *("log_volatility_10_500", "log_volatility_30_500", "log_volatility_100_500", "swing"),
)
