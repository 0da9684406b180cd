"""Regime Gym: a Gymnasium trading environment, agents that learn in it, and the evidence that they did.

Importing this package registers the gymnasium ids and does nothing else.
"""

from typing import TYPE_CHECKING, Any

from regimegym.envs.registration import register_environments

if TYPE_CHECKING:
    from regimegym.envs.backtest import backtest as backtest
    from regimegym.training.model_at_work import load_policy as load_policy

__version__ = "0.1.0"

register_environments()


def __getattr__(name: str) -> Any:
    """`backtest` and `load_policy`, loaded when they are asked for: importing the package compiles nothing."""
    if name == "backtest":
        from regimegym.envs.backtest import backtest

        return backtest
    if name == "load_policy":
        from regimegym.training.model_at_work import load_policy

        return load_policy
    raise AttributeError(f"module 'regimegym' has no attribute '{name}'")
