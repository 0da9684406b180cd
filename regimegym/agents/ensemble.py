"""EnsembleTrader: four specialists, one for each regime, and a gate, trained together (DEFINITIONS §10)."""

from typing import ClassVar

from torch import Tensor

from regimegym.agents.enhanced_dqn import EnhancedDQN
from regimegym.agents.ensemble_lessons import EnsembleTeacher
from regimegym.agents.ensemble_policy import EnsemblePolicy
from regimegym.agents.ensemble_settings import EnsembleSettings
from regimegym.agents.lessons import Lesson, Teacher
from regimegym.common.regimes import REGIMES
from regimegym.replay.samples import ReplayBatch
from regimegym.replay.tape_bars import BarBatch


class EnsembleTrader(EnhancedDQN):
    """EnhancedDQN's way of learning, with four networks and a gate in the place of one network.

    `predict` decides by the mixture; the modes `switch` and `vote` act through agents.policy.policy_of.
    """

    policy_type: ClassVar[type[EnsemblePolicy]] = EnsemblePolicy
    policy: EnsemblePolicy
    settings: EnsembleSettings

    def _new_teacher(self, flat: int) -> Teacher:
        return EnsembleTeacher(self.policy, self.settings, self._encode, self.replay_buffer.source)

    def _log(self, batch: ReplayBatch | BarBatch, lesson: Lesson, loss: Tensor, regime_loss: Tensor | None) -> None:
        super()._log(batch, lesson, loss, regime_loss)
        assert isinstance(batch, ReplayBatch)
        assert isinstance(self._teacher, EnsembleTeacher)
        p = self._teacher.responsibilities(batch.references[0])
        for regime in REGIMES:
            share = p[batch.regime.cpu() == regime, regime].sum() / p[:, regime].sum().clamp(min=1e-9)
            self.logger.record_mean(f"train/own_regime_share_{regime.name.lower()}", float(share))
