"""placeholder"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from regimegym.features.bars import Bars
from regimegym.features.labels import Labels


@dataclass(frozen=True)
class Direction:
    horizon: int = 10
    classes: ClassVar[tuple[str, ...]] = ("down", "up")

    def of(self, bars: Bars) -> Labels:
        c, h = bars.close, self.horizon
        v, e = np.full(len(c), np.nan), np.full(len(c), -1)
        if len(c) > h:
            v[:-h] = c[h:] > c[:-h]
            e[:-h] = np.arange(h, len(c))
        return Labels(v, e)
