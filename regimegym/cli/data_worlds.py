"""regime-gym data worlds: the synthetic worlds, what can be earned in them, how labels recognise them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from regimegym.cli.arguments import Parser
from regimegym.common.checks import check_at_least
from regimegym.common.plain import plain

if TYPE_CHECKING:
    from regimegym.evaluate.worlds import Ceiling, Recognition


SHORT = ("up", "down", "plateau", "osc.")  # in the order of Regime


def run(words: list[str]) -> None:
    """Draw the worlds, measure, print the tables.

    Raises:
        ConfigError: an argument out of its range.
        MachineError: the disk refuses the JSON.
    """
    parser = Parser("data worlds", __doc__.partition(": ")[2])
    parser.add_argument("--draws", type=int, default=10, help="fresh draws of each world (10)")
    parser.add_argument("--bars", type=int, default=10_000, help="bars of a draw (10000)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the draws (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured to FILE")
    options = parser.parse_args(words)
    check_at_least("--draws", options.draws, 2)
    check_at_least("--bars", options.bars, 1_000)
    check_at_least("--seed", options.seed, 0)
    # Everything heavy is imported once the arguments are known to be right.
    from regimegym.evaluate.worlds import measure_ceilings, measure_recognition
    from regimegym.training.run_folder import refused_by_machine

    progress = Console(stderr=True, highlight=False)
    ceilings = measure_ceilings(options.draws, options.bars, options.seed, progress.print)
    recognised = measure_recognition(options.bars, options.seed)
    console = Console(highlight=False)
    console.print(_ceiling_table(ceilings, options.bars), soft_wrap=True)
    console.print(_recognition_table(recognised), soft_wrap=True)
    if options.json is not None:
        record = {
            "draws": options.draws,
            "bars": options.bars,
            "random_seed": options.seed,
            "ceilings": [ceiling._asdict() for ceiling in ceilings],
            "recognition": [judged._asdict() for judged in recognised],
        }
        text = json.dumps(plain(record), indent=2) + "\n"
        with refused_by_machine(options.json, len(text), kept="nothing; the tables above are all that is left"):
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(text)
        console.print(f"written to {options.json}", markup=False, soft_wrap=True)


def _ceiling_table(ceilings: "list[Ceiling]", n_bars: int) -> Table:
    table = Table(title="Share of hindsight-optimal log growth", box=None, pad_edge=False, title_justify="left")
    for heading in ("world", "known besides the closes"):
        table.add_column(heading, no_wrap=True)
    for heading in ("share", "± SE", "trades / 1,000 bars"):
        table.add_column(heading, justify="right", no_wrap=True)
    for c in ceilings:
        trades = 1_000 * c.changes.mean() / n_bars
        table.add_row(c.world, c.knowledge, f"{c.shares.mean():.3f}", f"{c.standard_error:.3f}", f"{trades:.1f}")
    return table


def _recognition_table(recognised: "list[Recognition]") -> Table:
    title = "\nLabels in % of the bars, by what the bars are"
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    for heading in ("world", "correct", "truth", "bars", *SHORT):
        table.add_column(heading, justify="left" if heading in ("world", "truth") else "right", no_wrap=True)
    for judged in recognised:
        shown = (judged.world, f"{100 * judged.accuracy:.1f}")
        for name, row in zip(SHORT, judged.confusion, strict=True):
            if row.sum():
                table.add_row(*shown, name, f"{row.sum():,}", *(f"{100 * n / row.sum():.1f}" for n in row))
                shown = ("", "")
    return table
