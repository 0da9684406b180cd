"""One whole number from each of many generators, in one compiled call.

An account draws its start from a generator of its own. `generator.integers` costs microseconds of
Python for a few nanoseconds of drawing, and where all episodes end together a thousand accounts
draw at once. What is drawn here is the same, and so is where the generators stand afterwards.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, njit, types
from numba.extending import intrinsic

from regimegym.envs.memory import at_address

MOST = 2**32 - 1  # numbers that NumPy draws from 32 bits, by the method below
STATE, NEXT_UINT32 = 0, 2  # places in NumPy's public struct bitgen_t


def draw_below(generators: Sequence[np.random.Generator], size: int) -> np.ndarray:
    """(n,) int64, what `generator.integers(size)` would return of each, in their order; they move on as by that call.

    Args:
        generators: n of NumPy's, of any kind; one that is listed twice draws twice.
        size: 1 ≤ size ≤ MOST.
    """
    assert 1 <= size <= MOST
    structs = np.array([generator.bit_generator.ctypes.bit_generator.value for generator in generators], np.int64)
    out = np.zeros(len(structs), np.int64)
    if size > 1:  # else nothing is drawn
        _draw_below(structs, size, out)
    return out


@njit(cache=True, error_model="numpy")
def _draw_below(structs: np.ndarray, size: int, out: np.ndarray) -> None:
    """Fill `out` with numbers below `size` from the generators whose bitgen_t lie at the addresses `structs` (n,).

    A 32-bit draw times the size, of which the high half counts; draws that would make some numbers likelier are
    taken again. Lemire 2019, Fast random integer generation in an interval, ACM TOMACS 29(1).
    """
    low_half = np.uint64(0xFFFFFFFF)
    least = np.uint64(2**32) % np.uint64(size)
    for i in range(len(structs)):
        struct = carray(at_address(structs[i]), (NEXT_UINT32 + 1,), np.int64)
        product = np.uint64(size) * np.uint64(_call(struct[NEXT_UINT32], struct[STATE]))
        while product & low_half < least:
            product = np.uint64(size) * np.uint64(_call(struct[NEXT_UINT32], struct[STATE]))
        out[i] = np.int64(product >> np.uint64(32))


@intrinsic
def _call_uint32(_typing: Any, function: Any, argument: Any) -> Any:
    """The uint32 that the C function at the address `function` returns of the pointer `argument`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [pointer]).as_pointer()
        called = builder.inttoptr(arguments[0], kind)
        return builder.call(called, [builder.inttoptr(arguments[1], pointer)])

    return types.uint32(types.int64, types.int64), generate


_call: Any = _call_uint32  # an intrinsic is called without its first parameter
