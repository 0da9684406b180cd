"""One training: learn on train, select on validation, look at test once, leave a run folder."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import configure

from regimegym.agents.action_space import require_discrete
from regimegym.agents.build import build_agent
from regimegym.agents.card import ModelCard, card_of
from regimegym.agents.checkpoint import save_model
from regimegym.agents.decision.settings import DecisionSettings
from regimegym.agents.policy import policy_of
from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError, DataError, RunError
from regimegym.common.seeding import generator
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.evaluate.baselines import run_baselines
from regimegym.evaluate.evaluation import Evaluation, evaluate_policy
from regimegym.evaluate.intervals import log_return_intervals
from regimegym.evaluate.metrics import all_metrics
from regimegym.evaluate.report_content import ReportContext
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.settings import EvaluationSettings
from regimegym.features.durations import timeframe_words
from regimegym.training.board import Board
from regimegym.training.callback import Score, TrainingCallback
from regimegym.training.checkpoints import CheckpointCallback, Checkpoints, StopRequest, TrainingStopped
from regimegym.training.decision_layers import describe_layers, fit_layers
from regimegym.training.display import RunHeader, TrainingDisplay
from regimegym.training.experiment import Experiment, build_experiment
from regimegym.training.ledger import LEDGER, Ledger
from regimegym.training.manifest import build_manifest
from regimegym.training.outcome import action_shares, day, report_context, summary_block, write_outcome
from regimegym.training.run_folder import RunFolder
from regimegym.training.settings import TrainerSettings
from regimegym.training.state_file import Tree
from regimegym.training.summary import RunSummary, render_summary
from regimegym.training.training_state import load_training_state, training_state
from regimegym.training.wiring import build, leaves, read_run_config

RESAMPLES = 500  # of the interval at each validation; a chart needs no more


class TrainingInterrupted(KeyboardInterrupt):
    """Somebody stopped a training; everything is saved, and the message says where and how to go on."""

    exit_code = 0  # it did what it was asked to


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
    algorithm: BaseAlgorithm
    card: ModelCard
    folder: RunFolder
    started: datetime

    @property
    def random_seed(self) -> int:
        """The run's random seed."""
        return int(self.config.random_seed)


def train(config: DictConfig, overrides: list[str], job: Job | None = None) -> float:
    """Run one training and return the validation log return (unshaped) of the selected model.

    A single run opens the test part once, at the end. A job of a sweep never does.

    Args:
        config: composed from conf/train.yaml.
        overrides: the command line's own settings, for overrides.yaml and for people.
        job: place in a sweep, None for a single run.

    Raises:
        RegimeGymError: a mistake in the input, before anything is written.
        TrainingInterrupted: Ctrl-C or SIGTERM; a checkpoint and the best model are saved.
    """
    training = prepare(config, overrides, job)
    with training.folder.held():
        return _run(training, None)


def resume(path: str) -> float:
    """Go on with the run at `path` as if it had never stopped; returns as `train`.

    Without a checkpoint the run begins anew, in its folder.

    Raises:
        RunError: no run folder, a finished run, or one that another process is working on.
        ModelError: the checkpoint belongs to another configuration.
        TrainingInterrupted: as of `train`.
    """
    folder = RunFolder.open(path)
    manifest = folder.read_manifest()
    if manifest.get("status") == "finished":
        raise RunError(
            "finished",
            f"the run of {folder.path} is finished; there is nothing to go on with",
            help=[f"regime-gym evaluate run={folder.path}"],
        )
    config = read_run_config(folder.config)
    number = manifest.get("job")
    job = None if number is None else Job(int(number), folder.path.parent)
    started = datetime.fromisoformat(manifest["started"]) if "started" in manifest else datetime.now().astimezone()
    with folder.held():
        training = _assemble(config, list(OmegaConf.load(folder.overrides)), job, lambda name, when: folder, started)
        _check_same_bars(training, manifest)
        found = Checkpoints(folder.checkpoints, training.settings.keep_checkpoints).newest()
        return _run(training, found)


def _run(training: Training, found: tuple[int, Tree] | None) -> float:
    """Learn, from the checkpoint `found` where there is one, and finish."""
    board = Board(training.folder.tensorboard, purge_step=None if found is None else found[0])
    try:
        callback = learn(training, board, found)
        return finish(training, callback, board)
    finally:
        board.close()


def prepare(config: DictConfig, overrides: list[str], job: Job | None) -> Training:
    """Check and build everything, then make the run folder and write what is known already."""
    started = datetime.now().astimezone()
    training = _assemble(
        config, overrides, job, lambda name, when: _new_folder(config, config.name or name, job, when), started
    )
    folder = training.folder
    folder.write_text(folder.config.name, OmegaConf.to_yaml(config, resolve=True))
    folder.write_text(folder.overrides.name, OmegaConf.to_yaml(OmegaConf.create(overrides)))
    write_manifest(training, "running")
    return training


def _assemble(
    config: DictConfig,
    overrides: list[str],
    job: Job | None,
    folder_of: Callable[[str, datetime], RunFolder],
    started: datetime,
) -> Training:
    """Everything a training needs; `folder_of` (agent's name, start) is asked once all checks have passed."""
    check_at_least("random_seed", config.random_seed, 0)
    settings: TrainerSettings = build(config.trainer)
    evaluation: EvaluationSettings = build(config.evaluation)
    decision: DecisionSettings = build(config.decision)
    torch.set_num_threads(settings.threads)
    experiment = build_experiment(config)
    seed = int(config.random_seed)
    agent, network = build(config.agent), build(config.network)
    env = experiment.vec_env(settings.n_accounts, seed)
    algorithm = build_agent(agent, env, network, seed, device_of(settings.device), replay=build(config.replay))
    if not decision.is_empty:
        require_discrete("decision", env.action_space)
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
    folder = folder_of(agent.name, started)
    return Training(
        config, overrides, job, settings, evaluation, decision, experiment, algorithm, card, folder, started
    )


def learn(training: Training, board: Board, found: tuple[int, Tree] | None = None) -> TrainingCallback:
    """Train with display, TensorBoard, validation and checkpoints; `model/` always holds the best model so far.

    Args:
        found: step and state of the checkpoint to go on from, None at the start.
    """
    folder, settings, algorithm = training.folder, training.settings, training.algorithm
    board.layout()
    algorithm.set_logger(configure(str(folder.tensorboard), ["tensorboard"]))
    begun = 0 if found is None else found[0]
    with TrainingDisplay(header(training), settings.total_steps, console=Console(highlight=False)) as display:
        callback = TrainingCallback(
            Validator(training),
            lambda algorithm, step: _keep(training, algorithm),
            settings.validate_every,
            settings.total_steps,
            display,
            board,
        )
        if found is not None:
            load_training_state(algorithm, callback, found[1])
        stop = StopRequest()
        saver = CheckpointCallback(
            Checkpoints(folder.checkpoints, settings.keep_checkpoints),
            lambda: training_state(algorithm, callback),
            settings.checkpoint_steps,
            settings.checkpoint_minutes,
            stop,
            begun,
        )
        try:
            with stop.listening():
                algorithm.learn(
                    settings.total_steps - begun, callback=[callback, saver], reset_num_timesteps=found is None
                )
        except TrainingStopped as stopped:
            raise TrainingInterrupted(_stopped(training, callback, stopped)) from stopped
        except BaseException:
            write_manifest(training, "interrupted")
            raise
        finally:
            algorithm.logger.close()
    return callback


class Validator:
    """Scores an algorithm on the validation part; the baselines there are run once."""

    def __init__(self, training: Training) -> None:
        self._experiment = training.experiment
        experiment, rows = training.experiment, training.experiment.split.validation
        cross = training.evaluation.cross(experiment.tape.timeframe_ns)
        runs = run_baselines(
            experiment.tape,
            experiment.settings,
            rows,
            training.random_seed,
            0,
            random_accounts=1,
            cross=cross,
        )
        self._intervals = replace(
            training.evaluation.intervals, n_resamples=min(RESAMPLES, training.evaluation.intervals.n_resamples)
        )
        self._random_seed = training.random_seed
        # A random trader is compared at the agent's own number of trades, which is not known yet.
        self._baselines = {key: all_metrics(found) for key, found in runs.trajectories.items() if key != "random"}

    def __call__(self, algorithm: BaseAlgorithm) -> Score:
        """Metrics of the agent and the baselines, and the interval of the agent's log return."""
        experiment = self._experiment
        policy = policy_of(algorithm.policy)
        (found,) = rollout(policy, experiment.tape, experiment.settings, experiment.split.validation)
        draws = generator(self._random_seed, "validation-interval")
        ((own,), _) = log_return_intervals(found.log_returns[None], found.n_trades, self._intervals, draws)
        return Score({"agent": all_metrics(found), **self._baselines}, (own.low, own.high))


def finish(training: Training, callback: TrainingCallback, board: Board) -> float:
    """Score the selected model, write results and report, print the summary."""
    experiment, folder, seed = training.experiment, training.folder, training.random_seed
    device = device_of(training.settings.device)
    policy, card = fit_layers(folder, experiment, training.decision, device)
    ledger, fingerprint = Ledger(LEDGER), experiment.market.bars.fingerprint
    label = type(training.algorithm).__name__
    rows = {"validation": experiment.split.validation}
    ledger.record_trial(fingerprint, experiment.interval(rows["validation"]), str(folder.path), callback.best)
    looks = None
    if training.job is None:
        rows["test"] = experiment.split.test
        looks = ledger.count_looks(fingerprint, experiment.interval(rows["test"]))
        ledger.record_look(fingerprint, experiment.interval(rows["test"]), str(folder.path))
    found = [
        evaluate_policy(policy, experiment.tape, experiment.settings, part_rows, part, seed, label, training.evaluation)
        for part, part_rows in rows.items()
    ]
    describe_layers(folder, experiment, rows, device)
    context = _context(training, card, found, looks, ledger.count_trials(fingerprint))
    write_outcome(folder, found, context)
    for part in found:
        board.equity_image(
            callback.best_step,
            part.agent.timestamps,
            {key: trajectory.equity for key, trajectory in part.trajectories.items()},
            part.part,
        )
    board.hyper_parameters(_flat(training.config), _final_metrics(found))
    write_manifest(training, "finished")
    render_summary(_summary(training, callback, found), Console(highlight=False))
    return found[0].metrics["agent"]["log_return"]


def write_manifest(training: Training, status: str) -> None:
    """Write manifest.json: what ran, on what, when, and how it ended."""
    bars = training.experiment.market.bars
    manifest = build_manifest(
        data_fingerprint=bars.fingerprint,
        random_seed=training.random_seed,
        device=str(training.algorithm.device),
        execution=training.experiment.settings.account.execution,
        started=training.started,
        finished=None if status == "running" else datetime.now().astimezone(),
        status=status,
        regimes={
            "settings": asdict(training.experiment.regime_settings),
            "shares": training.experiment.regime_shares(),
        },
    )
    training.folder.write_json(training.folder.manifest.name, manifest)


def device_of(name: str) -> torch.device:
    """The torch device of a setting. Raises ConfigError when cuda is asked for and not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no-cuda", "'trainer.device' is cuda, and torch finds no CUDA device", needed="cpu or auto")
    return torch.device(name)


def header(training: Training) -> RunHeader:
    """What the display says above the progress."""
    experiment, settings = training.experiment, training.settings
    account, split = experiment.settings.account, experiment.split
    stamps = experiment.tape.timestamps
    name, n_weights = type(training.algorithm).__name__, n_parameters(training.algorithm)
    one_way = account.fee_rate + account.half_spread + account.slippage
    return RunHeader(
        command=shlex.join(["regime-gym", "train", *training.overrides]),
        folder=str(training.folder.path),
        data=f"{experiment.tape.symbol} {timeframe_words(experiment.tape.timeframe_ns)} · "
        f"train {day(stamps[split.train.start])} … {day(stamps[split.train.stop - 1])} · "
        f"validation … {day(stamps[split.validation.stop - 1])}",
        env=f"fills {account.execution} · costs {100 * one_way:.3g} % per trade · "
        f"{settings.n_accounts} accounts · reward {experiment.settings.reward.kind}",
        agent=f"{name} · {n_weights:,} parameters · seed {training.random_seed} · "
        f"{training.algorithm.device}, {settings.threads} thread{'s' if settings.threads > 1 else ''}",
        regimes=regime_words(experiment),
    )


def regime_words(experiment: Experiment) -> str:
    """Class shares of the training rows and the thresholds behind them."""
    shares, rule = experiment.regime_shares()["train"], experiment.regime_settings
    words = [f"{name.lower()} {100 * share:.0f} %" for name, share in shares.items()]
    plateau = f"v_lo {rule.v_lo:.3g}" if rule.plateau == "relative" else f"κ_p {rule.kappa_p:.3g}"
    return " · ".join([*words, f"z_T {rule.z_threshold:.3g}, {plateau}"])


def n_parameters(algorithm: BaseAlgorithm) -> int:
    """Number of trainable weights."""
    return sum(weights.numel() for weights in algorithm.policy.parameters() if weights.requires_grad)


def _context(
    training: Training, card: ModelCard, found: Sequence[Evaluation], looks: int | None, trials: int
) -> ReportContext:
    """What the report says about the run itself."""
    bars = training.experiment.market.bars
    return report_context(
        training.folder,
        bars,
        card,
        settings=OmegaConf.to_container(training.config, resolve=True),
        looks=looks,
        trials=trials,
        validation=found[0].metrics["agent"] if len(found) > 1 else None,
        commands=[
            ("Train again", shlex.join(["regime-gym", "train", *training.overrides])),
            ("Evaluate again", f"regime-gym evaluate run={training.folder.path}"),
        ],
    )


def _new_folder(config: DictConfig, name: str, job: Job | None, started: datetime) -> RunFolder:
    if job is None:
        return RunFolder.create(config.run_dir, name, started)
    return RunFolder.create(config.run_dir or str(job.folder), name, started, job.number)


def _keep(training: Training, algorithm: BaseAlgorithm) -> str:
    save_model(training.folder.model, algorithm, training.card)
    return "model/"


def _stopped(training: Training, callback: TrainingCallback, stopped: TrainingStopped) -> str:
    """What a person needs to know who has had enough for now."""
    folder = training.folder
    lines = [f"stopped by {stopped.by} at step {stopped.step:,}", f"saved    {stopped.path}"]
    if callback.best_step:
        lines.append(f"model    {folder.model}, the best of validation, from step {callback.best_step:,}")
    else:
        lines.append("model    none yet: no validation was reached")
    lines.append(f"next     regime-gym train resume={folder.path}")
    write_manifest(training, "interrupted")
    return "\n".join(lines)


def _check_same_bars(training: Training, manifest: dict[str, Any]) -> None:
    bars = training.experiment.market.bars
    if manifest.get("data_fingerprint", bars.fingerprint) != bars.fingerprint:
        raise DataError(
            "changed",
            f"the data of {training.folder.path} has changed since the training began",
            needed=f"bars with the fingerprint {manifest['data_fingerprint']}",
            found=f"{bars.fingerprint} in {bars.source}",
            kept="nothing was written",
        )


def _summary(training: Training, callback: TrainingCallback, found: Sequence[Evaluation]) -> RunSummary:
    return RunSummary(
        headline="Training finished",
        steps=training.algorithm.num_timesteps,
        duration_s=(datetime.now().astimezone() - training.started).total_seconds(),
        best_step=callback.best_step,
        random_seed=training.random_seed,
        blocks=[summary_block(part) for part in found],
        action_shares=action_shares(found[-1]),
        folder=str(training.folder.path),
        overrides=training.overrides,
        labels={"ma_cross": found[-1].labels["ma_cross"]},
    )


def _final_metrics(found: Sequence[Evaluation]) -> dict[str, float]:
    names = ("log_return", "sharpe_ratio", "max_drawdown")
    return {f"{part.part}/{name}": part.metrics["agent"][name] for part in found for name in names}


def _flat(config: DictConfig) -> dict[str, Any]:
    """Leaves of the resolved config by dotted key, without the names of our own classes."""
    found = leaves(OmegaConf.to_container(config, resolve=True))
    return {key: value for key, value in found if not key.endswith("_target_")}
