"""Lessons: what one sampled batch teaches, for each mode of `agent.learning`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from regimegym.agents.afterstate import drifted, log_growth
from regimegym.agents.enhanced_dqn_policy import EnhancedDQNPolicy
from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings
from regimegym.agents.kernel_outcomes import ActionOutcomes
from regimegym.agents.losses import afterstate_target, chosen_value, quantile_huber
from regimegym.agents.networks.dueling import AfterstateHeads
from regimegym.agents.networks.q_network import QNetwork
from regimegym.replay.samples import ReplayBatch
from regimegym.replay.tape_bars import BarBatch


class Lesson(NamedTuple):
    """What a batch says about the online network.

    Attributes:
        loss: scalar, the TD loss, importance weights included.
        td_error: (B,) |TD error| of each sample, detached: its priority.
        q: (B, A) detached values of the samples.
        logits: (B, 4) regime logits of the samples; None where nobody learns from them.
    """

    loss: Tensor
    td_error: Tensor
    q: Tensor
    logits: Tensor | None


class TargetEncoder:
    """Encodings by the target network; kept by bar as long as its weights stay as they are.

    Args:
        network: the target network, evaluating.
        keeps: whether encodings are kept until `forget`.
    """

    def __init__(self, network: QNetwork, keeps: bool) -> None:
        self.network = network
        self.keeps = keeps
        self.hidden = torch.zeros(0, network.encoding_width)
        self.known = np.zeros(0, dtype=bool)

    def __call__(self, references: np.ndarray, windows: Tensor) -> Tensor:
        """h (B, H) of the windows (B, W, F) that end at the `references` (B,)."""
        if not self.keeps:
            return self.network.hidden(windows)
        self._make_room(int(references.max()) + 1, windows.device)
        unknown = np.flatnonzero(~self.known[references])
        if len(unknown):
            fresh, first = np.unique(references[unknown], return_index=True)
            hidden = self.network.hidden(windows[torch.from_numpy(unknown[first])])
            self.hidden[torch.from_numpy(fresh)] = hidden.float()
            self.known[fresh] = True
        return self.hidden[torch.from_numpy(references)]

    def state(self) -> dict[str, Any]:
        """What is kept; encoding it again in other batches could differ in the last digit."""
        return {"hidden": self.hidden, "known": self.known}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        self.hidden, self.known = state["hidden"].to(self.hidden.device), state["known"]

    def forget(self) -> None:
        """The weights have changed."""
        self.known[:] = False

    def _make_room(self, n_bars: int, device: torch.device) -> None:
        if n_bars > len(self.known):
            room = torch.zeros(2 * n_bars, self.hidden.shape[1], device=device)
            room[: len(self.hidden)] = self.hidden
            self.hidden, self.known = room, np.append(self.known, np.zeros(2 * n_bars - len(self.known), bool))


class Teacher:
    """Turns batches into lessons.

    Args:
        policy: online and target network.
        settings: hyper-parameters.
        encode: encoder of the target network.
        flat: index of the rung 0 (`afterstate`).

    Attributes:
        rates: cost of a purchase and of a sale that `afterstate` teaches; None: those of the heads.
    """

    def __init__(
        self, policy: EnhancedDQNPolicy, settings: EnhancedDQNSettings, encode: TargetEncoder, flat: int = 0
    ) -> None:
        self.policy = policy
        self.settings = settings
        self.encode = encode
        self.flat = flat
        self.rates: Tensor | None = None

    def sampled(self, batch: ReplayBatch) -> Lesson:
        """The action taken: y = R_n + γⁿ·(1 − terminated)·Q⁻(s′, argmax_a Q(s′, a))."""
        with torch.no_grad():
            ahead = self._next_quantiles(batch.next_market, batch.next_account, batch.references[1])
            bootstrap = batch.discount * (1 - batch.terminated)
            y = (batch.reward_n / self.policy.reward_scale)[:, None] + bootstrap[:, None] * ahead
        return self._learn(batch, y[:, None], batch.action[:, None])

    def all_actions(self, batch: ReplayBatch, outcomes: ActionOutcomes) -> Lesson:
        """Every action at the account that stood there; actions that trade alike teach alike."""
        with torch.no_grad():
            ahead = self._next_of_all(batch, outcomes.account)
            alive = self.settings.gamma * (1 - outcomes.terminated)
            y = (outcomes.reward / self.policy.reward_scale).unsqueeze(-1) + alive.unsqueeze(-1) * ahead
        return self._learn(batch, y, None)

    def _learn(self, batch: ReplayBatch, y: Tensor, actions: Tensor | None) -> Lesson:
        """The lesson of targets y (B, a, N) for the `actions` (B, a) int64; None: all, in their order."""
        online = self.policy.online
        h, logits = self._encode_online(batch.market)
        quantiles = online.quantiles(h, batch.account)
        loss, td_error = self._compare(of_actions(quantiles, actions), y)
        weighted = (batch.weights * mean_over(loss, 1)).mean()
        return Lesson(weighted, mean_over(td_error, 1), mean_over(quantiles.detach(), -1), logits)

    def _encode_online(self, market: Tensor) -> tuple[Tensor, Tensor | None]:
        """h (B, H) of windows (B, W, F), and regime logits (B, 4) where there is a loss on them."""
        if self.settings.regime_loss_weight:
            return self.policy.online.encode(market)
        return self.policy.online.hidden(market), None

    def afterstate(self, batch: BarBatch) -> Lesson:
        """Every action from every exposure: targets of δ (agents.losses.afterstate_target)."""
        online = self.policy.online
        heads, target_heads = online.heads, self.policy.average.heads
        assert isinstance(heads, AfterstateHeads)
        assert isinstance(target_heads, AfterstateHeads)
        with torch.no_grad():
            delta = target_heads.delta(self.encode(batch.next_reference, batch.next_market))
            cost = heads.cost(drifted(batch.ratio, heads.targets), self.rates)
            valuing = cost + delta[:, None, :]
            choosing = valuing
            if self.settings.double_q:
                with self.policy.evaluating():
                    choosing = cost + heads.delta(online.hidden(batch.next_market))[:, None, :]
            growth = heads.unit * log_growth(batch.ratio, heads.targets)
            y = afterstate_target(growth, self.settings.gamma, chosen_value(choosing, valuing), self.flat)
        h, logits = self._encode_online(batch.market)
        q = heads.delta(h)
        loss = functional.huber_loss(q, y, delta=self.settings.huber_delta)
        return Lesson(loss, (q.detach() - y).abs().mean(dim=1), q.detach(), logits)

    def _next_quantiles(self, market: Tensor, account: Tensor, references: np.ndarray) -> Tensor:
        """Quantiles (B, N) of the value of s′ under the target network, of the action chosen for it."""
        valued = self.policy.average.quantiles(self.encode(references, market), account)
        if not self.settings.double_q:
            return _of_action(valued, self.policy.average.risk(valued).argmax(dim=-1))
        with self.policy.evaluating():
            online = self.policy.online
            return _of_action(valued, online.best(online.hidden(market), account))

    def _next_of_all(self, batch: ReplayBatch, accounts: Tensor) -> Tensor:
        """The same (B, A, N) for the accounts (B, A, K) that every action leads to: one bar, one encoding."""
        n, n_actions, _ = accounts.shape
        flat = accounts.flatten(0, 1)

        def each(h: Tensor) -> Tensor:
            return h.repeat_interleave(n_actions, dim=0)

        valued = self.policy.average.quantiles(each(self.encode(batch.references[1], batch.next_market)), flat)
        if self.settings.double_q:
            with self.policy.evaluating():
                online = self.policy.online
                best = online.best(each(online.hidden(batch.next_market)), flat)
        else:
            best = self.policy.average.risk(valued).argmax(dim=-1)
        return _of_action(valued, best).unflatten(0, (n, n_actions))

    def _compare(self, predicted: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (…) and |TD error| (…) of predicted quantiles (…, N) against targets (…, N)."""
        delta = self.settings.huber_delta
        td_error = mean_over(predicted.detach() - y, -1).abs()
        if predicted.shape[-1] > 1:
            return quantile_huber(predicted, y, delta), td_error
        return functional.huber_loss(predicted, y, reduction="none", delta=delta).squeeze(-1), td_error


def of_actions(values: Tensor, actions: Tensor | None) -> Tensor:
    """Values (B, a, …) of the `actions` (B, a) int64, from those of all actions (B, A, …); None: all of them."""
    if actions is None:
        return values
    where = actions.reshape(*actions.shape, *(1,) * (values.dim() - 2))
    return values.gather(1, where.expand(*actions.shape, *values.shape[2:]))


def mean_over(values: Tensor, dim: int) -> Tensor:
    """Mean over `dim`; where that has one entry, the entry."""
    return values.squeeze(dim) if values.shape[dim] == 1 else values.mean(dim=dim)


def _of_action(quantiles: Tensor, action: Tensor) -> Tensor:
    """Quantiles (B, N) of each `action` (B,) int64, from quantiles (B, A, N)."""
    where = action[:, None, None].expand(-1, 1, quantiles.shape[-1])
    return quantiles.gather(1, where).squeeze(1)
