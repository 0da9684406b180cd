"""Windows of features that end at given rows, copied row by row as memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from regimegym.features.tape import MarketTape


@intrinsic  # a loop over elements, or NumPy's slices, reach half of this on windows of a few kilobytes
def _copy_rows(_typing: Any, target: Any, target_row: Any, source: Any, source_row: Any, n_rows: Any) -> Any:
    """memcpy of `n_rows` rows of the C-contiguous matrix `source` into `target`, of the same dtype and width."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to, to_row, origin, from_row, count = args
        places = []
        for kind, matrix, row in ((signature.args[0], to, to_row), (signature.args[2], origin, from_row)):
            array = context.make_array(kind)(context, builder, matrix)
            row_bytes = cgutils.unpack_tuple(builder, array.strides)[0]
            start = builder.bitcast(array.data, cgutils.voidptr_t)
            places.append(builder.gep(start, [builder.mul(row, row_bytes)]))
        cgutils.raw_memcpy(builder, places[0], places[1], count, row_bytes)
        return context.get_dummy_value()

    index = types.intp
    return types.void(target, index, source, index, index), generate


@njit(cache=True, error_model="numpy")
def write_windows(features: np.ndarray, segment_start: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Copy the windows that end at `rows` (N,) into `out` (N, W, F); zeros before the segment."""
    n, length, width = out.shape
    flat = out.reshape((n * length, width))
    for i in range(n):
        write_window(flat, i * length, features, segment_start[rows[i]], rows[i], length)


@njit(cache=True, error_model="numpy", forceinline=True)
def write_window(flat: np.ndarray, at: int, features: np.ndarray, start: int, row: int, length: int) -> None:
    """Write the window that ends at `row` over the rows `at` … of `flat`; zeros stand for what is before `start`."""
    missing = max(0, length - 1 - (row - start))
    flat[at : at + missing] = 0.0
    _copy_rows(flat, at + missing, features, row + 1 - length + missing, length - missing)  # type: ignore[call-arg]


def gather_windows(tapes: Sequence[MarketTape], references: np.ndarray, out: np.ndarray) -> None:
    """Copy the windows that end at `references` (N,) into `out` (N, W, F); zeros before a segment.

    A reference is tape · T + row; all tapes have T rows.
    """
    if len(tapes) == 1:
        write_windows(tapes[0].features, tapes[0].segment_start, references, out)
        return
    indices, rows = np.divmod(references, len(tapes[0]))
    for k in np.unique(indices):
        which = np.flatnonzero(indices == k)
        part = np.empty((len(which), *out.shape[1:]), np.float32)
        write_windows(tapes[k].features, tapes[k].segment_start, rows[which], part)
        out[which] = part
