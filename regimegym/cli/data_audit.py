"""regime-gym data audit: does anything see the future?"""

import contextlib
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from regimegym.cli.arguments import Parser
from regimegym.cli.own_modules import find_own_modules
from regimegym.common.checks import check_at_least
from regimegym.common.errors import ConfigError, DataError
from regimegym.common.plain import plain

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from regimegym.features.audit import AuditReport, Provider
    from regimegym.features.bars import Bars
    from regimegym.features.context import Context

DESCRIPTION = (
    "Replaces the bars after many cuts by noise and reports every column that changes before its cut: features, "
    "regimes, fitted thresholds and scaler, predictors, observations and rewards of the configured pipeline, or the "
    "feature of your own that feature=module.function names. Settings are those of `regime-gym train`."
)
FEATURE = "feature="
RANDOM_SEED = 0  # of the cuts and the noise: the same audit finds the same
SHOWN = 40  # leaks in the table; the JSON holds all


def run(words: list[str]) -> None:
    """Audit, print what changed, write the JSON.

    Raises:
        DataError: `look-ahead`, something changed; or the data breaks its contract.
        ConfigError: a wrong argument or setting, or no such function.
        MachineError: the disk refuses.
    """
    options, overrides, feature = _options(words)
    # Everything heavy is imported once the arguments are known to be right.
    from regimegym.features.own import own_function
    from regimegym.training.compose import compose_config

    config = compose_config("train", overrides)
    find_own_modules()
    compute = None if feature is None else own_function(feature, "feature")
    report, bars = _audit(config, options, compute, feature)
    console = Console()
    _show(report, bars, console)
    if options.json is not None:
        _write(options.json, report, bars, words)
        console.print(f"written to {options.json}", markup=False, highlight=False, soft_wrap=True)
    if not report.is_clean:
        raise _look_ahead(report)


def _options(words: list[str]) -> tuple[Any, list[str], str | None]:
    """Plain arguments, Hydra overrides, and the import path of the user's own feature."""
    parser = Parser("data audit", DESCRIPTION)
    parser.usage = "%(prog)s [feature=module.function] [SETTING=VALUE ...] [--cuts N] [--bars N] [--json FILE]"
    parser.add_argument("--cuts", type=int, default=40, metavar="N", help="rows behind which the future changes (40)")
    parser.add_argument("--bars", type=int, default=20_000, metavar="N", help="the last N bars only; 0: all (20000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found to FILE")
    options, rest = parser.parse_known_args(words)
    unknown = [word for word in rest if word.startswith("-")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    check_at_least("--cuts", options.cuts, 1)
    check_at_least("--bars", options.bars, 0)
    if options.json is not None and options.json.is_dir():
        raise ConfigError("not-a-file", f"'--json' must be a file, got the folder {options.json}")
    own = [word.removeprefix(FEATURE) for word in rest if word.startswith(FEATURE)]
    return options, [word for word in rest if not word.startswith(FEATURE)], own[-1] if own else None


def _audit(
    config: "DictConfig", options: Any, compute: Callable[..., object] | None, feature: str | None
) -> "tuple[AuditReport, Bars]":
    from regimegym.common.seeding import generator
    from regimegym.features.audit import audit_providers, choose_cuts
    from regimegym.features.bars import last_bars
    from regimegym.training.experiment import experiment_on, load_data
    from regimegym.training.pipeline_audit import pipeline_provider, user_provider
    from regimegym.training.predictor_audit import fold_cuts
    from regimegym.training.wiring import build

    bars, context = load_data(config)
    bars = last_bars(bars, options.bars) if options.bars else bars
    rng = generator(RANDOM_SEED, "audit")
    if compute is None:
        experiment = experiment_on(config, bars, context)
        cuts = choose_cuts(len(bars), experiment.market.table.warm_up, options.cuts, rng)
        cuts = sorted({*cuts, *fold_cuts(experiment)})
        providers = [pipeline_provider(config, experiment, cuts)]
    else:
        regime = replace(build(config.regime), fit="none")
        cuts = choose_cuts(len(bars), min(200, len(bars) // 4), options.cuts, rng)
        providers = [_told(user_provider(compute, str(feature).rpartition(".")[2], regime), str(feature))]
    with _progress(len(cuts)) as on_cut:
        return audit_providers(providers, bars, context, cuts, rng, on_cut), bars


def _told(provider: "Provider", path: str) -> "Provider":
    """`provider`, whose own exceptions become one message that says where they came from."""
    from regimegym.features.own import told

    def provide(bars: "Bars", context: "Context") -> Any:
        with told(path):
            return provider(bars, context)

    return provide


@contextlib.contextmanager
def _progress(n_cuts: int) -> Iterator[Callable[[int, int], None]]:
    """A bar in a terminal, one line anywhere else."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.print(f"replacing the future at {n_cuts} cuts", markup=False, soft_wrap=True)
        yield lambda n_done, n_all: None
        return
    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=console, transient=True) as progress:
        task = progress.add_task("replacing the future", total=n_cuts)
        yield lambda n_done, n_all: progress.update(task, completed=n_done)


def _show(report: "AuditReport", bars: "Bars", console: Console) -> None:
    n = len(report.columns)
    what = f"{n:,} column{'s'[: n > 1]} at {len(report.cuts)} cuts of {report.n_bars:,} bars of {bars.symbol}"
    if report.is_clean:
        console.print(f"clean: {what}, nothing changed before its cut", markup=False, highlight=False, soft_wrap=True)
        return
    table = Table(title=what, title_justify="left", box=None, pad_edge=False)
    for name in ("column", "first cut", "first row", "looks ahead", "largest change", "cuts"):
        table.add_column(name, justify="left" if name == "column" else "right", overflow="fold")
    for leak in report.leaks[:SHOWN]:
        table.add_row(
            leak.column,
            f"{leak.first_cut:,}",
            f"{leak.first_row:,}",
            f"≥ {leak.reach:,} bar{'s'[: leak.reach > 1]}",
            f"{leak.change:.3g}" if leak.change < float("inf") else "a value came or went",
            f"{leak.n_cuts} of {len(report.cuts)}",
        )
    console.print(table, highlight=False)
    if len(report.leaks) > SHOWN:
        console.print(f"… and {len(report.leaks) - SHOWN} more", highlight=False)


def _write(path: Path, report: "AuditReport", bars: "Bars", words: list[str]) -> None:
    from regimegym.training.run_folder import refused_by_machine

    record = asdict(report) | {
        "is_clean": report.is_clean,
        "symbol": bars.symbol,
        "data_fingerprint": bars.fingerprint,
        "command": shlex.join(["regime-gym", "data", "audit", *words]),
    }
    text = json.dumps(plain(record), indent=2, ensure_ascii=False) + "\n"
    with refused_by_machine(path, len(text), kept="nothing; the table above is all that is left"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _look_ahead(report: "AuditReport") -> DataError:
    n = len(report.leaks)
    first = report.leaks[0]
    return DataError(
        "look-ahead",
        f"{n} column{'s'[: n > 1]} changed when only the future did",
        needed="a value at t that uses bars up to t only",
        found=f"'{first.column}' on row {first.first_row:,} changed with the bars after row {first.first_cut:,}",
        help=("usual causes: shift(-1), center=True, bfill, statistics of all rows, bins labelled left",),
    )
