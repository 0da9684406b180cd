"""One training: learn on train, select on validation, look at test once, leave a run folder."""

from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import datetime

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from regimegym.agents.checkpoint import save_model
from regimegym.agents.gate import Gate
from regimegym.common.errors import RunError
from regimegym.common.state_file import Tree
from regimegym.replay.regime import RegimeReplayBuffer
from regimegym.training.board import Board
from regimegym.training.board_output import BoardOutput
from regimegym.training.callback import TrainingCallback
from regimegym.training.checkpoints import CheckpointCallback, Checkpoints, StopRequest, TrainingStopped
from regimegym.training.display import TrainingDisplay
from regimegym.training.finish import finish, record_trial
from regimegym.training.header import header
from regimegym.training.heartbeat import Heartbeat
from regimegym.training.preparation import Job, Training, assemble, prepare, write_manifest
from regimegym.training.run_folder import RunFolder
from regimegym.training.same_data import check_same_data
from regimegym.training.training_state import load_training_state, training_state
from regimegym.training.validator import Validator
from regimegym.training.watch import GivenUp, Watch
from regimegym.training.watch_callback import WatchCallback
from regimegym.training.wiring import read_run_config, trust_word


class TrainingInterrupted(KeyboardInterrupt):
    """Somebody stopped a training; everything is saved, and the message says where and how to go on."""

    exit_code = 0  # it did what it was asked to


def train(config: DictConfig, overrides: list[str], job: Job | None = None, watch: Watch | None = None) -> float:
    """Run one training and return the validation log return (unshaped) of the selected model.

    A single run opens the test part once, at the end. A job of a sweep never does.

    Args:
        config: composed from conf/train.yaml.
        overrides: the command line's own settings, for overrides.yaml and for people.
        job: place in a sweep, None for a single run.
        watch: hears each look at validation.

    Raises:
        RegimeGymError: a mistake in the input, before anything is written.
        TrainingInterrupted: Ctrl-C or SIGTERM; a checkpoint and the best model are saved.
        GivenUp: as `watch` raised it; the training counts as a trial.
    """
    training = prepare(config, overrides, job)
    with training.folder.held():
        return run_training(training, None, watch)


def resume(path: str, watch: Watch | None = None, trust: Collection[str] = ()) -> float:
    """Go on with the run at `path` as if it had never stopped; returns as `train`.

    Without a checkpoint the run begins anew, in its folder. `trust` names code of your own that its
    configuration may use.

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
    config = read_run_config(folder.config, trust, f"regime-gym train resume={folder.path}")
    number = manifest.get("job")
    job = None if number is None else Job(int(number), folder.path.parent)
    started = datetime.fromisoformat(manifest["started"]) if "started" in manifest else datetime.now().astimezone()
    with folder.held():
        kept = folder.path if folder.predictors.is_dir() else None
        overrides = list(OmegaConf.load(folder.overrides))
        training = assemble(config, overrides, job, lambda *_: folder, started, kept)
        check_same_data(folder, training.experiment.market, further=training.experiment.further)
        found = Checkpoints(folder.checkpoints, training.settings.keep_checkpoints).newest()
        return run_training(training, found, watch)


def run_training(training: Training, found: tuple[int, Tree] | None, watch: Watch | None) -> float:
    """Learn in the folder of `training`, which the caller holds, and finish; returns and raises as `train`.

    Args:
        found: step and state of the checkpoint to go on from, None at the start.
    """
    board = Board(training.folder.tensorboard, purge_step=None if found is None else found[0])
    try:
        callback = learn(training, board, found, watch)
        return finish(training, callback, board)
    finally:
        board.close()


def learn(
    training: Training, board: Board, found: tuple[int, Tree] | None = None, watch: Watch | None = None
) -> TrainingCallback:
    """Train with display, TensorBoard, validation and checkpoints; `model/` always holds the best model so far.

    Args:
        found: step and state of the checkpoint to go on from, None at the start.
        watch: hears each look at validation.
    """
    settings, algorithm = training.settings, training.algorithm
    tells_regimes = isinstance(getattr(algorithm, "replay_buffer", None), RegimeReplayBuffer)
    board.layout(curriculum=training.curriculum is not None, replay=tells_regimes)
    algorithm.set_logger(Logger(None, [BoardOutput(board)]))
    begun = 0 if found is None else found[0]
    validator = Validator(training)
    with TrainingDisplay(header(training), settings.total_steps, console=Console(highlight=False)) as display:
        callback = TrainingCallback(
            validator,
            lambda algorithm, step: _keep(training, algorithm, validator.t_statistic),
            settings.validate_every,
            settings.total_steps,
            display,
            board,
            training.curriculum,
            settings.patience,
        )
        if found is not None:
            load_training_state(algorithm, callback, found[1])
        elif training.curriculum is not None:
            training.curriculum.begin(algorithm)
        stages = [] if training.curriculum is None else [training.curriculum]
        stop = StopRequest()
        beside = _beside(training, callback, stop, begun, watch)
        try:
            with stop.listening():
                algorithm.learn(
                    settings.total_steps - begun,
                    callback=[*stages, callback, *beside],
                    reset_num_timesteps=found is None,
                )
        except TrainingStopped as stopped:
            callback.note_stop()
            raise TrainingInterrupted(_stopped(training, callback, stopped)) from stopped
        except BaseException as error:
            if isinstance(error, Exception) and callback.looks:
                record_trial(training, callback.best)  # it was scored, so it counts
            write_manifest(training, "pruned" if isinstance(error, GivenUp) else "interrupted")
            raise
        finally:
            algorithm.logger.close()
    return callback


def _beside(
    training: Training, callback: TrainingCallback, stop: StopRequest, begun: int, watch: Watch | None
) -> list[BaseCallback]:
    """What happens beside the learning: heartbeat, checkpoints, and whoever watches."""

    def state() -> Tree:
        return training_state(training.algorithm, callback)

    settings, checkpoints = training.settings, training.folder.checkpoints
    saver = CheckpointCallback(
        Checkpoints(checkpoints, settings.keep_checkpoints),
        state,
        settings.checkpoint_steps,
        settings.checkpoint_minutes,
        stop,
        begun,
    )
    heart = Heartbeat(training.folder, settings.total_steps)
    return [heart, saver] if watch is None else [heart, saver, WatchCallback(watch, callback, state)]


def _keep(training: Training, algorithm: BaseAlgorithm, t_statistic: float) -> str:
    threshold = training.settings.gate
    gate = None if threshold is None else asdict(Gate(float(threshold), t_statistic))
    predictors = None if training.experiment.predictions is None else training.folder.predictors
    save_model(training.folder.model, algorithm, replace(training.card, gate=gate), predictors)
    return "model/"


def _stopped(training: Training, callback: TrainingCallback, stopped: TrainingStopped) -> str:
    """What a person needs to know who has had enough for now."""
    folder = training.folder
    lines = [f"stopped by {stopped.by} at step {stopped.step:,}", f"saved    {stopped.path}"]
    if callback.best_step:
        lines.append(f"model    {folder.model}, the best of validation, from step {callback.best_step:,}")
    else:
        lines.append("model    none yet: no validation was reached")
    lines.append(f"next     regime-gym train resume={folder.path}{trust_word(training.config)}")
    write_manifest(training, "interrupted")
    return "\n".join(lines)
