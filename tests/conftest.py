"""Shared fixtures: real data where it lies beside the checkout, one torch thread, no deadlines."""

from pathlib import Path

import pytest
from hypothesis import settings

# The first call of a numba kernel compiles it.
settings.register_profile("numba", deadline=None)
settings.load_profile("numba")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
# Workers begin with these. The first of them compile what most others use, each something else: workers that begin
# alike compile alike, side by side. Behind them what takes longest: begun last, it would keep one worker alone.
FIRST = (
    "envs/test_env_checkers.py",
    "envs/test_portfolio_env.py",
    "cli/test_resume.py",
    "features/test_stream.py",
    *("cli/test_every_config_trains.py", "agents/test_learning_proofs.py", "agents/test_ensemble.py"),
    *("cli/test_launchers.py", "training/test_cluster.py", "training/test_sweeps.py", "agents/test_enhanced_dqn.py"),
    *("cli/test_killed_anywhere.py", "cli/test_curriculum_runs.py", "cli/test_train_command.py", "cli/test_rolling.py"),
    *("cli/test_sanity.py", "evaluate/test_intervals.py", "envs/test_portfolio_parity.py", "envs/test_backtest.py"),
)
TESTS = Path(__file__).parent
PLACES = {TESTS / name: place for place, name in enumerate(FIRST)}
assert not (missing := [str(path) for path in PLACES if not path.exists()]), missing


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist hand out files in the order below; by itself it begins with those that hold most tests."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of FIRST first, all others as they were."""
    items.sort(key=lambda item: PLACES.get(item.path, len(PLACES)))


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def real_data():
    """Path of a real file by name; the test is skipped where the file is missing."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{name} is not in ../shared/data of this checkout")
        return path

    return find
