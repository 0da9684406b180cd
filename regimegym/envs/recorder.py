"""Hands the accounts of the environments to a replay buffer: before and after every step, packed.

An observation of an account is rounded, clipped and squashed; a buffer that is to know what other
actions would have led to needs the account itself. AccountBatch tells its recorder of every step
and every new episode; whatever advances accounts by other ways must call `stepped` too.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regimegym.common.errors import ConfigError
from regimegym.envs.compact import AccountCodec, account_codec
from regimegym.envs.settings import EnvSettings

if TYPE_CHECKING:
    from regimegym.envs.batch import AccountBatch


class RecordedStep(NamedTuple):
    """One step of N accounts."""

    reference: np.ndarray  # (N,) int64 where they decided, tape · T + row
    account: np.ndarray  # (N, S) float32, packed, as they decided
    next_account: np.ndarray  # (N, S) float32, packed, at the mark of the next row


class StepRecorder:
    """Keeps the last step of the accounts of one batch.

    Attributes:
        n_steps: steps recorded so far.
        step: the last of them; its arrays are written anew at every step.
    """

    def __init__(self, batch: "AccountBatch", codec: AccountCodec) -> None:
        self._batch = batch
        self._codec = codec
        self._standing = self._packed()
        self.n_steps = 0
        self.step = RecordedStep(np.zeros(batch.n, np.int64), self._standing.copy(), self._standing.copy())

    def stepped(self) -> None:
        """All accounts have taken a step; none has begun a new episode yet."""
        after = self._packed()
        self.step = RecordedStep(self._batch.references - 1, self._standing, after)
        self._standing = after
        self.n_steps += 1

    def began(self, which: np.ndarray) -> None:
        """The accounts `which` stand at the start of a new episode."""
        self._standing = self._standing.copy()  # the last step keeps where the old ones ended
        self._standing[which] = self._packed()[which]

    def check(self, settings: EnvSettings) -> None:
        """Raise ConfigError where accounts under `settings` would lose something in packing."""
        if not self._codec.fits(settings):
            raise ConfigError(
                "stage-needs-more",
                "a replay buffer keeps the accounts in a form that the settings of this stage do not fit",
                needed=f"{', '.join(account_codec(settings).columns)}, lot {settings.account.lot:g}",
                found=", ".join(self._codec.columns),
                help=(
                    "build the environment with settings that have the same lot, fees, impact and budgets on or off",
                ),
            )

    def _packed(self) -> np.ndarray:
        batch = self._batch
        return self._codec.pack(batch.bars, batch.references, batch.accounts)
