"""Settings of an evaluation; the defaults are written out in conf/evaluation/."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from regimegym.common.checks import check_at_least, check_flag, check_not_negative
from regimegym.common.errors import ConfigError
from regimegym.evaluate.intervals import IntervalSettings
from regimegym.evaluate.targets import TargetSettings
from regimegym.evaluate.verdict import VerdictSettings


@dataclass(frozen=True)
class EvaluationSettings:
    """What is measured besides the agent itself.

    Attributes:
        intervals: bootstrap intervals.
        verdict: thresholds of the verdict.
        targets: what the figures are wanted to reach; reported, never asserted.
        random_accounts: random traders, of which the median is reported; odd, so that it is a run.
        cross_fast, cross_slow: moving averages of the MA cross in bars; 0 fits them on training
            rows, and takes the fixed pair of the timeframe (36/168 intraday, 20/100 daily) on data
            that the model was not trained on.
        sb3: also train a plain DQN of stable-baselines3 on the same training rows, for as many steps.
        cost_multiples: multiples of the assumed costs on the cost curve, ascending, 1 among them.
        chart_points: most points of a chart's line.
    """

    intervals: IntervalSettings = field(default_factory=IntervalSettings)
    verdict: VerdictSettings = field(default_factory=VerdictSettings)
    targets: TargetSettings = field(default_factory=TargetSettings)
    random_accounts: int = 21
    cross_fast: int = 0
    cross_slow: int = 0
    sb3: bool = False
    cost_multiples: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
    chart_points: int = 2000

    def __post_init__(self) -> None:
        check_at_least("random_accounts", self.random_accounts, 1)
        if self.random_accounts % 2 == 0:
            raise ConfigError("out-of-range", f"'random_accounts' must be odd, got {self.random_accounts}")
        check_at_least("cross_fast", self.cross_fast, 0)
        check_at_least("cross_slow", self.cross_slow, 0)
        if (self.cross_fast == 0) != (self.cross_slow == 0):
            raise ConfigError(
                "out-of-range",
                f"'cross_fast' and 'cross_slow' are fixed both or neither, got {self.cross_fast} and {self.cross_slow}",
            )
        check_flag("sb3", self.sb3)
        check_at_least("chart_points", self.chart_points, 100)
        multiples = tuple(float(multiple) for multiple in self.cost_multiples)
        for i, multiple in enumerate(multiples):
            check_not_negative(f"cost_multiples[{i}]", multiple)
        if 1.0 not in multiples or len(multiples) < 2 or list(multiples) != sorted(set(multiples)):
            raise ConfigError(
                "out-of-range",
                f"'cost_multiples' must be two or more ascending numbers, 1 among them, got {multiples}",
            )
        object.__setattr__(self, "cost_multiples", multiples)

    @property
    def cross(self) -> tuple[int, int] | None:
        """Lengths (fast, slow) of the moving averages that the user has fixed; None: they are fitted."""
        return (self.cross_fast, self.cross_slow) if self.cross_fast else None
