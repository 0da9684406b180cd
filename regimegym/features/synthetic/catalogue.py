"""All worlds by name: importing this module registers them."""

from regimegym.features.synthetic import events, learning, steady, stochastic
from regimegym.features.synthetic.world import WORLDS, draw_world

MODULES = (learning, stochastic, steady, events)

__all__ = ["MODULES", "WORLDS", "draw_world"]
