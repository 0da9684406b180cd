"""EnhancedDQN: double, dueling, n-step Q learning over tape references, with a regime detector."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from regimegym.agents.action_space import require_discrete
from regimegym.agents.afterstate import Ladder, afterstate_ladder, fill_ratios
from regimegym.agents.enhanced_dqn_policy import EnhancedDQNPolicy
from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings
from regimegym.agents.env_access import attribute_of, settings_of, stage_references, standing_references, tape_of
from regimegym.agents.exploration import draw_explorers
from regimegym.agents.kernel_outcomes import KernelOutcomes
from regimegym.agents.lessons import Lesson, TargetEncoder, Teacher
from regimegym.agents.losses import regime_accuracy, regime_cross_entropy, soft_update
from regimegym.agents.networks.dueling import AfterstateHeads
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.common.errors import ConfigError
from regimegym.common.regimes import Regime
from regimegym.common.seeding import generator, integer_seed
from regimegym.common.torch_stream import TorchStream
from regimegym.envs.recorded_source import record_steps
from regimegym.envs.settings import EnvSettings
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.replay.samples import ReplayBatch
from regimegym.replay.settings import ReplaySettings
from regimegym.replay.sources import ObservedSource
from regimegym.replay.tape_bars import BarBatch, TapeBars

LOG_EVERY = 10  # updates between two that are logged
LEAST_SCALE = 1e-12  # rewards that vary less do not vary


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
        replay: what is drawn from replay; uniform where None. Afterstates draw bars instead.

    Raises:
        ConfigError: the action space is not discrete, or the environment has no tape.
    """

    policy_type: ClassVar[type[EnhancedDQNPolicy]] = EnhancedDQNPolicy
    policy: EnhancedDQNPolicy
    replay_buffer: Any  # RegimeReplayBuffer, or TapeBars where bars themselves are learned from
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
        ladder = None
        if settings.learning == "afterstate":
            ladder = afterstate_ladder(settings_of(env), tape_of(env))
        buffer, buffer_arguments = _memory(env, settings, replay, generator(random_seed, "replay"))
        super().__init__(
            policy=self.policy_type,
            env=env,
            learning_rate=LinearSchedule(settings.learning_rate, settings.final_learning_rate, 1.0),
            buffer_size=settings.buffer_size,
            learning_starts=settings.learning_starts,
            batch_size=settings.batch_size,
            tau=settings.tau,
            gamma=settings.gamma,
            train_freq=1,
            gradient_steps=-1,
            replay_buffer_class=buffer,
            replay_buffer_kwargs=buffer_arguments,
            policy_kwargs={
                "network": network,
                "weight_decay": settings.weight_decay,
                **settings.policy_arguments(),
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
        self._since_copy = 0  # updates since the last whole copy of the weights
        with self._stream.use():
            self._setup_model()
        if self.device.type == "cpu":
            self.policy.join_weights()
        self._encode = TargetEncoder(self.policy.average, settings.target_copy == "interval")
        self._teacher = self._new_teacher(0 if ladder is None else ladder.flat)
        self._outcomes: KernelOutcomes | None = None
        if settings.learning == "all_actions":
            self._outcomes = KernelOutcomes(self.replay_buffer.source, lambda: settings_of(env))
        if ladder is not None:
            self._begin_afterstates(ladder, settings_of(env))

    def _new_teacher(self, flat: int) -> Teacher:
        """Who turns batches into lessons; `flat` is the rung 0 of afterstates."""
        return Teacher(self.policy, self.settings, self._encode, flat)

    def _begin_afterstates(self, ladder: Ladder, env_settings: EnvSettings) -> None:
        """Tell the heads what changing rungs costs, in rewards divided by their deviation."""
        ratios = self.replay_buffer.ratios[self.replay_buffer.rows]
        scale = float(np.log1p(ratios).std()) * env_settings.reward.reward_scale
        if self.settings.scale_rewards and scale > LEAST_SCALE:
            self.policy.reward_scale.fill_(scale)
        for heads in (self.policy.online.heads, self.policy.average.heads):
            assert isinstance(heads, AfterstateHeads)
            heads.set_ladder(ladder, env_settings.reward.reward_scale / float(self.policy.reward_scale))

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
            actions = np.where(exploring, actions, self._greedy(~exploring, actions))
        self.logger.record("rollout/epsilon", epsilon)
        return actions, actions

    @torch.no_grad()
    def _greedy(self, asked: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """(N,) actions: greedy ones where `asked`, the others as they come; a bar is encoded once."""
        assert isinstance(self._last_obs, dict)
        market, account = self._last_obs["market"][asked], self._last_obs["account"][asked]
        rows = standing_references(self.env)
        distinct: Any = slice(None)
        where: Any = slice(None)
        if rows is not None:
            _, distinct, where = np.unique(rows[asked], return_index=True, return_inverse=True)
        windows = torch.from_numpy(market[distinct]).to(self.device)
        accounts = torch.from_numpy(account).to(self.device)
        if self.policy.is_noisy:
            with self._stream.use():
                best = self.policy.explore(windows, where, accounts).argmax(dim=1)
        else:
            network = self.policy.acting
            best = network.best(network.hidden(windows)[where], accounts)
        actions = actions.copy()
        actions[asked] = best.cpu().numpy()
        return actions

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
        self._scale_rewards()
        self.replay_buffer.anneal(1.0 - self._current_progress_remaining)
        with self._stream.use():
            for _ in range(updates):
                self._update(batch_size)
        self.policy.train(False)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _scale_rewards(self) -> None:
        """Fix the unit of the rewards at the first update; afterstates know theirs from the start."""
        if self._n_updates == 0 and self.settings.scale_rewards and self.settings.learning != "afterstate":
            self.policy.reward_scale.fill_(reward_scale(self.replay_buffer))

    def _update(self, batch_size: int) -> None:
        """One gradient step, and a copy of the weights where one is due."""
        batch = self.replay_buffer.draw(batch_size)
        self.policy.resample_noise()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            lesson = self._teach(batch)
            regime_loss = None if lesson.logits is None else regime_cross_entropy(lesson.logits, batch.regime)
            loss = lesson.loss
            if regime_loss is not None:
                loss = loss + self.settings.regime_loss_weight * regime_loss
        self.policy.optimizer.zero_grad()
        loss.backward()
        self.policy.descend(self.settings.max_grad_norm)
        self._copy_weights()
        if isinstance(batch, ReplayBatch):
            self.replay_buffer.update_priorities(batch.slots, batch.born, lesson.td_error)
        if self._n_updates % LOG_EVERY == 0:
            self._log(batch, lesson, loss, regime_loss)
        self._n_updates += 1

    def _log(self, batch: ReplayBatch | BarBatch, lesson: Lesson, loss: Tensor, regime_loss: Tensor | None) -> None:
        seen = {
            "loss": loss,
            "td_error": lesson.td_error.mean(),
            "q_mean": lesson.q.mean(),
        }
        if regime_loss is not None and lesson.logits is not None:
            seen |= {"regime_loss": regime_loss, "regime_accuracy": regime_accuracy(lesson.logits, batch.regime)}
        for key, value in seen.items():
            number = float(value.detach())
            if not math.isnan(number):
                self.logger.record_mean(f"train/{key}", number)

    def _teach(self, batch: ReplayBatch | BarBatch) -> Lesson:
        """The lesson of a batch in this model's mode of learning."""
        if isinstance(batch, BarBatch):
            return self._teacher.afterstate(batch)
        if self._outcomes is not None:
            return self._teacher.all_actions(batch, self._outcomes(batch))
        return self._teacher.sampled(batch)

    def _copy_weights(self) -> None:
        """Move the target network: a little after every update, or whole at intervals."""
        average, online = self.policy.average_parameters, self.policy.online_parameters
        if self.settings.target_copy == "soft":
            soft_update(average, online, self.tau)
            return
        self._since_copy += 1
        if self._since_copy >= self.settings.target_interval:
            soft_update(average, online, 1.0)
            self._encode.forget()
            self._since_copy = 0

    def stage_began(self) -> None:
        """The environments were given a new stage: bars that are taught without accounts are its own, at its costs.

        Raises ConfigError where afterstates do not hold under the stage.
        """
        if not isinstance(self.replay_buffer, TapeBars):
            return
        assert self.env is not None
        env_settings, tapes = settings_of(self.env), attribute_of(self.env, "tapes")
        ladder = afterstate_ladder(env_settings, tapes[-1])
        ratios = np.concatenate([fill_ratios(tape, env_settings.account.execution) for tape in tapes])
        self.replay_buffer.teach(tapes, stage_references(self.env), ratios)
        self._teacher.rates = torch.tensor([ladder.buying, ladder.selling], device=self.device)

    def extra_state(self) -> dict[str, Any]:
        """What stable-baselines3 does not know of: own generators, updates that are due (agents.state)."""
        return {
            "exploration": self._exploration.bit_generator.state,
            "stream": self._stream.state(),
            "updates_due": self._updates_due,
            "since_copy": self._since_copy,
            "encodings": self._encode.state(),
        }

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `extra_state`."""
        self._exploration.bit_generator.state = state["exploration"]
        self._stream.load_state(state["stream"])
        self._updates_due = state["updates_due"]
        self._since_copy = state["since_copy"]
        self._encode.load_state(state["encodings"])

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
            self._encode.forget()
        return super()._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)


def _memory(
    env: VecEnv, settings: EnhancedDQNSettings, replay: ReplaySettings | None, rng: np.random.Generator
) -> tuple[type[ReplayBuffer], dict[str, Any]]:
    """The replay buffer of a mode of learning and its arguments.

    Raises ConfigError on a tape without regimes: replay never stores a bar whose regime is unknown.
    """
    tape = tape_of(env)
    if settings.learning == "afterstate":
        ratios = fill_ratios(tape, settings_of(env).account.execution)
        return TapeBars, {"tape": tape, "limits": attribute_of(env, "rows"), "ratios": ratios, "rng": rng}
    if (tape.regimes == Regime.UNKNOWN).all():
        raise ConfigError(
            "no-regimes",
            f"agent.learning={settings.learning} replays bars by regime, and the tape of {tape.symbol} knows none",
            needed="a tape made by features.market.build_tape",
        )
    source = record_steps(env)
    if settings.learning == "all_actions" and source is None:
        attribute_of(env, "settings")
    return RegimeReplayBuffer, {
        "source": source or ObservedSource(tape, env.observation_space),
        "settings": replay,
        "rng": rng,
        "n_steps": settings.n_steps,
        "gamma": settings.gamma,
    }


def reward_scale(buffer: RegimeReplayBuffer) -> float:
    """Standard deviation of the stored returns per bar, 1 where they do not vary."""
    scale = float(np.std(buffer.stored.reward_n, dtype=np.float64)) / math.sqrt(buffer.n_steps)
    return scale if scale > LEAST_SCALE else 1.0
