"""Take one step and say so: the child process of start.py, which imports nothing a user would not.

    python -m regimegym.training.benchmarks.first_step [TAPE_FOLDER]

Without a folder the market is the built-in one.
"""

import sys
from pathlib import Path

import gymnasium

from regimegym.features.tape_file import open_tape


def main(words: list[str]) -> None:
    """One step of RegimeTrading-v0, then a line on stdout."""
    tape = open_tape(Path(words[0])) if words else None
    env = gymnasium.make("RegimeTrading-v0", tape=tape)
    env.reset(seed=0)
    env.step(0)
    sys.stdout.write("stepped\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
