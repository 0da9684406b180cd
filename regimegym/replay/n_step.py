"""n-step returns of accounts that step together, formed per account before insertion."""

from collections.abc import Mapping

import numpy as np

from regimegym.replay.samples import Transitions

HELD = ("_waiting", "_row", "_account", "_action", "_sum")


class NStepReturns:
    """Holds the last decisions of N accounts until their n rewards are known.

    R_n = Σ_{i<n} γ^i r_{t+i}, bootstrapped with γ^n at the row n bars later. At the end of an
    episode the decisions still waiting get the shorter sums that remain, bootstrapped from the
    terminal observation unless the episode terminated.
    """

    def __init__(self, n_accounts: int, n_fields: int, n_steps: int, gamma: float) -> None:
        self.n_steps = n_steps
        self.gamma = gamma
        self._waiting = np.zeros(n_accounts, dtype=np.int64)
        self._row = np.zeros((n_accounts, n_steps), dtype=np.int64)
        self._account = np.zeros((n_accounts, n_steps, n_fields), dtype=np.float32)
        self._action = np.zeros((n_accounts, n_steps), dtype=np.int64)
        self._sum = np.zeros((n_accounts, n_steps))

    def push(
        self,
        row: np.ndarray,
        account: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        next_account: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> Transitions:
        """Add one decision of every account and return those whose returns are now complete.

        Args:
            row, action: (N,) int64. account, next_account: (N, K), the latter the terminal one
                where the episode ended. reward: (N,).
            terminated, truncated: (N,) bool.
        """
        everyone = np.arange(len(row))
        newest = self._waiting
        self._row[everyone, newest] = row
        self._account[everyone, newest] = account
        self._action[everyone, newest] = action
        self._sum[everyone, newest] = 0.0
        age = newest[:, None] - np.arange(self.n_steps)
        self._sum += np.where(age >= 0, self.gamma ** np.maximum(age, 0) * reward[:, None], 0.0)
        self._waiting = newest + 1
        ended = terminated | truncated
        ripe = np.where(ended[:, None], age >= 0, (self._waiting == self.n_steps)[:, None] & (age == self.n_steps - 1))
        who, which = np.nonzero(ripe)
        out = Transitions(
            row=self._row[who, which],
            account=self._account[who, which],
            action=self._action[who, which],
            reward_n=self._sum[who, which].astype(np.float32),
            next_row=row[who] + 1,
            next_account=next_account[who],
            discount=(self.gamma ** (age[who, which] + 1)).astype(np.float32),
            terminated=terminated[who],
        )
        self._forget(ended)
        return out

    def state(self) -> dict[str, np.ndarray]:
        """What waits for its rewards."""
        return {name: getattr(self, name).copy() for name in HELD}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """The inverse of `state`."""
        for name in HELD:
            getattr(self, name)[:] = state[name]

    def clear(self) -> None:
        """Drop everything that waits; the accounts were reset from outside."""
        self._waiting[:] = 0

    def _forget(self, ended: np.ndarray) -> None:
        full = ~ended & (self._waiting == self.n_steps)
        for held in (self._row, self._account, self._action, self._sum):
            held[full, :-1] = held[full, 1:]
        self._waiting[full] -= 1
        self._waiting[ended] = 0
