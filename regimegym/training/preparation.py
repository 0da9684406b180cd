"""From a configuration to a training that is ready to start: everything checked, nothing yet learned."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from gymnasium.spaces import Discrete, Space
from omegaconf import DictConfig, OmegaConf
from stable_baselines3.common.base_class import BaseAlgorithm

from regimegym.agents.build import build_agent
from regimegym.agents.card import ModelCard, card_of
from regimegym.agents.decision.settings import DecisionSettings
from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError
from regimegym.curriculum.callback import CurriculumCallback
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.training.curriculum import curriculum_of
from regimegym.training.experiment import Experiment, build_experiment
from regimegym.training.manifest import build_manifest
from regimegym.training.room import check_room, check_writable
from regimegym.training.run_folder import RUNS, RunFolder
from regimegym.training.same_data import data_fingerprints
from regimegym.training.settings import TrainerSettings
from regimegym.training.warm_start import begin_with
from regimegym.training.wiring import build


@dataclass(frozen=True)
class Job:
    """Place of a run in a sweep: its number, and the folder that all runs of the sweep share."""

    number: int
    folder: Path


@dataclass(frozen=True)
class Training:
    """A training that is ready to start: everything in it has passed its checks."""

    config: DictConfig
    overrides: list[str]
    job: Job | None
    settings: TrainerSettings
    evaluation: EvaluationSettings
    decision: DecisionSettings
    experiment: Experiment
    curriculum: CurriculumCallback | None
    algorithm: BaseAlgorithm
    card: ModelCard
    folder: RunFolder
    started: datetime

    @property
    def random_seed(self) -> int:
        """The run's random seed."""
        return int(self.config.random_seed)


def prepare(config: DictConfig, overrides: list[str], job: Job | None) -> Training:
    """Check and build everything, then make the run folder and write what is known already."""
    started = datetime.now().astimezone()
    check_writable(place_of(config, job))
    training = assemble(config, overrides, job, lambda *about: _new_folder(config, job, *about), started)
    folder = training.folder
    if training.experiment.predictions is not None:
        training.experiment.predictions.save(folder.path)
    folder.write_text(folder.config.name, OmegaConf.to_yaml(config, resolve=True))
    folder.write_text(folder.overrides.name, OmegaConf.to_yaml(OmegaConf.create(overrides)))
    write_manifest(training, "running")
    return training


def assemble(
    config: DictConfig,
    overrides: list[str],
    job: Job | None,
    folder_of: Callable[[str, datetime, BaseAlgorithm], RunFolder],
    started: datetime,
    predictors_of: Path | None = None,
) -> Training:
    """Everything a training needs; `folder_of` (agent's name, start, algorithm) is asked once all checks have passed.

    `predictors_of` is the run folder that holds its predictors already.
    """
    check_at_least("random_seed", config.random_seed, 0)
    settings: TrainerSettings = build(config.trainer)
    evaluation: EvaluationSettings = build(config.evaluation)
    decision: DecisionSettings = build(config.decision)
    torch.set_num_threads(settings.threads)
    experiment = build_experiment(config, predictors_of)
    curriculum = curriculum_of(config, experiment)
    seed = int(config.random_seed)
    agent, network = build(config.agent), build(config.network)
    env = experiment.vec_env(settings.n_accounts, seed)
    algorithm = build_agent(agent, env, network, seed, device_of(settings.device), replay=build(config.replay))
    if config.get("warm_start") is not None:
        begin_with(algorithm, str(config.warm_start), experiment.tape.feature_names)
    if not decision.is_empty:
        _check_discrete(env.action_space, "decision layers choose", "decision=none")
    if evaluation.sb3:
        _check_discrete(env.action_space, "the DQN of evaluation.sb3 chooses", "evaluation.sb3=false")
    card = card_of(
        algorithm,
        agent,
        network,
        feature_names=experiment.tape.feature_names,
        scaler=experiment.scaler.to_dict(),
        regime_settings=asdict(experiment.regime_settings),
        feature_settings=asdict(build(config.features)),
        account_fields=ACCOUNT_FIELDS,
        action_settings=asdict(experiment.settings.action),
        random_seed=seed,
    )
    folder = folder_of(agent.name, started, algorithm)
    return Training(
        config, overrides, job, settings, evaluation, decision, experiment, curriculum, algorithm, card, folder, started
    )


def _check_discrete(space: Space, who: str, without: str) -> None:
    """Raise ConfigError `action-space` unless the actions can be counted."""
    if not isinstance(space, Discrete):
        raise ConfigError(
            "action-space",
            f"{who} among discrete actions, the environment wants {space}",
            help=("env.action.mode=trade", "or env.action.mode=target", f"or {without}"),
        )


def write_manifest(training: Training, status: str, **more: Any) -> None:
    """Write manifest.json: what ran, on what, when, how it ended, and `more`."""
    manifest = build_manifest(
        **data_fingerprints(training.experiment.market, training.experiment.further),
        random_seed=training.random_seed,
        device=str(training.algorithm.device),
        execution=training.experiment.settings.account.execution,
        started=training.started,
        finished=None if status == "running" else datetime.now().astimezone(),
        status=status,
        job=None if training.job is None else training.job.number,
        regimes={
            "settings": asdict(training.experiment.regime_settings),
            "shares": training.experiment.regime_shares(),
        },
        **more,
    )
    training.folder.write_json(training.folder.manifest.name, manifest)


def device_of(name: str) -> torch.device:
    """The torch device of a setting. Raises ConfigError when cuda is asked for and not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no-cuda", "'trainer.device' is cuda, and torch finds no CUDA device", needed="cpu or auto")
    return torch.device(name)


def _new_folder(
    config: DictConfig, job: Job | None, agent: str, started: datetime, algorithm: BaseAlgorithm
) -> RunFolder:
    check_room(place_of(config, job), algorithm, int(config.trainer.keep_checkpoints))
    name = config.name or agent
    if job is None:
        return RunFolder.create(config.run_dir, name, started)
    return RunFolder.create(config.run_dir or str(job.folder), name, started, job.number)


def place_of(config: DictConfig, job: Job | None) -> Path:
    """The folder that is given, or the one below which one will be made."""
    return Path(config.run_dir or (RUNS if job is None else job.folder))
