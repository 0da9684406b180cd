"""What a look at a model at work found."""

from typing import NamedTuple

from regimegym.evaluate.monitoring.drift import FeatureDrift
from regimegym.evaluate.monitoring.monitor import Alert, ModelMonitor
from regimegym.evaluate.trajectory import Trajectory


class Health(NamedTuple):
    """What a monitor found.

    Attributes:
        alerts: everything that is not as it should be.
        metrics: of the new bars. monitor: with what was expected of them.
        drifts: feature by feature.
        trajectory: of the account that followed the model over the new bars.
    """

    alerts: list[Alert]
    metrics: dict[str, float]
    monitor: ModelMonitor
    drifts: list[FeatureDrift]
    trajectory: Trajectory
