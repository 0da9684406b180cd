"""What every action would have led to from a replayed account: the step kernel, asked once more."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from regimegym.envs.actions import ActionTranslator
from regimegym.envs.observation import ACCOUNT_FIELDS, write_account_blocks
from regimegym.envs.outcomes import outcome_batch
from regimegym.envs.recorded_source import RecordedSource
from regimegym.envs.settings import EnvSettings
from regimegym.envs.state import rule_record
from regimegym.replay.samples import ReplayBatch


class ActionOutcomes(NamedTuple):
    """Outcomes of A actions from B accounts, on the learner's device."""

    reward: Tensor  # (B, A) float32
    account: Tensor  # (B, A, K) float32 account blocks one bar later
    terminated: Tensor  # (B, A) float32, 1 where the action ended in a liquidation


class KernelOutcomes:
    """Asks for all actions at once, under the settings that hold now.

    Args:
        source: gives replayed accounts back.
        settings: tells the settings of the accounts; a later stage may have others.
    """

    def __init__(self, source: RecordedSource, settings: Callable[[], EnvSettings]) -> None:
        self._source = source
        self._settings = settings
        self._ruled_by: EnvSettings | None = None
        self._rule(settings())

    def __call__(self, batch: ReplayBatch) -> ActionOutcomes:
        """Outcomes of every action from the accounts of a batch."""
        if self._settings() is not self._ruled_by:
            self._rule(self._settings())
        references = batch.references[0]
        accounts = self._source.accounts(references, batch.packed[0])
        found = outcome_batch(self._source.bars, self._rules, references, accounts, self._targets, self._reward_rule)
        shape = (len(references), len(self._targets))
        blocks = np.empty((shape[0] * shape[1], len(ACCOUNT_FIELDS)), np.float32)
        after = found.result.accounts
        write_account_blocks(
            self._source.bars, np.repeat(references + 1, shape[1]), after.values, after.ring.shape[1], blocks
        )
        device = batch.market.device
        return ActionOutcomes(
            torch.from_numpy(found.reward.astype(np.float32)).to(device),
            torch.from_numpy(blocks.reshape(*shape, -1)).to(device),
            torch.from_numpy(found.terminated.astype(np.float32)).to(device),
        )

    def _rule(self, settings: EnvSettings) -> None:
        weights = ActionTranslator(settings.action, settings.account.max_leverage).weights
        assert weights is not None  # a value-based agent was refused continuous actions before
        self._targets = weights
        self._rules = rule_record(settings)
        self._reward_rule = settings.reward.rule
        self._ruled_by = settings
