"""The named sets of features, and the modules whose import registers them."""

from regimegym.features import context_features, default_features, microstructure_features
from regimegym.features.feature import FEATURES, Feature, FeatureInputs, feature

__all__ = ("DEFAULT_SET", "FEATURES", "MODULES", "Feature", "FeatureInputs", "feature")

MODULES = (default_features, microstructure_features, context_features)  # importing them registers their features

DEFAULT_SET = (
    *("return_1", "return_2", "return_5", "return_10", "return_20", "return_40", "return_80"),
    *("trend_score", "relative_volatility"),
    *("average_gap_5", "average_gap_20", "average_gap_60"),
    *("volatility_ratio", "adx", "slope", "persistence", "rsi", "stochastic_k", "stochastic_d"),
    *("bollinger_position", "bollinger_width"),
    *("probability_uptrend", "probability_downtrend", "probability_plateau", "probability_oscillating"),
    "volume_z",
)
