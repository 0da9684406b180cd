"""A market, ready for agents: bars, regimes and features, and the tape made of them.

The order is: bars → `prepare_market` → split (tape rows are bar rows) → `fit_scaler` on the
training rows → `build_tape`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from regimegym.common.errors import DataError, ModelError, nearest_name
from regimegym.features.bars import Bars
from regimegym.features.cache import cache_folder, cached_table
from regimegym.features.context import EMPTY, Context, feature_inputs
from regimegym.features.feature import SERIES, Feature, FeatureInputs
from regimegym.features.pipeline import FeatureSettings, FeatureTable, OnColumn, compute_columns, usable_features
from regimegym.features.regimes import Regimes, RegimeSettings, classify_regimes
from regimegym.features.scaling import Scaler
from regimegym.features.segments import Piece, contiguous_rows
from regimegym.features.splits import RowRange
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
    on_column: OnColumn | None = None,
) -> Market:
    """Regimes and features of `bars`, with what `context` lets them join.

    The history is cut at long gaps; each piece has regimes, features and a warm-up of its own.
    Pieces that end before their warm-up does are left out and logged: the market's rows are
    those of the others, one behind the other. `on_column` as in compute_columns.

    Raises:
        DataError: too few bars, or a feature lacks its input.
    """
    settings = feature_settings or FeatureSettings()
    parts = contiguous_rows(bars, settings.longest_gap_days)
    rule = regime_settings or RegimeSettings()
    regimes = classify_regimes(bars.close, rule)
    inputs = feature_inputs(bars, regimes, context)
    features = usable_features(inputs, settings)
    if len(parts) == 1:
        return Market(bars, regimes, _table(inputs, rule, settings, features, on_column), context)
    return _prepare_pieces(inputs, parts, rule, settings, features, on_column, context)


def _table(
    inputs: FeatureInputs,
    rule: RegimeSettings,
    settings: FeatureSettings,
    features: Sequence[Feature],
    on_column: OnColumn | None,
) -> FeatureTable:
    """The table of one piece, from the cache where it keeps one.

    What joins other data, or is computed by code of the user's, is never kept: it may change unseen.
    """
    named = replace(settings, names=tuple(feature.name for feature in features))
    folder = cache_folder(settings.cache, inputs.bars, named)
    joins = inputs.available & {"others", *SERIES, "book", "trades"}
    if folder is None or joins or not all(feature.is_built_in for feature in features):
        return compute_columns(inputs, features, on_column)
    return cached_table(folder, inputs.bars, rule, named, lambda: compute_columns(inputs, features, on_column))


def _prepare_pieces(
    whole: FeatureInputs,
    parts: Sequence[RowRange],
    rule: RegimeSettings,
    settings: FeatureSettings,
    features: Sequence[Feature],
    on_column: OnColumn | None,
    context: Context,
) -> Market:
    bars = whole.bars
    prepared, kept, short = [], [], []
    for part in parts:
        piece = bars.rows(part.start, part.stop)
        inputs = feature_inputs(piece, classify_regimes(piece.close, rule), context)
        try:
            prepared.append((inputs.regimes, _table(inputs, rule, settings, features, on_column)))
            kept.append(part)
        except DataError as error:
            if error.name != "too-few-bars" or (part is parts[-1] and not prepared):
                raise
            short.append(part)
    if short:
        lost = ", ".join(f"{part.start:,}–{part.stop:,}" for part in short)
        LOG.info("%s: %d pieces end before their warm-up and are left out: rows %s", bars.symbol, len(short), lost)
    rows = np.concatenate([np.arange(part.start, part.stop) for part in kept])
    return Market(bars.at(rows), _joined_regimes(prepared), _joined_tables(prepared), context)


def _joined_regimes(prepared: Sequence[tuple[Regimes, FeatureTable]]) -> Regimes:
    return Regimes(
        *(np.concatenate([getattr(regimes, field.name) for regimes, _ in prepared]) for field in fields(Regimes))
    )


def _joined_tables(prepared: Sequence[tuple[Regimes, FeatureTable]]) -> FeatureTable:
    tables = [table for _, table in prepared]
    offsets = np.cumsum([0, *map(len, tables)]).tolist()
    pieces = tuple(
        Piece(offset, offset + len(table), offset + table.warm_up)
        for table, offset in zip(tables, offsets, strict=False)
    )
    values = np.concatenate([table.values.T for table in tables], axis=1).T
    timestamps = np.concatenate([table.timestamps for table in tables])
    return FeatureTable(timestamps, values, tables[0].names, tables[0].warm_up, pieces)


def build_tape(market: Market, scaler: Scaler) -> MarketTape:
    """A segment for each piece of the market, whose first row is the first after warm-up; warm-up rows hold 0.

    Raises ModelError `feature-mismatch` when the scaler belongs to other features.
    """
    bars, table = market.bars, market.table
    if scaler.names != table.names:
        raise _mismatch(scaler.names, table.names)
    features = scaler.transform(table.values)
    features[~table.is_known] = 0.0
    return replace(
        price_tape(bars),
        features=features,
        feature_names=table.names,
        regimes=market.regimes.labels,
        regime_probabilities=market.regimes.probabilities.astype(np.float32),
        segments=tuple(Segment(bars.symbol, *piece) for piece in table.pieces),
        segment_start=np.repeat([p.start for p in table.pieces], [p.stop - p.start for p in table.pieces]),
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
    return FeatureTable(table.timestamps, values, names, table.warm_up, table.pieces)


def _mismatch(expected: Sequence[str], found: Sequence[str]) -> ModelError:
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"extra: {', '.join(extra)}"] if extra else []
    return ModelError(
        "feature-mismatch",
        f"the data's features are not the model's ({'; '.join(parts) or 'other order'})",
        needed=f"the {len(expected)} features of the model",
        found=f"{len(found)} features",
        nearest=nearest_name(missing[0], extra) if missing else None,
        help=("use the feature settings of the model's run",),
    )
