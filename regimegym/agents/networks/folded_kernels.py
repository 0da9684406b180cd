"""What the folded encoder does between its matrix products, each in one pass over memory."""

import numpy as np
from numba import njit

ZERO = np.float32(0)
FUSED = {"contract"}  # a product and a sum may be rounded once


@njit(cache=True, error_model="numpy", fastmath=FUSED)
def add_and_rectify(table: np.ndarray, at: np.ndarray, windows: np.ndarray) -> None:
    """windows (n, T, N) ← max(0, windows + table + at): window i reads the rows [i, i + T) of the table (…, N).

    Args:
        at: (T, N), what a position adds. All are float32.
    """
    for i in range(windows.shape[0]):
        for t in range(windows.shape[1]):
            row = np.uint64(i + t)
            for j in range(windows.shape[2]):
                windows[i, t, j] = max(windows[i, t, j] + (table[row, j] + at[t, j]), ZERO)


@njit(cache=True, error_model="numpy", fastmath=FUSED)
def mix_rectified(parts: np.ndarray, bias: np.ndarray, gate: np.ndarray, out: np.ndarray) -> None:
    """out (B, D) ← Σ_k gate[k]·max(0, parts[k] + bias[k]), of the first B of four parts (4, …, D), all float32.

    Args:
        bias: (4, D).
        gate: (4, B).
    """
    for i in range(out.shape[0]):
        first, second, third, fourth = gate[0, i], gate[1, i], gate[2, i], gate[3, i]
        for j in range(out.shape[1]):
            mixed = first * max(parts[0, i, j] + bias[0, j], ZERO)
            mixed += second * max(parts[1, i, j] + bias[1, j], ZERO)
            mixed += third * max(parts[2, i, j] + bias[2, j], ZERO)
            out[i, j] = mixed + fourth * max(parts[3, i, j] + bias[3, j], ZERO)
