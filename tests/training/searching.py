"""A search over a known function, whole, in a folder."""

from pathlib import Path

from parabola import Parabola

from regimegym.training.sweeps.settings import SearchSettings, SweepSettings
from regimegym.training.sweeps.sweep import run_search

SPACE = {
    "x": {"sets": "a.x", "low": -2.0, "high": 2.0},
    "y": {"sets": "a.y", "values": [0, 1, 2]},
}


def search(
    folder: Path, objective=None, n_trials=8, n_jobs=1, storage="journal", on_trial=None, space=None, **settings
):
    """The result of a search over SPACE in `folder`."""
    return run_search(
        folder,
        SearchSettings(space or SPACE, **{"sampler": "random", **settings}),
        SweepSettings(n_trials, n_jobs, storage),
        objective or Parabola(),
        1,
        {},
        on_trial or (lambda row, done: None),
    )
