"""A market, ready for agents: bars, regimes and features, and the tape made of them.

The order is: bars → `prepare_market` → split (tape rows are bar rows) → `fit_scaler` on the
training rows → `build_tape`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from regimegym.common.errors import ModelError, nearest_name
from regimegym.features.bars import Bars
from regimegym.features.context import EMPTY, Context, feature_inputs
from regimegym.features.pipeline import FeatureSettings, FeatureTable, compute_features
from regimegym.features.regimes import Regimes, RegimeSettings, classify_regimes
from regimegym.features.scaling import Scaler
from regimegym.features.tape import MarketTape, Segment, price_tape

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Market:
    """Bars with their regimes and unscaled features, row by row the same T bars, and what stood beside them."""

    bars: Bars
    regimes: Regimes
    table: FeatureTable
    context: Context = EMPTY


def prepare_market(
    bars: Bars,
    regime_settings: RegimeSettings | None = None,
    feature_settings: FeatureSettings | None = None,
    context: Context = EMPTY,
) -> Market:
    """Regimes and features of `bars`, with what `context` lets them join.

    Raises:
        DataError: too few bars, or a feature lacks its input.
    """
    regimes = classify_regimes(bars.close, regime_settings)
    table = compute_features(feature_inputs(bars, regimes, context), feature_settings)
    return Market(bars, regimes, table, context)


def build_tape(market: Market, scaler: Scaler) -> MarketTape:
    """One segment of T rows whose first row is the first after warm-up; warm-up rows hold 0.

    Raises ModelError `feature-mismatch` when the scaler belongs to other features.
    """
    bars, table = market.bars, market.table
    if scaler.names != table.names:
        raise _mismatch(scaler.names, table.names)
    features = scaler.transform(table.values)
    features[: table.warm_up] = 0.0
    return replace(
        price_tape(bars),
        features=features,
        feature_names=table.names,
        regimes=market.regimes.labels,
        regime_probabilities=market.regimes.probabilities.astype(np.float32),
        segments=(Segment(bars.symbol, 0, len(bars), table.warm_up),),
    )


def align_features(model_names: Sequence[str], table: FeatureTable) -> FeatureTable:
    """`table` in the column order of the model.

    The same names in another order are realigned and logged; nothing is ever filled in.

    Raises ModelError `feature-mismatch` that lists every missing and every extra name.
    """
    names = tuple(model_names)
    if names == table.names:
        return table
    if sorted(names) != sorted(table.names):
        raise _mismatch(names, table.names)
    LOG.info("features were realigned by name to the order of the model")
    values = table.values[:, [table.names.index(name) for name in names]]
    return FeatureTable(table.timestamps, values, names, table.warm_up)


def _mismatch(expected: Sequence[str], found: Sequence[str]) -> ModelError:
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"extra: {', '.join(extra)}"] if extra else []
    return ModelError(
        "feature-mismatch",
        f"the data's features are not the model's ({'; '.join(parts) or 'other order'})",
        needed=", ".join(expected),
        found=", ".join(found),
        nearest=nearest_name(missing[0], extra) if missing else None,
        help=("use the feature settings of the model's run",),
    )
