"""Values as JSON knows them."""

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np


def plain(data: Any) -> Any:
    """`data` as JSON knows it: NumPy becomes Python, tuples lists, keys strings, NaN and ±∞ null."""
    if isinstance(data, Mapping):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple | set | frozenset):
        return [plain(value) for value in data]
    if isinstance(data, np.ndarray | np.generic):
        return plain(data.tolist())
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Path | datetime):
        return data.isoformat() if isinstance(data, datetime) else str(data)
    return data
