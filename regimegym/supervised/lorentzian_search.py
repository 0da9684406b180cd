"""Nearest neighbours by the Lorentzian distance Σ ln(1 + |a − b|), over all rows or over the lists of near pivots.

The sum of logarithms is the logarithm of a product: one per pair of rows instead of one per feature. Rows
lie transposed in blocks, so that a block's products grow side by side.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

BLOCK = 64  # rows whose products are built side by side
GROUP = 16  # queries that pass a block while it is in the cache
LARGEST = 300.0  # decimal digits that a product may have
NO_CLOCK = np.iinfo(np.int64).max


class Neighbours(NamedTuple):
    """(Q, k) rows of the index, the nearest first, −1 where there are fewer; and their distances, ∞ there."""

    rows: np.ndarray
    distances: np.ndarray


class Index(NamedTuple):
    """Rows to be searched, sorted into one list or several.

    Attributes:
        blocks: (n_blocks, F, BLOCK) float32, ∞ where a list does not fill its last block.
        rows: (n_blocks, BLOCK) int64 row of each, −1 there.
        known: (N,) int64 clock at which the label of each row is known.
        starts: (L + 1,) int64 first block of each list.
        pivots: (L, F) float32, the row around which each list lies; none where there is one list.
        group: features after which a product must be turned into a logarithm.
    """

    blocks: np.ndarray
    rows: np.ndarray
    known: np.ndarray
    starts: np.ndarray
    pivots: np.ndarray
    group: int


def lorentzian_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ_f ln(1 + |a_f − b_f|) over the last axis: zero for equals, symmetric, and keeps the triangle inequality."""
    return np.log1p(np.abs(a - b)).sum(axis=-1)


def build_index(
    values: np.ndarray,
    known: np.ndarray,
    bound: float,
    pivots: np.ndarray | None = None,
    of_list: np.ndarray | None = None,
) -> Index:
    """An index of `values` (N, F).

    Args:
        values: scaled features, |values| ≤ `bound`.
        known: (N,) clock at which each row's label is known.
        pivots: (L, F), and `of_list` (N,) the list of each row; one list of all where None.
    """
    points = np.asarray(values, dtype=np.float32)
    lists = [np.arange(len(points))] if of_list is None else [np.flatnonzero(of_list == i) for i in range(len(pivots))]  # type: ignore[arg-type]
    counts = [-(-len(rows) // BLOCK) for rows in lists]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    blocks = np.full((starts[-1], points.shape[1], BLOCK), np.inf, dtype=np.float32)
    numbers = np.full((starts[-1], BLOCK), -1, dtype=np.int64)
    for rows, start in zip(lists, starts, strict=False):
        for i in range(0, len(rows), BLOCK):
            part = rows[i : i + BLOCK]
            blocks[start + i // BLOCK, :, : len(part)] = points[part].T
            numbers[start + i // BLOCK, : len(part)] = part
    group = max(1, int(LARGEST / np.log10(1.0 + 2.0 * bound)))
    chosen = np.zeros((0, points.shape[1])) if pivots is None else pivots
    return Index(blocks, numbers, known.astype(np.int64), starts, np.asarray(chosen, dtype=np.float32), group)


def search(index: Index, queries: np.ndarray, clocks: np.ndarray, k: int, n_probe: int = 0) -> Neighbours:
    """The k nearest rows of each query (Q, F) whose label was known before the query's clock (Q,) int64.

    Of equally near rows the earlier one comes first. `n_probe` lists around the nearest pivots are
    searched; all rows where it is 0.
    """
    asked = np.ascontiguousarray(queries, dtype=np.float32)
    rows = np.full((len(asked), k), -1, dtype=np.int64)
    distances = np.full((len(asked), k), np.inf)
    if n_probe:
        probes = nearest_pivots(index, asked, n_probe)
        _search_lists(asked, clocks, *index[:4], index.group, probes, rows, distances)
    else:
        _search_all(asked, clocks, *index[:3], index.group, rows, distances)
    return Neighbours(rows, distances)


def nearest_pivots(index: Index, queries: np.ndarray, n_probe: int) -> np.ndarray:
    """(Q, n_probe) lists of the nearest pivots."""
    pivots = build_index(index.pivots, np.zeros(len(index.pivots)), 10.0 ** (LARGEST / index.group) / 2.0)
    clocks = np.full(len(queries), NO_CLOCK)
    return search(pivots, queries, clocks, min(n_probe, len(index.pivots))).rows


@njit(cache=True)
def _scan(
    query: np.ndarray,
    clock: int,
    block: np.ndarray,
    rows: np.ndarray,
    known: np.ndarray,
    group: int,
    products: np.ndarray,
    sums: np.ndarray,
    best: np.ndarray,
    distances: np.ndarray,
) -> None:
    """Put the rows of one block that belong there into the sorted `best` and `distances` (k,) of a query."""
    products[:] = 1.0
    sums[:] = 0.0
    for f in range(len(query)):
        value = np.float64(query[f])
        column = block[f]
        for i in range(BLOCK):
            products[i] *= 1.0 + abs(np.float64(column[i]) - value)
        if (f + 1) % group == 0:
            for i in range(BLOCK):
                sums[i] += np.log(products[i])
                products[i] = 1.0
    last = len(best) - 1
    for i in range(BLOCK):
        row = rows[i]
        if row < 0 or known[row] >= clock:
            continue
        distance = sums[i] + np.log(products[i])
        if distance > distances[last] or (distance == distances[last] and row > best[last] >= 0):
            continue
        at = last
        while at > 0 and (distance < distances[at - 1] or (distance == distances[at - 1] and row < best[at - 1])):
            distances[at], best[at] = distances[at - 1], best[at - 1]
            at -= 1
        distances[at], best[at] = distance, row


@njit(cache=True)
def _search_all(
    queries: np.ndarray,
    clocks: np.ndarray,
    blocks: np.ndarray,
    numbers: np.ndarray,
    known: np.ndarray,
    group: int,
    rows: np.ndarray,
    distances: np.ndarray,
) -> None:
    products, sums = np.empty(BLOCK), np.empty(BLOCK)
    for first in range(0, len(queries), GROUP):
        for b in range(len(blocks)):
            for q in range(first, min(first + GROUP, len(queries))):
                _scan(queries[q], clocks[q], blocks[b], numbers[b], known, group, products, sums, rows[q], distances[q])


@njit(cache=True)
def _search_lists(
    queries: np.ndarray,
    clocks: np.ndarray,
    blocks: np.ndarray,
    numbers: np.ndarray,
    known: np.ndarray,
    starts: np.ndarray,
    group: int,
    probes: np.ndarray,
    rows: np.ndarray,
    distances: np.ndarray,
) -> None:
    products, sums = np.empty(BLOCK), np.empty(BLOCK)
    for q in range(len(queries)):
        for which in probes[q]:
            for b in range(starts[which], starts[which + 1]):
                _scan(queries[q], clocks[q], blocks[b], numbers[b], known, group, products, sums, rows[q], distances[q])
