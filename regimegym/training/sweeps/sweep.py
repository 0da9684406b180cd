"""A sweep from its first trial to its last file: regime-gym sweep, and every other search over an objective."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from regimegym.common.errors import RunError
from regimegym.common.plain import plain
from regimegym.training.ledger import LEDGER, Ledger
from regimegym.training.run_folder import RunFolder, read_json, refused_by_machine
from regimegym.training.sweeps.driver import Driver
from regimegym.training.sweeps.page import sweep_page
from regimegym.training.sweeps.results import Row, SweepResult, gather, row_of, table_text
from regimegym.training.sweeps.schedule import FINISHED
from regimegym.training.sweeps.settings import SearchSettings, SweepSettings
from regimegym.training.sweeps.study import Study
from regimegym.training.sweeps.trial import Objective

MARK = "sweep.yaml"
TABLE, PAGE = "trials.csv", "sweep.html"
Said = Callable[[Row, int], None]  # a trial that has ended, how many have


def run_search(
    folder: Path,
    search: SearchSettings,
    settings: SweepSettings,
    objective: Objective,
    random_seed: int,
    identity: Mapping[str, Any],
    on_trial: Said,
) -> SweepResult:
    """Search in `folder` until it holds `settings.n_trials` trials, and write what was found.

    A folder that holds trials of the same search is gone on with; what was running there when its
    process died is run again. The files are sweep.yaml, trials.csv, sweep.json, sweep.html, the
    storage, trials/<number>/ and logs/<number>.txt.

    Args:
        identity: what must be the same for trials to be comparable, besides the search itself; plain.

    Raises:
        RunError: the folder is no sweep's, another process works on it, or its trials are not comparable.
        MachineError: no optuna; the disk refuses.
        SweepStopped: Ctrl-C or SIGTERM; everything is kept.
    """
    with held_sweep(folder):
        own = identity_of(search, random_seed, identity)
        study = Study(folder, settings.storage, search, random_seed, own)
        run_folder = RunFolder(folder)
        run_folder.write_text(MARK, yaml.safe_dump(plain(own), sort_keys=False, allow_unicode=True))
        (folder / FINISHED).unlink(missing_ok=True)

        def tell(trial: Any) -> None:
            on_trial(row_of(trial, search.objectives), sum(found.state.is_finished() for found in study.trials()))

        Driver(study, search.space(), objective, folder, tell).run(settings.n_trials, settings.n_jobs)
        result = gather(study, search, _known_trials(study))
        write_result(run_folder, result)
        return result


@contextmanager
def held_sweep(folder: Path):  # type: ignore[no-untyped-def]
    """Make or take the folder of a sweep; nobody else works on it inside the block."""
    if folder.exists() and not folder.is_dir():
        raise RunError("not-a-folder", f"'{folder}' is a file, not a folder", kept="nothing was written")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file() and not (folder / ".lock").is_file():
        raise RunError(
            "not-empty",
            f"'{folder}' is not empty and no folder of a sweep",
            needed="a new or empty folder, or one that a sweep has made",
            kept="nothing was written",
        )
    with refused_by_machine(folder, 0, kept="no folder was made"):
        folder.mkdir(parents=True, exist_ok=True)
    with RunFolder(folder).held():
        yield


def write_result(folder: RunFolder, result: SweepResult) -> None:
    """trials.csv, sweep.html and, last, sweep.json, whose presence says that the sweep has finished."""
    folder.write_text(TABLE, table_text(result))
    folder.write_text(PAGE, sweep_page(result, folder.path.name))
    folder.write_json(
        FINISHED,
        {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "objectives": dict(result.objectives),
            "best": [result.row(number)._asdict() for number in result.best],
            "importance": dict(result.importance),
            "deflated_sharpe_ratio": result.deflated_sharpe,
            "trials_counted": result.n_counted,
            "overfitting_probability": result.choosing.overfitting,
            "superiority_p": result.choosing.superiority,
            "trials": [row._asdict() for row in result.rows],
        },
    )


def is_finished(folder: Path) -> bool:
    """Whether the sweep in `folder` has ended on its own."""
    return bool(read_json(folder / FINISHED))


def _known_trials(study: Study) -> int:
    """Trials that the ledger knows of the data of this study, this sweep's and all others'."""
    prints = {found for trial in study.trials() if (found := trial.user_attrs.get("metrics", {}).get("fingerprint"))}
    ledger = Ledger(LEDGER)
    return max((ledger.count_trials(fingerprint) for fingerprint in prints), default=0)


def identity_of(search: SearchSettings, random_seed: int, more: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same for trials to be comparable; plain."""
    return {
        "parameters": {name: dict(words) for name, words in search.parameters.items()},
        "fixed": list(search.fixed),
        "objectives": dict(search.objectives),
        "sampler": search.sampler,
        "pruner": search.pruner,
        "seeds_per_trial": search.seeds_per_trial,
        "random_seed": random_seed,
        **more,
    }
