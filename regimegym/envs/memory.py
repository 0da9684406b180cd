"""What compiled code cannot say otherwise: hints to the processor, room on the stack, arrays by their address."""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic


def _prefetch(for_writing: bool) -> Any:
    """An intrinsic that begins to load the first and the last byte of array[index] into the cache."""

    def declare(typing_context: Any, array: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = signature.args[0]
            held = context.make_array(kind)(context, builder, arguments[0])
            size = cgutils.unpack_tuple(builder, held.strides)[0]
            bytes_, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
            fetch = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), [bytes_, flag, flag, flag]), "llvm.prefetch.p0"
            )
            start = builder.mul(arguments[1], size)
            for offset in (start, builder.add(start, builder.sub(size, ir.Constant(size.type, 1)))):
                place = builder.gep(builder.bitcast(held.data, bytes_), [offset])
                builder.call(fetch, [place, flag(int(for_writing)), flag(3), flag(1)])  # keep, data
            return context.get_dummy_value()

        return types.void(array, types.intp), generate

    return intrinsic(declare)


# (array, index): nothing is read or changed, any index is harmless.
prefetch: Any = _prefetch(for_writing=False)
prefetch_to_write: Any = _prefetch(for_writing=True)


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
