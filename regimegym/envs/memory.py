"""What compiled code cannot say otherwise: room on the stack, arrays by their address."""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic(prefer_literal=True)
def _stack_room(typing_context: Any, count: Any) -> Any:
    """Address of room for `count` float64 (a compile-time constant) that lives as long as the call does."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = ir.DoubleType()
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(number, signature.args[0].literal_value))
            room.align = 64
        return builder.bitcast(room, cgutils.voidptr_t)

    if not isinstance(count, types.IntegerLiteral):
        return None
    return types.voidptr(count), generate


stack_room: Any = _stack_room  # an intrinsic is called without its first parameter


@intrinsic
def _at_address(typing_context: Any, address: Any) -> Any:
    """An address, held as an integer, as carray takes it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


at_address: Any = _at_address


@njit(cache=True, error_model="numpy", forceinline=True)
def dense_rows(values: np.ndarray) -> np.ndarray:
    """The rows of `values` (K, N) float64 and what lies between them, as the compiler can see to be adjacent numbers.

    The numbers of a row must be adjacent, as those of envs.state.field_rows are.
    """
    return carray(at_address(values.ctypes.data), (values.shape[0], values.strides[0] // 8), np.float64)
