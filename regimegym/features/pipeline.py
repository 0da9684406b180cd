"""From bars and regimes to a table of features."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from regimegym.common.checks import check_choice, check_positive
from regimegym.common.errors import ConfigError, DataError, nearest_name
from regimegym.features.feature import FEATURES, SERIES, Feature, FeatureInputs
from regimegym.features.own import own_feature, told
from regimegym.features.segments import Piece
from regimegym.features.sets import DEFAULT_SET, SETS

LOG = logging.getLogger(__name__)
OnColumn = Callable[[int, int, str], None]
# What names the file of each need; volume and quotes are in the file of the bars, or nowhere.
GIVEN_BY = {"others": "context.others=[FILE]", "book": "context.book=FILE", "trades": "context.trades=FILE"}
GIVEN_BY |= {name: f"context.series={{{name}: FILE}}" for name in SERIES}
NAMED = 4  # names in a list before it says how many more there are
BLOCK_ROWS = 16_384  # made at a time: 128 kB a column, so that all steps of a block stay in the cache
HASHED_ROWS = 65_536  # at a time, so that hashing takes no second table


@dataclass(frozen=True)
class FeatureSettings:
    """Which registered features, in the order of the columns.

    Attributes:
        names: registered names.
        missing: what to do with a feature whose input the data lacks (volume, quotes, other
            instruments, …): `raise`, or `omit` it and log that.
        longest_gap_days: a step between bars that is longer, and longer than five bars, cuts the
            history: nothing is computed across it.
        cache: where tables that take seconds to make are kept: `auto` (the user's cache folder),
            `off`, or a folder, which then keeps every table.
    """

    names: tuple[str, ...] = DEFAULT_SET
    missing: str = "raise"
    longest_gap_days: float = 10.0
    cache: str = "auto"

    def __post_init__(self) -> None:
        names = (self.names,) if isinstance(self.names, str) else tuple(self.names)
        object.__setattr__(self, "names", names)
        check_choice("features.missing", self.missing, ("raise", "omit"))
        check_positive("features.longest_gap_days", self.longest_gap_days)
        if not names:
            raise ConfigError("no-features", "'features.names' is empty", needed="at least one feature")
        for name in names:
            FEATURES.get(name)
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ConfigError("repeated-feature", f"'features.names' holds '{twice[0]}' twice")


def chosen_features(
    names: Sequence[str] = DEFAULT_SET,
    add: Sequence[str] = (),
    drop: Sequence[str] = (),
    missing: str = "raise",
    longest_gap_days: float = 10.0,
    cache: str = "auto",
    *,
    own: Sequence[str] = (),
) -> FeatureSettings:
    """The settings of these features with some more or fewer.

    Args:
        names, missing, longest_gap_days, cache: as in FeatureSettings.
        add: registered features behind them.
        drop: those of `names` that are left out.
        own: import paths of the user's own features, which stand last; what else their modules register
            can be named in `add`. By keyword only: who checks a configuration finds it under its name.

    Raises:
        ConfigError: an unknown feature, one to drop that is not among them, or an own one that cannot be imported.
    """
    names, own = ((given,) if isinstance(given, str) else tuple(given) for given in (names, own))
    absent = [feature for feature in drop if feature not in names]
    if absent:
        raise ConfigError(
            "nothing-to-drop",
            f"'features.drop' names '{absent[0]}', which is not among the features",
            needed=f"one of {', '.join(names)}",
            nearest=nearest_name(absent[0], names),
        )
    kept, registered = [name for name in names if name not in drop], [own_feature(path) for path in own]
    return FeatureSettings((*kept, *add, *registered), missing, longest_gap_days, cache)


def feature_set(
    name: str,
    add: Sequence[str] = (),
    drop: Sequence[str] = (),
    missing: str = "omit",
    longest_gap_days: float = 10.0,
    cache: str = "auto",
    *,
    own: Sequence[str] = (),
) -> FeatureSettings:
    """`chosen_features` of the named set. Raises ConfigError where there is no such set, and as that."""
    if name not in SETS:
        raise ConfigError(
            "unknown-set",
            f"there is no set of features '{name}'",
            needed=f"one of {', '.join(SETS)}",
            nearest=nearest_name(name, SETS),
        )
    return chosen_features(SETS[name], add, drop, missing, longest_gap_days, cache, own=own)


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Unscaled features of T bars; every array is read-only.

    Attributes:
        timestamps: (T,) int64 UTC nanoseconds, start of the bar.
        values: (T, F) float64, each column in one piece of memory; NaN in the warm-ups, finite on all
            other rows.
        names: F feature names, in column order.
        warm_up: number of leading rows without values.
        pieces: contiguous histories in row order, each with a warm-up of its own; one where empty.
    """

    timestamps: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]
    warm_up: int
    pieces: tuple[Piece, ...] = ()

    def __post_init__(self) -> None:
        if not self.pieces:
            object.__setattr__(self, "pieces", (Piece(0, len(self.timestamps), self.warm_up),))
        for name in ("timestamps", "values"):
            frozen = np.asarray(getattr(self, name)).view()
            frozen.flags.writeable = False
            object.__setattr__(self, name, frozen)

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def is_known(self) -> np.ndarray:
        """(T,) whether a row lies after the warm-up of its piece."""
        known = np.zeros(len(self), bool)
        for piece in self.pieces:
            known[piece.first_row : piece.stop] = True
        return known

    @property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over timestamps, names and values."""
        digest = sha256(self.timestamps.tobytes())
        digest.update("\n".join(self.names).encode())
        for start in range(0, len(self), HASHED_ROWS):
            digest.update(np.ascontiguousarray(self.values[start : start + HASHED_ROWS]).data)
        return digest.hexdigest()[:16]


def compute_features(inputs: FeatureInputs, settings: FeatureSettings | None = None) -> FeatureTable:
    """The features that `settings` names, over all bars of one segment.

    The warm-up is the longest of the features', and at least as long as the regimes are unknown.

    Raises:
        DataError: `missing-inputs` when the data lacks what a feature needs;
            `too-few-bars` when no bar would be left after the warm-up;
            `feature-not-finite` when a feature breaks its promise.
    """
    return compute_columns(inputs, usable_features(inputs, settings or FeatureSettings()))


def compute_columns(
    inputs: FeatureInputs,
    features: Sequence[Feature],
    on_column: OnColumn | None = None,
    block_rows: int = BLOCK_ROWS,
) -> FeatureTable:
    """The table of these features; raises as `compute_features`, but looks for no missing inputs.

    Windowed features are made first and `block_rows` at a time: the steps of a whole history would go through
    memory, and asking the system for its pages takes as long as to compute them. `on_column` is told how many
    columns are done, of how many, and the name of the next.
    """
    warm_up = first_known_row(inputs, features)
    values = np.empty((len(features), len(inputs)))  # a column is written in one piece
    columns = list(zip(values, features, strict=True))
    tell = on_column or (lambda done, of, following: None)
    in_blocks = [pair for pair in columns if pair[1].windowed] if len(inputs) > 2 * block_rows else []
    for start in range(0, len(inputs) if in_blocks else 0, block_rows):
        done = start * len(in_blocks) // len(inputs)
        tell(done, len(columns), in_blocks[done][1].name)
        _fill_block(in_blocks, inputs, start, min(start + block_rows, len(inputs)), warm_up)
    for column, feature in in_blocks:
        inputs.put_column(feature.name, column)
    made = {feature.name for _, feature in in_blocks}
    for column, feature in columns:
        if feature.name not in made:
            tell(len(made), len(columns), feature.name)
            if feature.is_built_in:
                feature.compute_into(inputs, column)
            else:
                column[:] = _values_of(feature, inputs)
            _check_finite(column[warm_up:], feature.name, warm_up)
            inputs.put_column(feature.name, column)
            made.add(feature.name)
    values[:, :warm_up] = np.nan
    names = tuple(feature.name for feature in features)
    return FeatureTable(inputs.bars.timestamps, values.T, names, warm_up)


def _fill_block(
    columns: Sequence[tuple[np.ndarray, Feature]], inputs: FeatureInputs, start: int, stop: int, warm_up: int
) -> None:
    """Write the rows [start, stop) of windowed features, from those bars and as many before as they remember."""
    first = max(0, start + 1 - max(feature.memory or 1 for _, feature in columns))
    part = inputs.rows(first, stop)
    known = max(start, warm_up)
    for column, feature in columns:
        column[start:stop] = _values_of(feature, part)[start - first :]
        _check_finite(column[known:stop], feature.name, known)


def _values_of(feature: Feature, inputs: FeatureInputs) -> np.ndarray:
    """The column (T,); what code of the user's own raises, or gives in another shape, is one message."""
    if feature.is_built_in:
        return feature.compute(inputs)
    with told(f"feature '{feature.name}'"):
        values = np.asarray(feature.compute(inputs), dtype=np.float64)
        if values.shape != (len(inputs),):
            raise ValueError(f"its shape is {values.shape}, one value per bar is ({len(inputs)},)")
        return values


def first_known_row(inputs: FeatureInputs, features: Sequence[Feature]) -> int:
    """Rows until all `features` and the regimes are there. Raises DataError when no row is left."""
    rows = {feature.name: feature.warm_up_on(inputs) for feature in features}
    longest = max(rows, key=rows.__getitem__)
    warm_up, n_bars = max(rows[longest], inputs.regimes.warm_up), len(inputs)
    if n_bars <= warm_up:
        raise DataError(
            "too-few-bars",
            f"{inputs.bars.symbol} has {n_bars:,} bars and the features need {warm_up + 1:,}",
            needed=f"more than {warm_up:,} bars (warm-up of '{longest}' and of the regimes)",
            found=f"{n_bars:,} bars",
        )
    return warm_up


def usable_features(inputs: FeatureInputs, settings: FeatureSettings) -> list[Feature]:
    """The features of `settings` for this data; those that cannot be computed are omitted or refused.

    Raises:
        DataError: `missing-inputs`, which lists the features and what they lack.
    """
    features = [FEATURES.get(name) for name in settings.names]
    lacking = {f.name: found for f in features if (found := f.lacks(inputs))}
    if settings.missing == "omit":
        lacking |= {f.name: found for f in features if (found := f.out_of_proportion(inputs.bars))}
    if not lacking:
        return features
    listed = _by_reason(lacking)
    if settings.missing == "raise" or len(lacking) == len(features):
        raise DataError(
            "missing-inputs",
            f"{inputs.bars.symbol} lacks what {len(lacking)} of the features need: {listed}",
            needed=", ".join(sorted({need for needs in lacking.values() for need in needs})),
            found=", ".join(sorted(inputs.available)) or "prices only",
            help=_advice({need for needs in lacking.values() for need in needs}),
        )
    share = f"{len(lacking)} of {len(features)} features"
    LOG.info("%s: %s omitted for lack of input: %s", inputs.bars.symbol, share, listed)
    return [feature for feature in features if feature.name not in lacking]


def _advice(needs: set[str]) -> tuple[str, ...]:
    """How to give what is missing, and how to do without it."""
    given = [f"'{text}'" for need, text in GIVEN_BY.items() if need in needs]
    return (
        *([f"name the files: {' '.join(given)}"] if given else []),
        "or, in a training, do without: features.missing=omit",
    )


def _by_reason(lacking: Mapping[str, Sequence[str]]) -> str:
    """`rsi, adx (volume); …`, of each reason the first few names."""
    names: dict[str, list[str]] = {}
    for name, needs in lacking.items():
        names.setdefault(", ".join(needs), []).append(name)
    return "; ".join(
        f"{', '.join(found[:NAMED])}{f' and {len(found) - NAMED} more' if len(found) > NAMED else ''} ({reason})"
        for reason, found in names.items()
    )


def _check_finite(known: np.ndarray, name: str, warm_up: int) -> None:
    """Refuse a column of which the rows behind the warm-up are not finite; while they are still in the cache."""
    if not np.isfinite(np.dot(known, known)):  # squares that overflow are looked at more closely
        bad = np.flatnonzero(~np.isfinite(known))
        if len(bad):
            row = int(bad[0])
            raise DataError(
                "feature-not-finite", f"feature '{name}' is {known[row]} on row {warm_up + row}, after its warm-up"
            )
