"""A plain DQN of stable-baselines3 beside the agent: the same rows, observations, reward and steps.

It is kept in the run folder (baselines/sb3_dqn/), so that a later evaluation compares with the very
same weights. Nothing is selected for it: the weights after the last step count.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace

from rich.console import Console

from regimegym.agents.build import build_agent
from regimegym.agents.checkpoint import load_policy, save_model
from regimegym.agents.policy import policy_of
from regimegym.agents.settings import DQNSettings
from regimegym.common.policy import Policy
from regimegym.training.preparation import Training
from regimegym.training.run_folder import RunFolder
from regimegym.training.wiring import build

KEY, LABEL = "sb3_dqn", "DQN of stable-baselines3"


def train_sb3(training: Training) -> Mapping[str, tuple[str, Policy]]:
    """The baseline of a run that asks for it, trained and saved beside its model; nothing where it does not.

    Raises:
        MachineError: the disk or its permissions refuse.
    """
    if not training.evaluation.sb3:
        return {}
    settings, seed = training.settings, training.random_seed
    Console(stderr=True, highlight=False).print(f"baseline  {LABEL} learns {settings.total_steps:,} steps", style="dim")
    env = training.experiment.vec_env(settings.n_accounts, seed)
    agent = DQNSettings()
    algorithm = build_agent(agent, env, build(training.config.network), seed)
    algorithm.learn(settings.total_steps, log_interval=None)  # type: ignore[arg-type]  # None: nothing is logged
    card = replace(training.card, algorithm=agent.name, agent=asdict(agent), decision=None, gate=None)
    save_model(training.folder.sb3_baseline, algorithm, card)
    return {KEY: (LABEL, policy_of(algorithm.policy))}


def saved_sb3(folder: RunFolder) -> Mapping[str, tuple[str, Policy]]:
    """The baseline that was trained with a run; nothing where there is none. Raises ModelError as load_policy."""
    if not folder.sb3_baseline.is_dir():
        return {}
    policy, _ = load_policy(folder.sb3_baseline, with_layers=False)
    return {KEY: (LABEL, policy)}
