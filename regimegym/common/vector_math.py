"""Logarithm, exponential and powers without branches and calls, so that the compiler takes eight numbers at once.

All are within a few units of the last place of the C library's. They hold for what is asked of them: finite
numbers, and a positive, normal one for the logarithm.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

LN2_HIGH = 6.93147180369123816490e-01  # ln 2 in two parts: the first has zeros at its end,
LN2_LOW = 1.90821492927058770002e-10  # so that a small whole multiple of it is exact
LOG2_E = 1.4426950408889634
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD  # √½
MANTISSA = 0x000FFFFFFFFFFFFF
ROUNDER = 6755399441055744.0  # 1.5·2⁵²: added and subtracted it rounds to a whole number
SMALLEST = np.finfo(np.float64).tiny  # positive and normal


@intrinsic
def _bits_of(_typing: Any, number: Any) -> Any:
    """The 64 bits of a float64 as int64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic
def _number_of(_typing: Any, bits: Any) -> Any:
    """The float64 that has these 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


bits_of: Any = _bits_of  # an intrinsic is called without its first parameter
number_of: Any = _number_of


@njit(cache=True, error_model="numpy", forceinline=True)
def natural_log(x: float) -> float:
    """ln x of a positive, normal x.

    x = 2ᵏ·m with m in [√½, √2); ln m = 2·artanh(s) with s = (m − 1)/(m + 1), by its series up to s²³.
    """
    k = (bits_of(x) - SQRT_HALF_BITS) >> 52
    m = number_of(bits_of(x) - (k << 52))
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    series = 2.0 / 23.0
    series = series * z + 2.0 / 21.0
    series = series * z + 2.0 / 19.0
    series = series * z + 2.0 / 17.0
    series = series * z + 2.0 / 15.0
    series = series * z + 2.0 / 13.0
    series = series * z + 2.0 / 11.0
    series = series * z + 2.0 / 9.0
    series = series * z + 2.0 / 7.0
    series = series * z + 2.0 / 5.0
    series = series * z + 2.0 / 3.0
    series = series * z
    half_square = 0.5 * f * f
    n = number_of(bits_of(ROUNDER) + k) - ROUNDER  # k as a float64
    return n * LN2_HIGH - ((half_square - (s * (half_square + series) + n * LN2_LOW)) - f)


@njit(cache=True, error_model="numpy", forceinline=True)
def _scaled_series(x: float) -> tuple[float, float]:
    """2ᵏ and eʳ − 1 with eˣ = 2ᵏ·eʳ and |r| ≤ ½·ln 2, by its series up to r¹², for |x| ≤ 708.4."""
    shifted = x * LOG2_E + ROUNDER
    n = shifted - ROUNDER
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    series = 1.0 / 479001600.0
    series = series * r + 1.0 / 39916800.0
    series = series * r + 1.0 / 3628800.0
    series = series * r + 1.0 / 362880.0
    series = series * r + 1.0 / 40320.0
    series = series * r + 1.0 / 5040.0
    series = series * r + 1.0 / 720.0
    series = series * r + 1.0 / 120.0
    series = series * r + 1.0 / 24.0
    series = series * r + 1.0 / 6.0
    series = series * r + 0.5
    series = series * r + 1.0
    return number_of((bits_of(shifted) + 1023) << 52), series * r


@njit(cache=True, error_model="numpy", forceinline=True)
def exponential_minus_one(x: float) -> float:
    """eˣ − 1, also near 0."""
    power, rest = _scaled_series(x)
    return power * rest + (power - 1.0)


@njit(cache=True, error_model="numpy", forceinline=True)
def exponential(x: float) -> float:
    """eˣ."""
    power, rest = _scaled_series(x)
    return power + power * rest


@njit(cache=True, error_model="numpy", forceinline=True)
def power_of(x: float, exponent: float) -> float:
    """x to an exponent in [0, 1], for x ≥ 0; what is too small to be normal counts as the smallest that is."""
    return exponential(exponent * natural_log(max(x, SMALLEST)))


@njit(cache=True, error_model="numpy", forceinline=True)
def raise_all(numbers: np.ndarray, exponent: float) -> None:
    """power_of of each of the numbers, in place; two loops of few constants are quicker than one of many."""
    for i in range(len(numbers)):
        numbers[i] = exponent * natural_log(max(numbers[i], SMALLEST))
    for i in range(len(numbers)):
        numbers[i] = exponential(numbers[i])
