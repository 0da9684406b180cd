"""How long a decision takes: one account, one window, as a model at work is asked."""

import time

import numpy as np

from regimegym.agents.card import ModelCard
from regimegym.common.policy import Policy
from regimegym.envs.observation import ACCOUNT_FIELDS

CALLS = 100  # 73 or more give the 95th percentile an upper bound at 95 %


def decision_latencies(policy: Policy, card: ModelCard, calls: int = CALLS) -> np.ndarray:
    """Milliseconds of (`calls`,) decisions in a row, on the wall; no two measurements agree to the digit.

    A first decision is not counted: it pays for what is made once.
    """
    observations = {
        "market": np.zeros((1, card.window, card.n_features), np.float32),
        "account": np.zeros((1, len(ACCOUNT_FIELDS)), np.float32),
    }
    _, state = policy.act(observations, None, np.ones(1, bool))
    going_on, seconds = np.zeros(1, bool), np.empty(calls)
    for k in range(calls):
        begun = time.perf_counter()
        _, state = policy.act(observations, state, going_on)
        seconds[k] = time.perf_counter() - begun
    return 1e3 * seconds
