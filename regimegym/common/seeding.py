"""Independent generators from one random seed, each with a name.

A component asks for its generator by name, so adding a component never shifts the draws
of another one. The global generators of numpy, random and torch are never used.
"""

from zlib import crc32

import numpy as np


def seed_sequence(random_seed: int, name: str) -> np.random.SeedSequence:
    """Seed of the component `name` under `random_seed` (≥ 0)."""
    return np.random.SeedSequence(random_seed, spawn_key=(crc32(name.encode()),))


def generator(random_seed: int, name: str) -> np.random.Generator:
    """The generator of the component `name` under `random_seed`."""
    return np.random.default_rng(seed_sequence(random_seed, name))


def integer_seed(random_seed: int, name: str) -> int:
    """A seed in [0, 2³¹) for libraries that want an integer (SB3, gymnasium, torch)."""
    return int(seed_sequence(random_seed, name).generate_state(1)[0] >> 1)
