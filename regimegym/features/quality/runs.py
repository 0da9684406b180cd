"""Runs of rows that share a flag."""

import numpy as np


def runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First row of each run of true `flags` (T,), and the row behind it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges[::2], edges[1::2]


def run_lengths(flags: np.ndarray) -> np.ndarray:
    """(T,) length of the run of true `flags` that each row lies in; 0 elsewhere."""
    lengths = np.zeros(len(flags), dtype=np.int64)
    first, stop = runs(flags)
    lengths[flags] = np.repeat(stop - first, stop - first)
    return lengths


def last_true(flags: np.ndarray) -> np.ndarray:
    """(T,) the last row at or before each at which `flags` is true; −1 where there is none."""
    rows = np.where(flags, np.arange(len(flags)), -1)
    return np.maximum.accumulate(rows) if len(rows) else rows
