"""A search on a cluster: Ray Tune with ASHA or population-based training over the same spaces.

A trial reports after each look at validation and leaves a checkpoint there, so one whose process
dies loses what came after its last look. The checkpoint is ours: state.json, state.safetensors and
the best model so far; nothing in it is code.
"""

import json
import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from regimegym.common.plain import plain
from regimegym.common.seeding import integer_seed
from regimegym.common.state_file import read_state, write_state
from regimegym.training.compose import compose_config
from regimegym.training.job import validation_metrics
from regimegym.training.ledger import LEDGER, Ledger
from regimegym.training.preparation import Job, Training, prepare
from regimegym.training.run_folder import RunFolder
from regimegym.training.sweeps.attempt import told_to
from regimegym.training.sweeps.cluster import cluster
from regimegym.training.sweeps.driver import SweepStopped
from regimegym.training.sweeps.optional import import_ray
from regimegym.training.sweeps.results import Row, SweepResult, judged, sort_rows
from regimegym.training.sweeps.settings import SearchSettings
from regimegym.training.sweeps.space import Parameter, Space
from regimegym.training.sweeps.study import check_same_sweep
from regimegym.training.sweeps.sweep import MARK, held_sweep, identity_of, is_finished, write_result
from regimegym.training.sweeps.tune_settings import ClusterSettings
from regimegym.training.sweeps.tune_stop import tune_stops_when_told
from regimegym.training.trainer import run_training
from regimegym.training.watch import Look

NAME = "tune"
KEPT = 4  # checkpoints of a trial; others may want to take over one that is no longer the newest
SCORE, LOOKS = "log_return", "looks"
STATE, PLACE, MODEL = "state", "place.json", "model"
NAN = float("nan")


@dataclass(frozen=True)
class ClusterTrial:
    """What runs as one Ray Tune trial, on any node that sees `folder`.

    Args:
        words: of the command line, shared by all trials.
        space: turns a trial's values into further words.
        folder: of the sweep, absolute; runs lie below trials/.
        working: folder the command was started in, where the ledger lies.
    """

    words: tuple[str, ...]
    space: Space
    folder: Path
    working: Path

    def __call__(self, values: Mapping[str, Any]) -> None:
        """Train with `values` by name, from the checkpoint that Tune hands over where there is one."""
        tune = import_ray("ray.tune")
        os.chdir(self.working)
        number = trial_number(tune.get_context().get_trial_id())
        with told_to(self.folder / "logs" / f"{number}.txt"):
            self._train(tune, number, values)

    def _train(self, tune: Any, number: int, values: Mapping[str, Any]) -> None:
        runs = self.folder / "trials"
        shutil.rmtree(runs / str(number), ignore_errors=True)  # what counts is in the checkpoint
        words = [*self.words, *self.space.overrides(values)]
        training = prepare(compose_config("train", words), words, Job(number, runs))
        facts = _facts(training)
        found = None
        checkpoint = tune.get_checkpoint()
        if checkpoint is not None:
            with checkpoint.as_directory() as stored:
                found = _take_over(Path(stored), training)

        def report(look: Look) -> None:
            print(f"look {look.number} at step {look.step:,}: best {look.best:+.4f}")  # noqa: T201 -- into the log
            with TemporaryDirectory() as fresh:
                _store(Path(fresh), training, look)
                tune.report(
                    {SCORE: look.best, LOOKS: look.number, **facts}, checkpoint=tune.Checkpoint.from_directory(fresh)
                )

        with training.folder.held():
            score = run_training(training, found, report)
        tune.report({SCORE: score, LOOKS: _last_look(training), "finished": True, **facts})


def run_on_cluster(
    folder: Path,
    search: SearchSettings,
    settings: ClusterSettings,
    n_trials: int,
    words: list[str],
    random_seed: int,
    say: Callable[[str], None],
) -> SweepResult:
    """Search in `folder` with Ray Tune; a folder that was begun is gone on with.

    Raises:
        ConfigError: a search that the scheduler cannot work on.
        RunError: the folder is no sweep's, or another process works on it.
        MachineError: no ray.
    """
    settings.check_search(search)
    # Its loggers would write every report three times, and leave the files open.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # tune_stop hears Ctrl-C, or nobody would know of it
    tune = import_ray("ray.tune")
    folder = folder.absolute()
    space = search.space()
    trial = ClusterTrial((*words, f"random_seed={random_seed}"), space, folder, Path.cwd())
    config = compose_config("train", list(trial.words))
    n_looks = -(-int(config.trainer.total_steps) // int(config.trainer.validate_every))
    fixed = {name: getattr(settings, name) for name in ("scheduler", "reduction_factor", "perturbation_looks")}
    identity = identity_of(search, random_seed, {"overrides": words, "n_trials": n_trials, **fixed})
    with held_sweep(folder):
        _check_same(folder, identity)
        with cluster(settings.address):
            trainable = tune.with_resources(
                _function(trial), {"cpu": settings.cpus_per_trial, "gpu": settings.gpus_per_trial}
            )
            tuner = _tuner(tune, trainable, folder, search, settings, n_trials, n_looks, random_seed, say)
            result = _gather(_fitted(tuner), search, folder)
        write_result(RunFolder(folder), result)
        return result


def _check_same(folder: Path, identity: dict[str, Any]) -> None:
    """Write what the sweep is, or raise RunError where the folder holds another."""
    known = yaml.safe_load((folder / MARK).read_text()) if (folder / MARK).is_file() else None
    if known is not None:
        check_same_sweep(folder, known, plain(identity))
    RunFolder(folder).write_text(MARK, yaml.safe_dump(plain(identity), sort_keys=False, allow_unicode=True))


def _fitted(tuner: Any) -> Any:
    """Run Tune to its end. Raises SweepStopped on Ctrl-C and SIGTERM; its state is saved then."""
    with warnings.catch_warnings(), tune_stops_when_told() as stopped:
        # A trial that takes over another one's weights begins in a fresh process: nothing of the old one is left.
        warnings.filterwarnings("ignore", "Consider boosting PBT performance by enabling `reuse_actors`")
        grid = tuner.fit()
    if stopped.by is not None:
        raise SweepStopped(f"stopped by {stopped.by.name}")
    return grid


def trial_number(trial_id: str) -> int:
    """Place of a trial in the sweep, from an id such as `4f2a1_00003`."""
    return int(trial_id.rpartition("_")[2])


def domain(parameter: Parameter, tune: Any) -> Any:
    """The values of `parameter` as Ray Tune draws them."""
    if parameter.values is not None:
        return tune.choice(list(parameter.values))
    if parameter.step is not None:
        return tune.choice(parameter.grid_values())
    if parameter.is_whole:
        draw = tune.lograndint if parameter.log else tune.randint
        return draw(int(parameter.low or 0), int(parameter.high or 0) + 1)
    return (tune.loguniform if parameter.log else tune.uniform)(float(parameter.low or 0), float(parameter.high or 0))


def _function(trial: ClusterTrial) -> Callable[[dict[str, Any]], None]:
    """Tune wants a function."""

    def train_trial(config: dict[str, Any]) -> None:
        trial(config)

    return train_trial


def _tuner(
    tune: Any,
    trainable: Any,
    folder: Path,
    search: SearchSettings,
    settings: ClusterSettings,
    n_trials: int,
    n_looks: int,
    random_seed: int,
    say: Callable[[str], None],
) -> Any:
    """A new Tuner, or the one that was begun in `folder`."""
    path = str(folder / NAME)
    if tune.Tuner.can_restore(path):
        say(f"going on with {path}")
        return tune.Tuner.restore(path, trainable, resume_unfinished=True, resume_errored=True)
    space = {parameter.name: domain(parameter, tune) for parameter in search.space().parameters}
    draws = tune.search.BasicVariantGenerator(random_state=integer_seed(random_seed, "tune"))
    return tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(
            metric=SCORE,
            mode="max",
            num_samples=n_trials,
            search_alg=draws,
            scheduler=_scheduler(tune, search, settings, n_looks, space),
        ),
        run_config=tune.RunConfig(
            name=NAME,
            storage_path=str(folder),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=settings.max_failures),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=KEPT),
        ),
    )


def _scheduler(
    tune: Any, search: SearchSettings, settings: ClusterSettings, n_looks: int, space: Mapping[str, Any]
) -> Any:
    if settings.scheduler == "asha":
        return tune.schedulers.ASHAScheduler(
            time_attr=LOOKS,
            max_t=n_looks + 1,  # the report of the finished trial comes behind its last look
            grace_period=max(search.warm_up_looks, 1),
            reduction_factor=settings.reduction_factor,
        )
    return tune.schedulers.PopulationBasedTraining(
        time_attr=LOOKS,
        perturbation_interval=settings.perturbation_looks,
        hyperparam_mutations=dict(space),
        synch=True,  # else who is copied depends on which trial happens to be faster
    )


def _facts(training: Training) -> dict[str, Any]:
    """What the ledger needs to know of a trial that is ended from outside."""
    experiment = training.experiment
    start, stop = experiment.interval(experiment.split.validation)
    return {
        "fingerprint": experiment.market.bars.fingerprint,
        "start_ns": start,
        "stop_ns": stop,
        "run": str(training.folder.path),
    }


def _last_look(training: Training) -> int:
    return -(-training.settings.total_steps // training.settings.validate_every) + 1


def _store(folder: Path, training: Training, look: Look) -> None:
    """Write the checkpoint of a look into `folder`."""
    (folder / STATE).mkdir()
    write_state(folder / STATE, look.state())
    (folder / PLACE).write_text(json.dumps({"step": look.step}), encoding="utf-8")
    shutil.copytree(training.folder.model, folder / MODEL)


def _take_over(stored: Path, training: Training) -> tuple[int, dict[str, Any]]:
    """Step and state of a checkpoint; its best model becomes that of `training`."""
    shutil.copytree(stored / MODEL, training.folder.model)
    step = json.loads((stored / PLACE).read_text(encoding="utf-8"))["step"]
    return int(step), read_state(stored / STATE)


def _gather(grid: Any, search: SearchSettings, folder: Path) -> SweepResult:
    """Rows of all trials; those that were ended early are entered in the ledger, as the others did themselves."""
    rows = [_row(result, search) for result in grid]
    ledger = Ledger(LEDGER)
    was_counted = is_finished(folder)
    prints = set()
    for row in rows:
        if row.state == "pruned" and not was_counted:
            facts = row.metrics
            ledger.record_trial(facts["fingerprint"], (facts["start_ns"], facts["stop_ns"]), facts["run"], row.last)
        if row.metrics.get("fingerprint"):
            prints.add(row.metrics["fingerprint"])
    ordered = sort_rows(rows, search.objectives)
    best = [row.number for row in ordered[:1] if row.values]
    n_counted = max((ledger.count_trials(fingerprint) for fingerprint in prints), default=0)
    return judged(search.objectives, ordered, best, {}, n_counted)


def _row(result: Any, search: SearchSettings) -> Row:
    metrics = dict(result.metrics or {})
    number = trial_number(metrics["trial_id"]) if "trial_id" in metrics else -1
    has_finished = bool(metrics.get("finished"))
    state = "complete" if has_finished else "failed" if result.error or "run" not in metrics else "pruned"
    facts = {name: metrics[name] for name in ("fingerprint", "start_ns", "stop_ns", "run") if name in metrics}
    if has_finished:
        facts |= validation_metrics(Path(metrics["run"]))
    return Row(
        number,
        state,
        {name: result.config[name] for name in search.space().names},
        {SCORE: float(metrics[SCORE])} if has_finished else {},
        float(metrics.get(SCORE, NAN)),
        facts,
        float(metrics.get("time_total_s", NAN)),
        str(result.error).strip().splitlines()[-1] if result.error else "",
    )
