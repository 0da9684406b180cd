"""The memory of a sweep: an optuna study in one file of its folder, asked and told by one process.

Whatever chooses the parameters of trial k is seeded by (random seed, k) and sees the trials before
it, so a sweep that was killed goes on with the trials it would have had. A trial that was running
when the process died is run again under its number.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regimegym.common.errors import RunError
from regimegym.common.plain import plain
from regimegym.common.seeding import generator, integer_seed
from regimegym.training.sweeps.optional import import_optuna
from regimegym.training.sweeps.settings import SearchSettings
from regimegym.training.sweeps.space import Space

NAME = "sweep"
FILES = {"sqlite": "study.db", "journal": "study.journal"}


class Study:
    """Trials of one sweep folder.

    Args:
        folder: of the sweep.
        storage: sqlite | journal; ignored where the folder already holds one of them.
        identity: what must be the same for trials to be comparable; plain.

    Raises:
        MachineError: no optuna.
        RunError: `other-sweep`, the folder holds trials of another identity.
    """

    def __init__(
        self, folder: Path, storage: str, settings: SearchSettings, random_seed: int, identity: Mapping[str, Any]
    ) -> None:
        self._optuna = import_optuna()
        self._settings = settings
        self._random_seed = random_seed
        self._space: Space = settings.space()
        self._study = self._optuna.create_study(
            storage=self._open(folder, storage),
            study_name=NAME,
            directions=list(settings.objectives.values()),
            pruner=self._pruner(),
            load_if_exists=True,
        )
        self._check_identity(folder, json.loads(json.dumps(plain(identity))))
        self._size = self._space.grid_size() if settings.sampler == "grid" else None

    @property
    def is_exhausted(self) -> bool:
        """Whether a grid has no further combination."""
        return self._size is not None and len(self._study.get_trials(deepcopy=False)) >= self._size

    def trials(self) -> list[Any]:
        """All trials by number, as optuna's FrozenTrial."""
        return list(self._study.get_trials(deepcopy=False))

    def unfinished(self) -> list[Any]:
        """Trials that were begun and never told."""
        state = self._optuna.trial.TrialState
        running = self._study.get_trials(deepcopy=False, states=(state.RUNNING,))
        # Optuna names no other way back to a running trial than its number in the storage.
        return [self._suggested(self._optuna.trial.Trial(self._study, trial._trial_id)) for trial in running]

    def ask(self) -> Any:
        """A new trial with its parameters chosen."""
        number = len(self._study.get_trials(deepcopy=False))
        if self._size is not None:
            self._study.enqueue_trial(self._space.grid_point(self._grid_place(number)))
        self._study.sampler = self._sampler(number)
        return self._suggested(self._study.ask())

    def report(self, trial: Any, look: int, value: float) -> bool:
        """Note the score at a look; returns whether the trial should be given up."""
        if self._settings.pruner == "none":
            return False
        known = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
        if look not in known:  # a trial that is run again repeats itself
            trial.report(value, look)
        return bool(trial.should_prune())

    def complete(self, trial: Any, metrics: Mapping[str, Any]) -> None:
        """The trial has its metrics; one without a defined objective has failed."""
        self._note(trial, metrics=plain(metrics))
        values = [float(metrics.get(name, math.nan)) for name in self._settings.objectives]
        if all(math.isfinite(value) for value in values):
            self._study.tell(trial.number, values)
        else:
            shown = ", ".join(f"{n} {v}" for n, v in zip(self._settings.objectives, values, strict=True))
            self.fail(trial, f"no defined score: {shown}")

    def prune(self, trial: Any) -> None:
        """The trial was given up."""
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.PRUNED)

    def fail(self, trial: Any, reason: str) -> None:
        """The trial has ended without a score."""
        self._note(trial, error=reason)
        self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)

    def restarted(self, trial: Any) -> int:
        """Count one more attempt of the trial and return how many there were before."""
        before = int(self._study.get_trials(deepcopy=False)[trial.number].user_attrs.get("restarts", 0))
        self._note(trial, restarts=before + 1)
        return before

    def note_seconds(self, trial: Any, seconds: float) -> None:
        """Wall time of the trial's last attempt."""
        self._note(trial, seconds=round(seconds, 3))

    def best(self) -> list[Any]:
        """The best completed trials: one, or the Pareto front of several objectives; empty when none completed."""
        state = self._optuna.trial.TrialState.COMPLETE
        if not self._study.get_trials(deepcopy=False, states=(state,)):
            return []
        return list(self._study.best_trials) if len(self._settings.objectives) > 1 else [self._study.best_trial]

    def importance(self, objective: int = 0) -> dict[str, float]:
        """Share of each parameter in what changed the score (fANOVA); empty where that cannot be said."""
        state = self._optuna.trial.TrialState.COMPLETE
        done = self._study.get_trials(deepcopy=False, states=(state,))
        if len(done) < 3 or len({trial.values[objective] for trial in done}) < 2:
            return {}
        evaluator = self._optuna.importance.FanovaImportanceEvaluator(seed=integer_seed(self._random_seed, "fanova"))
        found = self._optuna.importance.get_param_importances(
            self._study, evaluator=evaluator, target=lambda trial: trial.values[objective]
        )
        return {name: float(found.get(name, 0.0)) for name in self._space.names}

    def _suggested(self, trial: Any) -> Any:
        """`trial` with a value for every parameter: the stored one, or chosen now."""
        self._study.sampler = self._sampler(trial.number)
        for parameter in self._space.parameters:
            parameter.suggest(trial)
        return trial

    def _note(self, trial: Any, **attributes: Any) -> None:
        for name, value in attributes.items():
            trial.set_user_attr(name, value)

    def _grid_place(self, number: int) -> int:
        """Every combination once, in an order that the first n of them sample evenly."""
        assert self._size is not None
        return int(generator(self._random_seed, "grid").permutation(self._size)[number])

    def _sampler(self, number: int) -> Any:
        samplers, settings = self._optuna.samplers, self._settings
        seed = integer_seed(self._random_seed, f"trial-{number}")
        match settings.sampler:
            case "tpe":
                return samplers.TPESampler(seed=seed, n_startup_trials=settings.startup_trials, constant_liar=True)
            case "gp":
                return samplers.GPSampler(seed=seed, n_startup_trials=settings.startup_trials)
            case "nsga2":
                return samplers.NSGAIISampler(seed=seed, population_size=settings.population)
        return samplers.RandomSampler(seed=seed)

    def _pruner(self) -> Any:
        pruners, settings = self._optuna.pruners, self._settings
        match settings.pruner:
            case "median":
                return pruners.MedianPruner(
                    n_startup_trials=min(settings.startup_trials, 5), n_warmup_steps=settings.warm_up_looks
                )
            case "hyperband":
                return pruners.HyperbandPruner(min_resource=max(settings.warm_up_looks, 1), max_resource="auto")
        return pruners.NopPruner()

    def _open(self, folder: Path, storage: str) -> Any:
        storage = next((name for name, file in FILES.items() if (folder / file).exists()), storage)
        path = (folder / FILES[storage]).absolute()
        if storage == "sqlite":
            return f"sqlite:///{path}"
        journal = self._optuna.storages.journal
        return self._optuna.storages.JournalStorage(journal.JournalFileBackend(str(path)))

    def _check_identity(self, folder: Path, identity: Mapping[str, Any]) -> None:
        known = self._study.user_attrs.get("identity")
        if known is None:
            self._study.set_user_attr("identity", identity)
            return
        check_same_sweep(folder, known, identity)


def check_same_sweep(folder: Path, known: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Raise RunError `other-sweep` where `folder` was begun with a `known` identity that is not `identity`."""
    changed = [name for name in {**known, **identity} if known.get(name) != identity.get(name)]
    if changed:
        first = changed[0]
        raise RunError(
            "other-sweep",
            f"{folder} holds a sweep with other {', '.join(changed)}; its trials do not compare with these",
            needed=f"{first}: {known.get(first)}",
            found=f"{first}: {identity.get(first)}",
            help=("choose another folder: sweep_dir=…",),
            kept="nothing was changed",
        )
