"""Everything an algorithm of stable-baselines3 needs to go on exactly where it was.

The state is taken between two rollouts, when no rollout is half collected and no update half made.
It is a tree of plain numbers, arrays and tensors; nothing is pickled.
"""

import random
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer

COUNTERS = (
    "num_timesteps",
    "_num_timesteps_at_start",
    "_total_timesteps",
    "_current_progress_remaining",
    "_episode_num",
    "_n_updates",
    "_n_calls",  # DQN: steps since the target network was copied
    "exploration_rate",  # DQN
)
BUFFER_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def algorithm_state(algorithm: BaseAlgorithm) -> dict[str, Any]:
    """The state of `algorithm`, its optimisers, its replay memory and the generators it draws from."""
    return {
        "policy": dict(algorithm.policy.state_dict()),
        "optimizers": {name: optimizer_state(found) for name, found in _optimizers(algorithm).items()},
        "counters": {name: getattr(algorithm, name) for name in COUNTERS if hasattr(algorithm, name)},
        "tensors": _loose_tensors(algorithm),
        "last_observation": _observation(algorithm._last_obs),
        "episode_starts": algorithm._last_episode_starts,
        "episodes": [dict(info) for info in algorithm.ep_info_buffer or ()],
        "memory": _memory_state(getattr(algorithm, "replay_buffer", None)),
        "own": algorithm.extra_state() if hasattr(algorithm, "extra_state") else {},
        "spaces": {name: space.np_random.bit_generator.state for name, space in _spaces(algorithm).items()},
        "globals": global_generators(),
    }


def load_algorithm_state(algorithm: BaseAlgorithm, state: Mapping[str, Any]) -> None:
    """Put the state of `algorithm_state` into a freshly built, equal algorithm."""
    algorithm.policy.load_state_dict(state["policy"])
    for name, optimizer in _optimizers(algorithm).items():
        load_optimizer_state(optimizer, state["optimizers"][name])
    for name, value in state["counters"].items():
        setattr(algorithm, name, value)
    with torch.no_grad():
        for name, tensor in _loose_tensors(algorithm).items():
            tensor.copy_(state["tensors"][name])
    algorithm._last_obs = state["last_observation"]
    algorithm._last_episode_starts = state["episode_starts"]
    algorithm.ep_info_buffer = deque(state["episodes"], maxlen=algorithm._stats_window_size)
    algorithm.ep_success_buffer = deque(maxlen=algorithm._stats_window_size)
    _load_memory(getattr(algorithm, "replay_buffer", None), state["memory"])
    if state["own"]:
        algorithm.load_extra_state(state["own"])  # type: ignore[attr-defined]
    for name, space in _spaces(algorithm).items():
        space.np_random.bit_generator.state = state["spaces"][name]
    load_global_generators(state["globals"])


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """`optimizer.state_dict()` with text as keys; settings of the groups are left out, they are built anew."""
    state = optimizer.state_dict()
    return {
        "moments": {str(index): dict(moments) for index, moments in state["state"].items()},
        "learning_rates": [float(group["lr"]) for group in state["param_groups"]],
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """The inverse of `optimizer_state`."""
    whole = optimizer.state_dict()
    whole["state"] = {int(index): dict(moments) for index, moments in state["moments"].items()}
    for group, rate in zip(whole["param_groups"], state["learning_rates"], strict=True):
        group["lr"] = rate
    optimizer.load_state_dict(whole)


def global_generators() -> dict[str, Any]:
    """State of the generators that stable-baselines3 shares with everybody: Python's, NumPy's, torch's."""
    version, numbers, gauss = random.getstate()
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002 - SB3 draws from it
    return {
        "python": [version, list(numbers), gauss],
        "numpy": legacy,
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())],
    }


def load_global_generators(state: Mapping[str, Any]) -> None:
    """The inverse of `global_generators`."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    for i, one in enumerate(state["cuda"]):
        torch.cuda.set_rng_state(one, i)


def _optimizers(algorithm: BaseAlgorithm) -> dict[str, torch.optim.Optimizer]:
    """Every optimiser of the policy (SAC has one for the actor, one for the critic) and of the algorithm."""
    places = {
        "policy": algorithm.policy,
        "actor": getattr(algorithm.policy, "actor", None),
        "critic": getattr(algorithm.policy, "critic", None),
    }
    found = {name: getattr(part, "optimizer", None) for name, part in places.items()}
    found["ent_coef"] = getattr(algorithm, "ent_coef_optimizer", None)
    return {name: optimizer for name, optimizer in found.items() if optimizer is not None}


def _loose_tensors(algorithm: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """Tensors outside of the policy: SAC's learned entropy coefficient, the accounts' memories of RecurrentPPO."""
    found = {"log_ent_coef": getattr(algorithm, "log_ent_coef", None)}
    if isinstance(algorithm, RecurrentPPO):
        assert algorithm._last_lstm_states is not None
        (found["actor_hidden"], found["actor_cell"]), (found["critic_hidden"], found["critic_cell"]) = (
            algorithm._last_lstm_states
        )
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _spaces(algorithm: BaseAlgorithm) -> dict[str, Any]:
    """Spaces the algorithm draws random actions from."""
    assert algorithm.env is not None
    return {"own": algorithm.action_space, "env": algorithm.env.action_space}


def _observation(observation: Any) -> Any:
    return dict(observation) if isinstance(observation, dict) else observation


def _memory_state(buffer: Any) -> dict[str, Any] | None:
    if buffer is None:
        return None
    if hasattr(buffer, "state"):
        return buffer.state()
    assert isinstance(buffer, ReplayBuffer)
    return {
        "arrays": {name: getattr(buffer, name) for name in BUFFER_ARRAYS if hasattr(buffer, name)},
        "pos": buffer.pos,
        "full": buffer.full,
    }


def _load_memory(buffer: Any, state: Mapping[str, Any] | None) -> None:
    if buffer is None or state is None:
        return
    if hasattr(buffer, "load_state"):
        buffer.load_state(state)
        return
    for name, value in state["arrays"].items():
        held = getattr(buffer, name)
        if isinstance(held, dict):
            for key in held:
                held[key][:] = value[key]
        else:
            held[:] = value
    buffer.pos, buffer.full = state["pos"], state["full"]
