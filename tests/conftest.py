"""Shared fixtures: real data where it lies beside the checkout, one torch thread, no deadlines."""

from pathlib import Path

import pytest
from hypothesis import settings

# The first call of a numba kernel compiles it.
settings.register_profile("numba", deadline=None)
settings.load_profile("numba")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


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
