"""Regime Gym: a Gymnasium trading environment, agents that learn in it, and the evidence that they did.

Importing this package registers the gymnasium ids and does nothing else.
"""

from regimegym.envs.registration import register_environments

__version__ = "0.1.0"

register_environments()
