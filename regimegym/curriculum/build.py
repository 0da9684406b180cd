"""From settings to the stages that environments understand: tapes, costs, episodes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from regimegym.common.errors import ConfigError
from regimegym.common.seeding import generator
from regimegym.curriculum.pools import Pool, stage_pool
from regimegym.curriculum.settings import CurriculumSettings, StageSettings
from regimegym.envs.episodes import EpisodeStarts
from regimegym.envs.settings import EnvSettings
from regimegym.envs.stages import Stage
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape

NoisyTapes = Callable[[float, np.random.Generator], list[MarketTape]]  # of a noise level


@dataclass(frozen=True, eq=False)
class BuiltStage:
    """A stage of a curriculum, ready for `set_stage`.

    Attributes:
        name: its key in `curriculum.stages`.
        settings: what was asked for.
        stage: what environments take.
        pools: the episodes on each of its tapes.
        cost_rate: share of a trade's value that it costs.
    """

    name: str
    settings: StageSettings
    stage: Stage
    pools: tuple[Pool, ...]
    cost_rate: float

    @property
    def pool_size(self) -> float:
        """Episodes to draw from, mean over the tapes."""
        return float(np.mean([len(pool.starts) for pool in self.pools]))


class StageBuilder:
    """Makes the k-th stage when it is first asked for, and keeps it.

    Args:
        settings: the curriculum.
        tape: the market as it is.
        rows: the training rows; every episode lies within them.
        env: the venue: whatever a stage does not say.
        noisy_tapes: M complete noisy tapes.
        random_seed: of the run; each stage draws its noise from a generator of its own.

    Raises:
        ConfigError: `two-choosers`, the environment's settings choose episodes by regime or weight as well.
    """

    def __init__(
        self,
        settings: CurriculumSettings,
        tape: MarketTape,
        rows: RowRange,
        env: EnvSettings,
        noisy_tapes: NoisyTapes,
        random_seed: int,
    ) -> None:
        check_free(env)
        self._settings, self._env, self._tape = settings, env, tape
        self._noisy_tapes, self._random_seed = noisy_tapes, random_seed
        possible = EpisodeStarts(tape, rows, env.episode)
        self._starts = np.sort(possible.rows())
        self._ends = possible.ends_of(self._starts)
        self._names = list(settings.stages)
        self._built: dict[int, BuiltStage] = {}

    def __call__(self, k: int) -> BuiltStage:
        """The k-th stage."""
        if k not in self._built:
            self._built[k] = self._build(self._names[k])
        return self._built[k]

    def _build(self, name: str) -> BuiltStage:
        wanted = self._settings.stages[name]
        tapes = [self._tape]
        if wanted.noise_level * self._settings.noise_scale > 0:
            tapes = self._noisy_tapes(wanted.noise_level, generator(self._random_seed, f"curriculum-noise-{name}"))
        share = self._settings.pool_share(wanted)
        pools = tuple(stage_pool(tape.regimes, self._starts, self._ends, wanted, share) for tape in tapes)
        env = self._env if wanted.cost_rate is None else at_cost(self._env, wanted.cost_rate)
        account = env.account
        return BuiltStage(
            name,
            wanted,
            Stage(env, tapes, [pool.starts for pool in pools]),
            pools,
            account.fee_rate + account.half_spread + account.slippage,
        )


def at_cost(env: EnvSettings, cost_rate: float) -> EnvSettings:
    """`env` where a trade costs `cost_rate` of its value, and nothing else."""
    account = replace(
        env.account,
        fee_rate=cost_rate,
        fixed_fee=0.0,
        half_spread=0.0,
        slippage=0.0,
        impact=0.0,
        spread_source="constant",
    )
    return replace(env, account=account)


def check_free(env: EnvSettings) -> None:
    """Raise ConfigError where `env` weighs episodes or chooses them by regime, which is the curriculum's work."""
    for name in ("regimes", "regime_weights", "symbol_weights", "timeframe_weights"):
        value = getattr(env.episode, name)
        if value is not None:
            raise ConfigError(
                "two-choosers",
                f"a curriculum chooses the episodes, and 'env.episode.{name}' does too: {value}",
                needed=f"env.episode.{name}=null, or curriculum=none",
            )
