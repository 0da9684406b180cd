"""Regime Gym: a Gymnasium trading environment, agents that learn in it, and the evidence that they did.

Importing this package registers the gymnasium ids and does nothing else.
"""

from typing import TYPE_CHECKING, Any

from regimegym.envs.registration import register_environments

if TYPE_CHECKING:
    from regimegym.envs.backtest import backtest as backtest

__version__ = "0.1.0"

register_environments()


def __getattr__(name: str) -> Any:
    """`regimegym.backtest`, loaded when it is asked for: importing the package compiles nothing."""
    if name == "backtest":
        from regimegym.envs.backtest import backtest

        return backtest
    raise AttributeError(f"module 'regimegym' has no attribute '{name}'")
