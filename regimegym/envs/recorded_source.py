"""What a replay buffer asks of environments of ours: tapes, steps, and accounts back from what it kept."""

from collections.abc import Sequence

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from regimegym.common.errors import RegimeGymError
from regimegym.envs.batch import AccountBatch
from regimegym.envs.compact import account_codec
from regimegym.envs.recorder import RecordedStep, StepRecorder
from regimegym.envs.state import Accounts
from regimegym.features.tape import MarketTape


class RecordedSource:
    """What a replay buffer asks of environments of ours (replay.source.StepSource).

    Attributes:
        codec: how the accounts are packed.
        size: S, numbers of a packed account.
    """

    def __init__(self, batches: Sequence[AccountBatch]) -> None:
        self._batches = batches
        self.codec = account_codec(batches[0].settings)
        self.size = self.codec.size
        for batch in batches:
            batch.recorder = StepRecorder(batch, self.codec)
        self._n_steps = 0

    @property
    def tapes(self) -> Sequence[MarketTape]:
        """The tapes that references lead to, all of T rows; it grows with the stages."""
        return self._batches[0].tapes

    def last_step(self, *_observed: object) -> RecordedStep:
        """The step that was just taken.

        Raises:
            RegimeGymError: `no-step`, the environments that are recorded have not moved.
        """
        recorders = [batch.recorder for batch in self._batches]
        n_steps = sum(recorder.n_steps for recorder in recorders if recorder is not None)
        if n_steps == self._n_steps:
            raise RegimeGymError(
                "no-step",
                "the replay buffer was given a step that its environment did not take",
                help=("environments in other processes (SubprocVecEnv) cannot be recorded: use TradingVecEnv",),
            )
        self._n_steps = n_steps
        steps = [recorder.step for recorder in recorders if recorder is not None]
        if len(steps) == 1:
            return steps[0]
        return RecordedStep(*(np.concatenate(part) for part in zip(*steps, strict=True)))

    def write_blocks(self, packed: np.ndarray, out: np.ndarray) -> None:
        """See AccountCodec.write_blocks."""
        self.codec.write_blocks(packed, out)

    def accounts(self, references: np.ndarray, packed: np.ndarray) -> Accounts:
        """N accounts in units of their equity, ready for envs.outcomes; see AccountCodec.unpack."""
        return self.codec.unpack(self._batches[0].bars, references, packed)

    @property
    def bars(self) -> np.ndarray:
        """Records envs.state.BAR of all tapes laid end to end, as references count them."""
        return self._batches[0].bars


def record_steps(env: VecEnv) -> RecordedSource | None:
    """Begin to record the accounts of `env`; None where they are not ours.

    TradingVecEnv, and TradingEnv behind DummyVecEnv, also within wrappers.
    """
    if not env.has_attr("batch"):
        return None
    batches = {id(batch): batch for batch in env.get_attr("batch")}.values()
    if not all(isinstance(batch, AccountBatch) for batch in batches):
        return None
    return RecordedSource(list(batches))
