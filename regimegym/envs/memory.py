"""A hint to the processor that compiled code cannot give otherwise."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Begin to load the first and the last byte of array[index], 1-d, into the cache; any index is harmless."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        bytes_ = ir.IntType(8).as_pointer()
        flag = ir.IntType(32)
        fetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [bytes_, flag, flag, flag]), "llvm.prefetch.p0"
        )
        item_size = context.get_abi_sizeof(context.get_data_type(signature.args[0].dtype))
        start = builder.mul(arguments[1], ir.Constant(arguments[1].type, item_size))
        for offset in (0, item_size - 1):
            place = builder.gep(builder.bitcast(data, bytes_), [builder.add(start, ir.Constant(start.type, offset))])
            builder.call(fetch, [place, flag(0), flag(3), flag(1)])  # read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic(prefer_literal=True)
def _stack_room(typing_context: Any, count: Any) -> Any:
    """Address of room for `count` float64 (a compile-time constant) that lives as long as the call does."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = ir.DoubleType()
        with builder.goto_entry_block():
            room = builder.alloca(ir.ArrayType(number, signature.args[0].literal_value))
            room.align = 64
        return builder.bitcast(room, number.as_pointer())

    if not isinstance(count, types.IntegerLiteral):
        return None
    return types.CPointer(types.float64)(count), generate


stack_room: Any = _stack_room  # an intrinsic is called without its first parameter


@intrinsic
def _at_address(typing_context: Any, address: Any) -> Any:
    """An address, held as an integer, as carray takes it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


at_address: Any = _at_address
