"""A training so small that a test can afford it, through the real command line."""

import json
from pathlib import Path

from regimegym.cli.main import main

TINY = [
    "data.n_bars=1600",
    "env.episode.length=64",
    "trainer.total_steps=400",
    "trainer.n_accounts=4",
    "trainer.validate_every=200",
    "network=mlp",
    "trainer.gate=null",  # so few steps prove nothing, and tests look at what was traded
    "evaluation.random_accounts=3",
    "evaluation.intervals.n_resamples=200",
]
TINY_DQN = [*TINY, "agent.learning_starts=64", "agent.learning=sampled"]


def train(*words: str) -> int:
    """Exit code of `regime-gym train` with the tiny settings and `words`."""
    return main(["train", *TINY_DQN, *words])


def read(path: Path) -> dict:
    """A JSON file."""
    return json.loads(path.read_text())
