"""What a figure of a benchmark has to reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What a row has to reach: `limit`, from below or from above."""

    limit: float
    at_least: bool

    def is_met(self, value: float) -> bool:
        """Whether `value` reaches the target; NaN does not."""
        return value >= self.limit if self.at_least else value <= self.limit
