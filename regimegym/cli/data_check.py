"""regime-gym data check: the data contract of price files, every violation at once, and what else is odd."""

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from regimegym.cli.arguments import Parser
from regimegym.common.errors import ConfigError, DataError
from regimegym.common.plain import plain

if TYPE_CHECKING:
    from regimegym.features.quality.report import FileReport

SETTINGS = ("timezone", "dialect", "symbol", "columns")  # of conf/data/file.yaml, that are flags here
BESIDE = Path()  # stands for `--fix` without a name


def run(words: list[str]) -> None:
    """Check every file, print what was found, write the JSON and the repaired copies that were asked for.

    Raises:
        DataError: a file breaks the contract; raised when everything has been said.
        ConfigError: a wrong argument, or a file that would be overwritten.
        MachineError: a file may not be read, or the disk refuses.
    """
    options = _options(words)
    # Everything heavy is imported once the arguments are known to be right.
    from regimegym.cli.data_check_table import print_report, print_total
    from regimegym.features.quality.checker import DataQualityChecker

    console = Console()
    checker = DataQualityChecker()
    reading = {"columns": options.columns, "timezone": options.timezone, "dialect": options.dialect}
    reading["symbol"] = options.symbol
    reports = []
    for number, file in enumerate(options.files, 1):
        with _progress(f"checking {file} ({number} of {len(options.files)})"):
            report = checker.check_file(file, **reading)
        reports.append(report)
        print_report(report, console)
        if options.fix is not None and report.n_bars and not report.is_clean:
            _fix(file, options, reading, console)
    print_total(reports, console)
    if options.json is not None:
        _write_json(reports, options.json, console)
    repaired = options.fix is not None
    raise_where_broken([report for report in reports if not (repaired and report.n_bars)])


def raise_where_broken(reports: Sequence["FileReport"]) -> None:
    """Raise DataError `broken-contract` where a file has violations."""
    broken = [report for report in reports if not report.is_clean]
    if not broken:
        return
    count = sum(finding.count for report in broken for finding in report.violations)
    names = [f"{report.file}: {', '.join(finding.rule for finding in report.violations)}" for report in broken]
    repairable = next((report.file for report in broken if report.n_bars - report.n_bad > 1), None)
    which = broken[0].file if len(reports) == 1 else f"{len(broken)} of {len(reports)} files"
    raise DataError(
        "broken-contract",
        f"{which} {'breaks' if len(broken) == 1 else 'break'} the data contract",
        place=names,
        found=f"{count:,} violation{'s' if count > 1 else ''}",
        help=()
        if repairable is None
        else ("write a repaired copy, with a list of every change:", f"regime-gym data check {repairable} --fix"),
    )


def _fix(file: Path, options: argparse.Namespace, reading: dict, console: Console) -> None:
    from regimegym.features.quality.repair import repair_file
    from regimegym.features.quality.subject import counted
    from regimegym.training.run_folder import refused_by_machine

    out = file.with_name(f"{file.stem}.fixed{file.suffix}") if options.fix == BESIDE else options.fix
    with refused_by_machine(out, file.stat().st_size, kept=f"{file} is as it was"):
        repair = repair_file(file, out, force=options.force, **reading)
    console.print(
        f"  {out}: {counted(repair.n_rows, 'bar')} that keep the contract; "
        f"{counted(len(repair.changes), 'change')} listed in {repair.listing}\n",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _write_json(reports: Sequence["FileReport"], path: Path, console: Console) -> None:
    from regimegym.features.quality.report import total_score
    from regimegym.training.run_folder import refused_by_machine

    record = {"score": round(total_score(reports), 4), "files": [report.to_json() for report in reports]}
    text = json.dumps(plain(record), indent=2, ensure_ascii=False) + "\n"
    with refused_by_machine(path, len(text), kept="nothing; the table above is all that is left"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    console.print(f"written to {path}", markup=False, highlight=False, soft_wrap=True)


def _options(words: list[str]) -> argparse.Namespace:
    parser = Parser("data check", __doc__.partition(": ")[2])
    parser.epilog = "data.dialect=…, data.timezone=…, data.symbol=… and data.columns=… are understood as in a training."
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV or Parquet")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write everything that was found to OUT")
    parser.add_argument(
        "--fix",
        type=Path,
        nargs="?",
        const=BESIDE,
        metavar="OUT",
        help="write a repaired copy of a broken FILE to OUT (FILE.fixed.csv without OUT) and a list of every change",
    )
    parser.add_argument("--force", action="store_true", help="let --fix replace an older OUT")
    parser.add_argument("--timezone", default="UTC", help="zone of times that do not say theirs (UTC)")
    parser.add_argument("--dialect", help="binance, metatrader, decimal_comma, … where the text does not say")
    parser.add_argument("--symbol", help="the one to look at in a file that holds several")
    parser.add_argument(
        "--columns", type=_columns, metavar="OURS=THEIRS,…", help="names of columns: close=Last,timestamp=When"
    )
    options = parser.parse_args([flag for word in words for flag in _as_flags(word)])
    if options.fix is not None and options.fix != BESIDE and len(options.files) > 1:
        raise ConfigError(
            "one-file-only",
            f"'--fix {options.fix}' names one copy for {len(options.files)} files",
            help=("leave the name out: each copy then lies beside its file",),
        )
    if options.json is not None and options.json.is_dir():
        raise ConfigError("not-a-file", f"'--json' must be a file, got the folder {options.json}")
    return options


def _as_flags(word: str) -> list[str]:
    """`data.dialect=decimal_comma`, as `regime-gym train` takes it, as the flag of this command."""
    setting, sign, value = word.partition("=")
    name = setting.removeprefix("data.")
    if not sign or name == setting or name not in (*SETTINGS, "path"):
        return [word]
    if name == "path":
        return [value]
    if name == "columns":
        value = ",".join(pair.strip().replace(": ", "=", 1) for pair in value.strip("{} ").split(","))
    return [f"--{name}", value]


def _columns(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(ours and sign and theirs for ours, sign, theirs in pairs):
        raise argparse.ArgumentTypeError(f"'{text}' is not OURS=THEIRS,…")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


@contextmanager
def _progress(text: str) -> Iterator[None]:
    """What is being read, in a terminal only: a check takes seconds."""
    console = Console(stderr=True, highlight=False)
    with console.status(text) if console.is_terminal else nullcontext():
        yield
