"""Block bootstrap of rows: resampled stretches keep what neighbouring rows say about each other."""

import numpy as np

from regimegym.common.checks import check_at_least


def block_rows(n_rows: int, n_samples: int, block_size: int, generator: np.random.Generator) -> np.ndarray:
    """(n_samples,) int64 of 0 … n_rows − 1: contiguous blocks from random starts, the last cut to fit (Künsch 1989).

    Raises:
        ConfigError: a size below 1.
    """
    for name, value in (("n_rows", n_rows), ("n_samples", n_samples), ("block_size", block_size)):
        check_at_least(name, value, 1)
    size = min(block_size, n_rows)
    starts = generator.integers(n_rows - size + 1, size=-(-n_samples // size))
    return (starts[:, None] + np.arange(size)).ravel()[:n_samples]
