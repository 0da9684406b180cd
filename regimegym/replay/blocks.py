"""Sixteen adjacent numbers at once: what a sum tree asks of a block, each in a few vector instructions.

An intrinsic is compiled into its caller. What it is handed is an array of float64 and the index
where the block begins.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

BLOCK, SHIFT = 16, 4  # numbers of a block and its logarithm; eight took more memory, thirty-two more time
BLOCK_BYTES = 8 * BLOCK  # two cache lines, as long as blocks begin where lines do
NUMBER, LANE = ir.DoubleType(), ir.IntType(32)


def zeros_in_blocks(n: int) -> np.ndarray:
    """(n,) float64 zeros that begin where cache lines do: blocks across three lines are drawn half as fast."""
    room = np.zeros(8 * n + BLOCK_BYTES, np.uint8)
    first = -room.ctypes.data % BLOCK_BYTES
    return room[first : first + 8 * n].view(np.float64)


def _loaded(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """The block as a vector."""
    held = context.make_array(signature.args[0])(context, builder, args[0])
    place = builder.gep(held.data, [args[1]])
    return builder.load(builder.bitcast(place, ir.VectorType(NUMBER, BLOCK).as_pointer()), align=8)


def _picked(builder: Any, a: Any, b: Any, lanes: Sequence[int]) -> Any:
    """A vector of the lanes of `a` and, behind them, `b`."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(LANE, len(lanes)), list(lanes)))


def _every(builder: Any, number: Any) -> Any:
    """A block of equal numbers."""
    undefined = ir.Constant(ir.VectorType(NUMBER, BLOCK), ir.Undefined)
    return _picked(builder, builder.insert_element(undefined, number, LANE(0)), undefined, [0] * BLOCK)


def _folded(builder: Any, block: Any, join: Callable[[Any, Any], Any]) -> Any:
    """The numbers of a block joined by halves: 16 to 8 to 4 to 2 to 1."""
    size = BLOCK
    while size > 1:
        size //= 2
        upper = _picked(builder, block, block, range(size, 2 * size))
        block = join(_picked(builder, block, block, range(size)), upper)
    return builder.extract_element(block, LANE(0))


def _smaller(builder: Any) -> Callable[[Any, Any], Any]:
    return lambda a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b)


def _count_up_to(builder: Any, block: Any, target: Any) -> Any:
    """How many numbers of a block are ≤ target."""
    below = builder.fcmp_ordered("<=", block, _every(builder, target))
    return builder.zext(builder.ctpop(builder.bitcast(below, ir.IntType(BLOCK))), ir.IntType(64))


@intrinsic
def _sum_and_least(_typing: Any, weights: Any, first: Any) -> Any:
    """The sum of a block of weights, and the smallest above zero, infinity where there is none."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _loaded(context, builder, signature, args)
        zeros = ir.Constant(block.type, [0.0] * BLOCK)
        nothing = ir.Constant(block.type, [float("inf")] * BLOCK)
        drawn = builder.select(builder.fcmp_ordered(">", block, zeros), block, nothing)
        found = _folded(builder, block, builder.fadd), _folded(builder, drawn, _smaller(builder))
        return context.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(types.float64, 2)(weights, types.uint64), generate


@intrinsic
def _least(_typing: Any, numbers: Any, first: Any) -> Any:
    """The smallest of a block."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _folded(builder, _loaded(context, builder, signature, args), _smaller(builder))

    return types.float64(numbers, types.uint64), generate


@intrinsic
def _passed(_typing: Any, bounds: Any, first: Any, target: Any) -> Any:
    """How many of a block of bounds are ≤ target."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _count_up_to(builder, _loaded(context, builder, signature, args), args[2])

    return types.uint64(bounds, types.uint64, types.float64), generate


@intrinsic
def _passed_sums(_typing: Any, weights: Any, first: Any, target: Any) -> Any:
    """How many of the cumulative sums of a block of weights are ≤ target."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums = _loaded(context, builder, signature, args)
        zeros = ir.Constant(sums.type, [0.0] * BLOCK)
        for step in (1, 2, 4, 8):  # every lane adds what lies `step` before it
            lanes = [k - step if k >= step else BLOCK for k in range(BLOCK)]
            sums = builder.fadd(sums, _picked(builder, sums, zeros, lanes))
        return _count_up_to(builder, sums, args[2])

    return types.uint64(weights, types.uint64, types.float64), generate


# An intrinsic is called without its first parameter.
sum_and_least_of: Any = _sum_and_least
least_of: Any = _least
passed_of: Any = _passed
passed_sums_of: Any = _passed_sums
