"""EnhancedDQN: double, dueling, n-step Q learning over tape references, with a regime detector."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from regimegym.agents.action_space import require_discrete
from regimegym.agents.enhanced_dqn_policy import EnhancedDQNPolicy
from regimegym.agents.exploration import draw_explorers
from regimegym.agents.losses import (
    double_q_target,
    regime_accuracy,
    regime_cross_entropy,
    soft_update,
    weighted_huber,
)
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.randomness import TorchStream
from regimegym.agents.settings import EnhancedDQNSettings
from regimegym.common.errors import ConfigError
from regimegym.common.seeding import generator, integer_seed
from regimegym.envs.recorded_source import record_steps
from regimegym.features.tape import MarketTape
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.samples import ReplayBatch
from regimegym.replay.settings import ReplaySettings
from regimegym.replay.sources import ObservedSource


class EnhancedDQN(OffPolicyAlgorithm):
    """A stable-baselines3 off-policy algorithm: `learn`, `predict`, callbacks and logger as there.

    `predict` is greedy, whatever `deterministic` says; exploration happens while learning only.
    Two models with the same settings, environment and `random_seed` have equal weights bit for
    bit after equal training on one machine.

    Args:
        env: VecEnv with observations `market` and `account`, infos with `row`, attribute `tape`.
        settings: hyper-parameters.
        network: widths of the network.
        random_seed: of weights, dropout, exploration, replay; SB3 seeds its globals and `env` too.
        device, tensorboard_log, verbose: as in SB3.
        replay: what is drawn from replay; uniform where None.

    Raises:
        ConfigError: the action space is not discrete, or the environment has no tape.
    """

    policy: EnhancedDQNPolicy
    replay_buffer: RegimeReplayBuffer
    action_space: spaces.Discrete

    def __init__(
        self,
        env: VecEnv,
        settings: EnhancedDQNSettings,
        network: NetworkSettings,
        random_seed: int,
        device: torch.device | str = "cpu",
        tensorboard_log: str | None = None,
        verbose: int = 0,
        replay: ReplaySettings | None = None,
    ) -> None:
        require_discrete(settings.name, env.action_space)
        super().__init__(
            policy=EnhancedDQNPolicy,
            env=env,
            learning_rate=LinearSchedule(settings.learning_rate, settings.final_learning_rate, 1.0),
            buffer_size=settings.buffer_size,
            learning_starts=settings.learning_starts,
            batch_size=settings.batch_size,
            tau=settings.tau,
            gamma=settings.gamma,
            train_freq=1,
            gradient_steps=-1,
            replay_buffer_class=RegimeReplayBuffer,
            replay_buffer_kwargs={
                "source": record_steps(env) or ObservedSource(tape_of(env), env.observation_space),
                "settings": replay,
                "rng": generator(random_seed, "replay"),
                "n_steps": settings.n_steps,
                "gamma": settings.gamma,
            },
            policy_kwargs={
                "network": network,
                "weight_decay": settings.weight_decay,
                "act_with_average": settings.act_with_average,
            },
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            seed=integer_seed(random_seed, "sb3"),
            sde_support=False,
            support_multi_env=True,
            supported_action_spaces=(spaces.Discrete,),
        )
        self.settings = settings
        self.network = network
        self.epsilon = settings.epsilon()
        self._exploration = generator(random_seed, "exploration")
        self._stream = TorchStream(integer_seed(random_seed, "torch"), self.device)
        self._updates_due = 0.0
        with self._stream.use():
            self._setup_model()

    def set_random_seed(self, seed: int | None = None) -> None:
        """SB3's seeding, with the weights still drawn from the model's own stream."""
        state = torch.get_rng_state()
        super().set_random_seed(seed)
        torch.set_rng_state(state)

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Epsilon-greedy actions (N,), each account with its own coin; all random in the warm-up."""
        warm_up = self.num_timesteps < learning_starts
        epsilon = 1.0 if warm_up else self.epsilon(1.0 - self._current_progress_remaining)
        exploring = draw_explorers(self._exploration, n_envs, epsilon)
        actions = self._exploration.integers(self.action_space.n, size=n_envs)
        if not exploring.all():
            assert self._last_obs is not None
            greedy, _ = self.predict(self._last_obs)
            actions = np.where(exploring, actions, greedy)
        self.logger.record("rollout/epsilon", epsilon)
        return actions, actions

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """Learn from replay.

        Args:
            gradient_steps: transitions collected since the last call; `updates_per_bar` gradient
                steps are made for each, fractions carried over.
            batch_size: transitions per gradient step.
        """
        self._updates_due += gradient_steps * self.settings.updates_per_bar
        updates = int(self._updates_due)
        self._updates_due -= updates
        if updates == 0 or self.replay_buffer.size() == 0:
            return
        self._update_learning_rate(self.policy.optimizer)
        self.policy.train(True)
        if self._n_updates == 0 and self.settings.scale_rewards:
            self.policy.reward_scale.fill_(reward_scale(self.replay_buffer))
        self.replay_buffer.anneal(1.0 - self._current_progress_remaining)
        with self._stream.use():
            records = [self._update(self.replay_buffer.draw(batch_size)) for _ in range(updates)]
        self.policy.train(False)
        self._n_updates += updates
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for key in records[0]:
            values = [float(record[key]) for record in records if not math.isnan(record[key])]
            if values:
                self.logger.record_mean(f"train/{key}", float(np.mean(values)))

    def _update(self, batch: ReplayBatch) -> dict[str, Tensor]:
        """One gradient step and one soft update."""
        online, parameters = self.policy.online, self.policy.online_parameters
        y = self._target(batch)
        h, logits = online.encode(batch.market)
        q = online.q(h, batch.account)
        td_error = y - q.gather(1, batch.action[:, None]).squeeze(1)
        td_loss = weighted_huber(td_error, batch.weights, self.settings.huber_delta)
        regime_loss = regime_cross_entropy(logits, batch.regime)
        loss = td_loss + self.settings.regime_loss_weight * regime_loss
        self.policy.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, self.settings.max_grad_norm)
        self.policy.optimizer.step()
        soft_update(self.policy.average_parameters, parameters, self.tau)
        self.replay_buffer.update_priorities(batch.slots, batch.born, td_error)
        with torch.no_grad():
            return {
                "loss": loss.detach(),
                "td_error": td_error.abs().mean(),
                "q_mean": q.mean(),
                "regime_loss": regime_loss.detach(),
                "regime_accuracy": regime_accuracy(logits, batch.regime),
            }

    @torch.no_grad()
    def _target(self, batch: ReplayBatch) -> Tensor:
        """Double-DQN targets (B,) in scaled rewards, both networks evaluating (no dropout)."""
        online, average = self.policy.online, self.policy.average
        self.policy.set_dropout(False)
        next_online = online.q(online.encode(batch.next_market)[0], batch.next_account)
        self.policy.set_dropout(True)
        next_average = average.q(average.encode(batch.next_market)[0], batch.next_account)
        reward_n = batch.reward_n / self.policy.reward_scale
        return double_q_target(reward_n, batch.discount, batch.terminated, next_online, next_average)

    def extra_state(self) -> dict[str, Any]:
        """What stable-baselines3 does not know of: own generators, updates that are due (agents.state)."""
        return {
            "exploration": self._exploration.bit_generator.state,
            "stream": self._stream.state(),
            "updates_due": self._updates_due,
        }

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `extra_state`."""
        self._exploration.bit_generator.state = state["exploration"]
        self._stream.load_state(state["stream"])
        self._updates_due = state["updates_due"]

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> tuple[int, BaseCallback]:
        """SB3's; where it resets the environment, returns that still wait for rewards are dropped."""
        if reset_num_timesteps or self._last_obs is None:
            self.replay_buffer.forget_pending()
        return super()._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)


def tape_of(env: VecEnv) -> MarketTape:
    """The tape of a vector environment. Raises ConfigError when it has none."""
    try:
        return env.get_attr("tape")[0]
    except AttributeError:
        raise ConfigError(
            "no-tape",
            "agent=enhanced_dqn replays references into a market tape, and this environment has no "
            f"attribute 'tape': {type(env).__name__}",
            needed="regimegym.envs.sb3_vec_env.TradingVecEnv, or TradingEnv behind SB3's DummyVecEnv",
        ) from None


def reward_scale(buffer: RegimeReplayBuffer) -> float:
    """Standard deviation of the stored returns per bar, 1 where they do not vary."""
    scale = float(np.std(buffer.stored.reward_n, dtype=np.float64)) / math.sqrt(buffer.n_steps)
    return scale if scale > 1e-12 else 1.0
