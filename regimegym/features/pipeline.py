"""From bars and regimes to a table of features."""

import logging
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from regimegym.common.checks import check_choice
from regimegym.common.errors import ConfigError, DataError
from regimegym.features.feature import FEATURES, Feature, FeatureInputs
from regimegym.features.sets import DEFAULT_SET

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeatureSettings:
    """Which registered features, in the order of the columns.

    Attributes:
        names: registered names.
        missing: what to do with a feature whose input the data lacks (volume, quotes, other
            instruments, …): `raise`, or `omit` it and log that.
    """

    names: tuple[str, ...] = DEFAULT_SET
    missing: str = "raise"

    def __post_init__(self) -> None:
        names = (self.names,) if isinstance(self.names, str) else tuple(self.names)
        object.__setattr__(self, "names", names)
        check_choice("features.missing", self.missing, ("raise", "omit"))
        if not names:
            raise ConfigError("no-features", "'features.names' is empty", needed="at least one feature")
        for name in names:
            FEATURES.get(name)
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ConfigError("repeated-feature", f"'features.names' holds '{twice[0]}' twice")


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Unscaled features of T bars; every array is read-only.

    Attributes:
        timestamps: (T,) int64 UTC nanoseconds, start of the bar.
        values: (T, F) float64; NaN on the first `warm_up` rows, finite on all others.
        names: F feature names, in column order.
        warm_up: number of leading rows without values.
    """

    timestamps: np.ndarray
    values: np.ndarray
    names: tuple[str, ...]
    warm_up: int

    def __post_init__(self) -> None:
        for name in ("timestamps", "values"):
            frozen = np.ascontiguousarray(getattr(self, name)).view()
            frozen.flags.writeable = False
            object.__setattr__(self, name, frozen)

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over timestamps, names and values."""
        digest = sha256(self.timestamps.tobytes())
        digest.update("\n".join(self.names).encode())
        digest.update(self.values.tobytes())
        return digest.hexdigest()[:16]


def compute_features(inputs: FeatureInputs, settings: FeatureSettings | None = None) -> FeatureTable:
    """The features that `settings` names, over all bars of one segment.

    The warm-up is the longest of the features', and at least as long as the regimes are unknown.

    Raises:
        DataError: `missing-inputs` when the data lacks what a feature needs;
            `too-few-bars` when no bar would be left after the warm-up;
            `feature-not-finite` when a feature breaks its promise.
    """
    bars = inputs.bars
    features = usable_features(inputs, settings or FeatureSettings())
    longest = max(features, key=lambda feature: feature.warm_up)
    warm_up = max(longest.warm_up, inputs.regimes.warm_up)
    if len(bars) <= warm_up:
        raise DataError(
            "too-few-bars",
            f"{bars.symbol} has {len(bars):,} bars and the features need {warm_up + 1:,}",
            needed=f"more than {warm_up:,} bars (warm-up of '{longest.name}' and of the regimes)",
            found=f"{len(bars):,} bars",
        )
    values = np.empty((len(bars), len(features)))
    for i, feature in enumerate(features):
        values[:, i] = feature.compute(inputs)
    values[:warm_up] = np.nan
    names = tuple(feature.name for feature in features)
    _check_finite(values[warm_up:], names, warm_up)
    return FeatureTable(bars.timestamps, values, names, warm_up)


def usable_features(inputs: FeatureInputs, settings: FeatureSettings) -> list[Feature]:
    """The features of `settings` for this data; those that cannot be computed are omitted or refused.

    Raises:
        DataError: `missing-inputs`, which lists the features and what they lack.
    """
    features = [FEATURES.get(name) for name in settings.names]
    available = inputs.available
    lacking = {f.name: sorted(set(f.needs) - available) for f in features if set(f.needs) - available}
    if not lacking:
        return features
    listed = ", ".join(f"{name} ({', '.join(needs)})" for name, needs in lacking.items())
    if settings.missing == "raise" or len(lacking) == len(features):
        raise DataError(
            "missing-inputs",
            f"{inputs.bars.symbol} lacks what {len(lacking)} of the features need: {listed}",
            needed=", ".join(sorted({need for needs in lacking.values() for need in needs})),
            found=", ".join(sorted(available)) or "prices only",
            help=("leave them out of features.names, or set features.missing=omit",),
        )
    LOG.info("%s: %d features omitted for lack of input: %s", inputs.bars.symbol, len(lacking), listed)
    return [feature for feature in features if feature.name not in lacking]


def _check_finite(values: np.ndarray, names: tuple[str, ...], warm_up: int) -> None:
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            "feature-not-finite",
            f"feature '{names[column]}' is {values[row, column]} on row {row + warm_up}, after its warm-up",
        )
