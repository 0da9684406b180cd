"""What EnhancedDQN asks of the environment it learns in, beside steps."""

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from regimegym.common.errors import ConfigError
from regimegym.envs.batch import AccountBatch
from regimegym.envs.settings import EnvSettings
from regimegym.features.tape import MarketTape


def tape_of(env: VecEnv) -> MarketTape:
    """The tape of a vector environment. Raises ConfigError when it has none."""
    try:
        return env.get_attr("tape")[0]
    except AttributeError:
        raise ConfigError(
            "no-tape",
            "agent=enhanced_dqn replays references into a market tape, and this environment has no "
            f"attribute 'tape': {type(env).__name__}",
            needed="regimegym.envs.sb3_vec_env.TradingVecEnv, or TradingEnv behind SB3's DummyVecEnv",
        ) from None


def settings_of(env: VecEnv) -> EnvSettings:
    """The settings of the accounts, those of the newest stage. Raises ConfigError where there are none."""
    return attribute_of(env, "settings")


def attribute_of(env: VecEnv, name: str) -> Any:
    """An attribute of our environments. Raises ConfigError when this one is another's."""
    try:
        return env.get_attr(name)[0]
    except AttributeError:
        raise ConfigError(
            "other-environment",
            f"agent.learning asks the step kernel, and this environment has no attribute '{name}': "
            f"{type(env).__name__}",
            needed="regimegym.envs.sb3_vec_env.TradingVecEnv, or agent.learning=sampled",
        ) from None


def stage_references(env: VecEnv) -> np.ndarray:
    """(n,) int64 references tape · T + row on which episodes of the newest stage may take decisions, ascending."""
    batch = attribute_of(env, "batch")
    n_rows, terms = len(batch.tapes[0]), batch.terms[-1]
    found = []
    for k, starts in zip(terms.tapes, terms.starts, strict=True):
        firsts, edges = starts.rows(), np.zeros(n_rows + 1, np.int64)
        np.add.at(edges, firsts, 1)
        np.add.at(edges, starts.ends_of(firsts), -1)
        found.append(np.flatnonzero(np.cumsum(edges)) + k * n_rows)
    return np.unique(np.concatenate(found))


def standing_references(env: VecEnv | None) -> np.ndarray | None:
    """(N,) references tape · T + row on which the accounts stand; None where `env` does not say."""
    batch = getattr(env, "batch", None)
    return batch.references if isinstance(batch, AccountBatch) else None
