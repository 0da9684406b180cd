"""The state of an AccountBatch as plain arrays, so that episodes can go on where they were."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from regimegym.envs.batch import AccountBatch

ARRAYS = ("references", "first_references", "last_references", "episodes")


def batch_state(batch: AccountBatch) -> dict[str, Any]:
    """Where every account stands, what it holds, and under which stage it lives."""
    return {
        "accounts": batch.accounts.values.copy(),
        "ring": batch.accounts.ring.copy(),
        "terms_of": batch.terms_of.copy(),
        "stages": [next(k for k, known in enumerate(batch.all_terms) if known is terms) for terms in batch.terms],
        **{name: getattr(batch, name).copy() for name in ARRAYS},
    }


def load_batch_state(batch: AccountBatch, state: Mapping[str, Any]) -> None:
    """Put the state of `batch_state` into a batch with the same tape, settings, accounts and stages."""
    batch.accounts.values[:] = state["accounts"]
    batch.accounts.ring[:] = state["ring"]
    for name in ARRAYS:
        getattr(batch, name)[:] = state[name]
    batch.stand_under(state["stages"], state["terms_of"])
    if batch.recorder is not None:
        batch.recorder.began(np.arange(batch.n))
