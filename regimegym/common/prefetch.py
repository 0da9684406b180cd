"""Hints to the processor that compiled code cannot give otherwise."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
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
