"""Time of day and of the week as points on a circle, UTC, of the moment the bar closes."""

import numpy as np

from regimegym.features.bars import NS_PER_DAY
from regimegym.features.feature import FeatureInputs, feature

DAYS_TO_MONDAY = 3  # 1970-01-01 was a Thursday


def _angle(inputs: FeatureInputs, period_ns: int, offset_ns: int = 0) -> np.ndarray:
    closes = inputs.bars.timestamps + inputs.bars.timeframe_ns + offset_ns
    return 2.0 * np.pi * (closes % period_ns) / period_ns


@feature("hour_sine", warm_up=0, memory=1, needs=("intraday",))
def _hour_sine(inputs: FeatureInputs) -> np.ndarray:
    return np.sin(_angle(inputs, NS_PER_DAY))


@feature("hour_cosine", warm_up=0, memory=1, needs=("intraday",))
def _hour_cosine(inputs: FeatureInputs) -> np.ndarray:
    return np.cos(_angle(inputs, NS_PER_DAY))


@feature("week_sine", warm_up=0, memory=1)
def _week_sine(inputs: FeatureInputs) -> np.ndarray:
    return np.sin(_angle(inputs, 7 * NS_PER_DAY, DAYS_TO_MONDAY * NS_PER_DAY))


@feature("week_cosine", warm_up=0, memory=1)
def _week_cosine(inputs: FeatureInputs) -> np.ndarray:
    return np.cos(_angle(inputs, 7 * NS_PER_DAY, DAYS_TO_MONDAY * NS_PER_DAY))
