"""What a curriculum is made of; `conf/curriculum/` writes it out (DEFINITIONS §8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from regimegym.common.checks import (
    check_at_least,
    check_choice,
    check_kind,
    check_list,
    check_mapping,
    check_not_negative,
    check_number,
    check_positive,
)
from regimegym.common.errors import ConfigError
from regimegym.common.regimes import REGIMES
from regimegym.features.price_noise import NOISE_SCALE

COMPLEXITIES = ("simple", "moderate", "complex", "all")
REGIME_NAMES = tuple(regime.name.lower() for regime in REGIMES)


@dataclass(frozen=True)
class StageSettings:
    """One stage: which episodes, at what cost, under how much noise.

    Attributes:
        share: of the episodes, relative to the shares of the other stages.
        regimes: names of common.regimes.Regime; the dominant label of an episode is one of them.
        data_complexity: which of those episodes: `simple`, `moderate` and `complex` take the clearest
            of each regime (`CurriculumSettings.pool_shares`), `all` takes all of them.
        noise_level: noise of the prices; 0.01 is 10 % of the volatility of a bar. 0: the tape itself.
        cost_rate: a trade costs this share of its value, and nothing else; null: the venue's costs.

    Raises:
        ConfigError: a value is out of its range, with the value that came.
    """

    share: float
    regimes: Sequence[str] = REGIME_NAMES
    data_complexity: str = "all"
    noise_level: float = 0.0
    cost_rate: float | None = None

    def __post_init__(self) -> None:
        check_positive("curriculum.stages.*.share", self.share)
        check_list("curriculum.stages.*.regimes", self.regimes)
        names = tuple(str(name).lower() for name in self.regimes)
        for name in names:
            check_choice("curriculum.stages.*.regimes", name, REGIME_NAMES)
        if not names:
            raise ConfigError("empty", "'curriculum.stages.*.regimes' is empty", needed="one regime or more")
        object.__setattr__(self, "regimes", names)
        check_choice("curriculum.stages.*.data_complexity", self.data_complexity, COMPLEXITIES)
        check_not_negative("curriculum.stages.*.noise_level", self.noise_level)
        if self.cost_rate is not None:
            check_number("curriculum.stages.*.cost_rate", self.cost_rate, "in [0, 1)", lambda v: 0 <= v < 1)


@dataclass(frozen=True)
class GateSettings:
    """When a stage is left because of what was learned, and not because of the clock.

    Attributes:
        threshold: mean log return (unshaped, the venue's costs) of the last `trailing` looks at
            validation that a stage must reach to be passed.
        trailing: looks at validation; those before the stage began do not count.
        max_stay: a stage is left after this multiple of its planned episodes whatever the score;
            null: never.
        step_back: a mean below this goes back by one stage; null: never.
    """

    threshold: float = 0.0
    trailing: int = 2
    max_stay: float | None = 1.5
    step_back: float | None = None

    def __post_init__(self) -> None:
        check_number("curriculum.gate.threshold", self.threshold, "a number", lambda _: True)
        check_at_least("curriculum.gate.trailing", self.trailing, 1)
        if self.max_stay is not None:
            check_positive("curriculum.gate.max_stay", self.max_stay)
        if self.step_back is not None:
            check_number(
                "curriculum.gate.step_back",
                self.step_back,
                f"below the threshold, {self.threshold:g}",
                lambda v: v < self.threshold,
            )


def default_stages() -> dict[str, StageSettings]:
    """The four stages of DEFINITIONS §8, by name and in their order."""
    return {
        "basic": StageSettings(1, REGIME_NAMES[:2], "simple", 0.01, 0.0005),
        "intermediate": StageSettings(2, REGIME_NAMES[:3], "moderate", 0.02, 0.001),
        "advanced": StageSettings(3, REGIME_NAMES, "complex", 0.03, 0.002),
        "expert": StageSettings(4, REGIME_NAMES, "all", 0.04, 0.0025),
    }


def default_pool_shares() -> dict[str, float]:
    """Share of the possible episodes of a regime that each data_complexity takes."""
    return {"simple": 0.2, "moderate": 0.5, "complex": 0.8}


@dataclass(frozen=True)
class CurriculumSettings:
    """The stages of a training in their order; no stages, no curriculum.

    Attributes:
        stages: by name.
        gate: null: a stage is left after its planned episodes.
        n_episodes: N, the episodes that the shares divide; null: as many whole episodes as fit into
            `trainer.total_steps`.
        n_tapes: M, noisy tapes of each stage with noise.
        noise_scale: k of the noise, in volatilities of a bar.
        pool_shares: by data_complexity, the share of the possible episodes that are taken, clearest first.

    Raises:
        ConfigError: a value is out of its range, with the value that came.
    """

    stages: Mapping[str, StageSettings] = field(default_factory=default_stages)
    gate: GateSettings | None = None
    n_episodes: int | None = None
    n_tapes: int = 4
    noise_scale: float = NOISE_SCALE
    pool_shares: Mapping[str, float] = field(default_factory=default_pool_shares)

    def __post_init__(self) -> None:
        check_mapping("curriculum.stages", self.stages)
        for name, stage in self.stages.items():
            check_kind(f"curriculum.stages.{name}", stage, StageSettings)
        if self.gate is not None:
            check_kind("curriculum.gate", self.gate, GateSettings)
        if self.n_episodes is not None:
            check_at_least("curriculum.n_episodes", self.n_episodes, len(self.stages))
        check_at_least("curriculum.n_tapes", self.n_tapes, 1)
        check_not_negative("curriculum.noise_scale", self.noise_scale)
        check_mapping("curriculum.pool_shares", self.pool_shares)
        for name in default_pool_shares():
            share = self.pool_shares.get(name, 0.0)
            check_number(f"curriculum.pool_shares.{name}", share, "in (0, 1]", lambda v: 0 < v <= 1)

    def pool_share(self, stage: StageSettings) -> float:
        """Share of the possible episodes that `stage` takes; `all` is not filtered."""
        return 1.0 if stage.data_complexity == "all" else float(self.pool_shares[stage.data_complexity])

    @property
    def has_noise(self) -> bool:
        """Whether any stage has tapes of its own."""
        return self.noise_scale > 0 and any(stage.noise_level > 0 for stage in self.stages.values())

    @property
    def is_empty(self) -> bool:
        """Whether there is no curriculum."""
        return not self.stages
