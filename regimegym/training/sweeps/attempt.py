"""One attempt at a trial: whatever happens inside becomes an outcome, its words go to a file of their own."""

import contextlib
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from regimegym.common.errors import RegimeGymError
from regimegym.training.sweeps.trial import Objective, TrialRun, TrialStopped
from regimegym.training.watch import GivenUp


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: `done` with metrics, `failed` with a reason, `pruned`, or `stopped` by somebody."""

    kind: Literal["done", "pruned", "failed", "stopped"]
    metrics: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


def attempt(objective: Objective, trial: TrialRun, log: Path) -> Outcome:
    """Run `objective` on `trial`; what it prints is added to the file `log`, and where it breaks, why."""
    with told_to(log):
        try:
            return Outcome("done", dict(objective(trial)))
        except GivenUp:
            return Outcome("pruned")
        except TrialStopped as stopped:
            return Outcome("stopped", reason=str(stopped))
        except RegimeGymError as mistake:
            print("\n".join(mistake.lines()))  # noqa: T201 -- into the trial's log
            return Outcome("failed", reason=f"{mistake.group}/{mistake.name} {mistake.sentence}")
        except Exception as failure:  # one broken trial is not the end of the others
            traceback.print_exc()
            return Outcome("failed", reason=f"{type(failure).__name__}: {failure}".splitlines()[0])


@contextlib.contextmanager
def told_to(log: Path) -> Iterator[None]:
    """What the block prints is added to the file `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        yield
