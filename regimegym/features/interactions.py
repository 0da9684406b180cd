"""Interactions and polynomial terms: exact products of registered features, named after them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

from regimegym.features import default_features, families, ranges, technical
from regimegym.features.feature import FEATURES, Feature

FACTORS = (default_features, families, ranges, technical)  # must be registered before their products

PAIRS = (
    *(("rsi", "adx"), ("rsi", "relative_volatility"), ("rsi", "momentum_30"), ("rsi", "range_position_60")),
    *(("trend_score", "relative_volatility"), ("trend_score", "adx"), ("trend_score", "efficiency_30")),
    *(("momentum_10", "volatility_ratio"), ("momentum_30", "fit_30"), ("momentum_60", "relative_volatility")),
    *(("slope", "adx"), ("return_1", "relative_volatility"), ("return_1", "bollinger_position")),
    *(("close_z_60", "volatility_ratio"), ("residual_30", "fit_30"), ("body", "range_expansion_10")),
    *(("probability_uptrend", "momentum_30"), ("probability_downtrend", "momentum_30")),
    *(("probability_oscillating", "bollinger_position"), ("probability_plateau", "range_expansion_30")),
)
POWERS = (("trend_score", 2), ("momentum_30", 2), ("close_z_60", 2), ("return_1", 2), ("return_1", 3))
POWER_NAMES = {2: "squared", 3: "cubed"}
Value = TypeVar("Value", bound=Any)


@dataclass(frozen=True)
class ProductFeature(Feature):
    """The product of the features called `factors`, row by row."""

    factors: tuple[str, ...] = ()


def register_product(name: str, factors: tuple[str, ...]) -> None:
    """File the product of the registered `factors` as the feature `name`."""
    parts = [FEATURES.get(factor) for factor in factors]
    memories = [part.memory for part in parts]
    FEATURES.register(name)(
        ProductFeature(
            name,
            lambda inputs: product([inputs.column(factor) for factor in factors]),
            warm_up=max(part.warm_up for part in parts),
            memory=None if None in memories else max(memory for memory in memories if memory is not None),
            needs=tuple(sorted({need for part in parts for need in part.needs})),
            scale_free=all(part.scale_free for part in parts),
            factors=factors,
        )
    )


def product(columns: Sequence[Value]) -> Value:
    """The columns (or numbers) multiplied from the left."""
    return prod(columns[1:], start=columns[0])


for _pair in PAIRS:
    register_product("_x_".join(_pair), _pair)
for _name, _power in POWERS:
    register_product(f"{_name}_{POWER_NAMES[_power]}", (_name,) * _power)
NAMES = (
    *("_x_".join(pair) for pair in PAIRS),
    *(f"{name}_{POWER_NAMES[power]}" for name, power in POWERS),
)
