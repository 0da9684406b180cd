"""The whole state of a training as one tree: the algorithm, its environment, its bookkeeping."""

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from regimegym.agents.state import algorithm_state, load_algorithm_state
from regimegym.common.errors import ModelError
from regimegym.common.state_file import Tree
from regimegym.training.callback import TrainingCallback

FORMAT = 2


def training_state(algorithm: BaseAlgorithm, callback: TrainingCallback) -> Tree:
    """Everything that decides how the training goes on. Taken between two rollouts."""
    assert algorithm.env is not None
    return {
        "format": FORMAT,
        "curriculum": {} if callback.curriculum is None else callback.curriculum.state(),
        "algorithm": algorithm_state(algorithm),
        "env": algorithm.env.env_method("state", indices=[0])[0],
        "callback": callback.state(),
    }


def load_training_state(algorithm: BaseAlgorithm, callback: TrainingCallback, tree: Mapping[str, Any]) -> None:
    """Put a state into a freshly built training of the same configuration.

    Raises:
        ModelError: `other-checkpoint`, the state does not fit what was built.
    """
    if tree.get("format") != FORMAT:
        raise ModelError(
            "other-checkpoint",
            "the checkpoint was written by another version",
            needed=f"format {FORMAT}",
            found=f"format {tree.get('format')}",
        )
    assert algorithm.env is not None
    try:
        if callback.curriculum is not None:  # first: the others refer to its tapes and stages
            callback.curriculum.load_state(algorithm, tree["curriculum"])
        load_algorithm_state(algorithm, tree["algorithm"])
        algorithm.env.env_method("load_state", tree["env"], indices=[0])
        callback.load_state(tree["callback"])
    except (KeyError, ValueError, RuntimeError, IndexError) as error:
        raise ModelError("other-checkpoint", f"the checkpoint does not fit this configuration: {error}") from error
