"""The named sets of features, and the modules whose import registers them."""

from regimegym.features import context_features, default_features, microstructure_features
from regimegym.features.feature import FEATURES, Feature, FeatureInputs, feature

__all__ = ("DEFAULT_SET", "FEATURES", "MODULES", "SETS", "Feature", "FeatureInputs", "feature")

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
SETS = {
    "default": DEFAULT_SET,
    "microstructure": MICROSTRUCTURE_SET,
    "quotes": QUOTES_SET,
    "order_book": ORDER_BOOK_SET,
    "cross_asset": CROSS_ASSET_SET,
    "alternative": ALTERNATIVE_SET,
}
