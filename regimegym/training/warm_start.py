"""A training that begins with the weights of an earlier run."""

from stable_baselines3.common.base_class import BaseAlgorithm

from regimegym.agents.checkpoint import load_policy_object
from regimegym.common.errors import ModelError
from regimegym.training.run_folder import RunFolder


def begin_with(algorithm: BaseAlgorithm, path: str, feature_names: tuple[str, ...]) -> None:
    """Give `algorithm` the weights of the model of the run at `path`; what it learned in stays with it.

    The features may be scaled otherwise than they were there: each training scales by its own rows.

    Raises:
        RunError, ModelError: no such run, another algorithm, other features or another network.
    """
    run = RunFolder.open(path)
    policy, card = load_policy_object(run.model)
    if card.algorithm != type(algorithm).__name__ and type(policy) is not type(algorithm.policy):
        raise ModelError(
            "other-algorithm",
            f"the training cannot begin with the model of {path}",
            needed=f"a model of {type(algorithm).__name__}",
            found=card.algorithm,
        )
    if tuple(card.feature_names) != tuple(feature_names):
        missing = [name for name in card.feature_names if name not in feature_names]
        raise ModelError(
            "other-features",
            f"the model of {path} sees other features than this training",
            needed=f"{len(card.feature_names)} features, {', '.join(missing[:4]) or 'in its order'}",
            found=f"{len(feature_names)} features",
        )
    try:
        algorithm.policy.load_state_dict(policy.state_dict())
    except RuntimeError as error:
        raise ModelError(
            "other-network", f"the weights of {path} do not fit this network", found=str(error).splitlines()[-1].strip()
        ) from error
