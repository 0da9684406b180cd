"""What a batch teaches four specialists and their gate (DEFINITIONS §10)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regimegym.agents.ensemble_policy import EnsemblePolicy
from regimegym.agents.ensemble_settings import EnsembleSettings
from regimegym.agents.lessons import Lesson, Teacher, of_actions
from regimegym.agents.losses import regime_cross_entropy
from regimegym.agents.networks.ensemble import mixture
from regimegym.common.regimes import N_REGIMES
from regimegym.features.tape import MarketTape
from regimegym.replay.samples import ReplayBatch


class EnsembleTeacher(Teacher):
    """TD loss of the mixture + Σ_k stopgrad(p_k)·TD(Q_k) + the experts' detectors + balance of the gate.

    p_k are the causal regime probabilities of the decision's bar (DEFINITIONS §3): a specialist learns
    most where its regime is likely. The gate's own cross-entropy is the learner's regime loss.

    Args:
        tapes: tells the tapes that references lead to. Others as for Teacher.
    """

    policy: EnsemblePolicy
    settings: EnsembleSettings

    def __init__(self, policy: EnsemblePolicy, settings: EnsembleSettings, encode: Any, source: Any) -> None:
        super().__init__(policy, settings, encode)
        self._source = source
        self._probabilities = np.empty((0, N_REGIMES), np.float32)
        self._n_tapes = 0

    def _learn(self, batch: ReplayBatch, y: Tensor, actions: Tensor | None) -> Lesson:
        online = self.policy.online
        h, logits, own_logits = online.encode_all(batch.market)
        members = online.members(h, batch.account)
        q = mixture(members)
        loss, td_error = self._compare(of_actions(q.unsqueeze(-1), actions), y)
        p = self.responsibilities(batch.references[0]).to(q.device)
        total = (batch.weights * loss.mean(dim=1)).mean()
        total = total + self.settings.member_loss_weight * self._member_loss(members.q, batch, y, actions, p)
        total = total + self.settings.balance_weight * imbalance(members.weights)
        detectors = torch.stack([regime_cross_entropy(own_logits[:, k], batch.regime) for k in range(N_REGIMES)])
        total = total + self.settings.regime_loss_weight * detectors.mean()
        return Lesson(total, td_error.mean(dim=1), q.detach(), logits)

    def _member_loss(self, q: Tensor, batch: ReplayBatch, y: Tensor, actions: Tensor | None, p: Tensor) -> Tensor:
        """Σ_k p_k·Huber(TD(Q_k)), mean over the batch, of member values (B, 4, A)."""
        losses = [self._compare(of_actions(q[:, k].unsqueeze(-1), actions), y)[0].mean(dim=1) for k in range(N_REGIMES)]
        return (batch.weights * (p * torch.stack(losses, dim=1)).sum(dim=1)).mean()

    def responsibilities(self, references: np.ndarray) -> Tensor:
        """p (B, 4) float32 of the bars at `references` (B,) int64; ¼ each where the regime is unknown."""
        tapes: Sequence[MarketTape] = self._source.tapes
        if len(tapes) != self._n_tapes:
            self._probabilities = np.concatenate([tape.regime_probabilities for tape in tapes])
            self._n_tapes = len(tapes)
        return torch.from_numpy(self._probabilities[references])


def imbalance(weights: Tensor) -> Tensor:
    """K·Σ_k w̄_k² − 1 of gate weights (B, K), w̄ their mean over the batch: 0 when all are used alike, K − 1 for one.

    Source: the load-balancing loss of Shazeer et al. 2017, arXiv:1701.06538, in its squared form.
    """
    mean = weights.mean(dim=0)
    return len(mean) * (mean**2).sum() - 1.0
