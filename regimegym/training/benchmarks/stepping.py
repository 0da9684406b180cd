"""One portion of steps through each interface; the same lines drive our environments and the peers'.

Actions are drawn before the clock runs; an episode that ends begins anew, and that counts.
"""

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from stable_baselines3.common.vec_env import VecEnv

from regimegym.training.benchmarks.harness import Work
from regimegym.training.benchmarks.market import RANDOM_SEED

SINGLE_STEPS = 1024
VECTOR_STEPS = 64


def single_steps(env: gymnasium.Env, n_actions: int) -> Work:
    """Steps of one gymnasium environment."""
    actions = _actions(n_actions, (SINGLE_STEPS,)).tolist()
    env.reset(seed=RANDOM_SEED)

    def work() -> int:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return len(actions)

    return work


def vector_steps(env: VectorEnv, n_actions: int) -> Work:
    """Account steps of a gymnasium vector environment; it resets itself."""
    actions = _actions(n_actions, (_portion(env.num_envs), env.num_envs))
    env.reset(seed=RANDOM_SEED)

    def work() -> int:
        for row in actions:
            env.step(row)
        return actions.size

    return work


def sb3_steps(env: VecEnv, n_actions: int) -> Work:
    """Account steps of a stable-baselines3 VecEnv; it resets itself."""
    actions = _actions(n_actions, (_portion(env.num_envs), env.num_envs))
    env.reset()

    def work() -> int:
        for row in actions:
            env.step(row)
        return actions.size

    return work


def _portion(n_envs: int) -> int:
    """Vector steps between two looks at the clock: fewer of the large, slow ones of the peers."""
    return max(1, min(VECTOR_STEPS, 2**16 // n_envs))


def _actions(n_actions: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(RANDOM_SEED).integers(0, n_actions, shape)
