"""Monte Carlo of a run: resampled histories traded anew, written and printed."""

from typing import Any

import numpy as np
from rich.console import Console

from regimegym.common.plain import plain
from regimegym.common.seeding import generator
from regimegym.evaluate.metrics import METRICS
from regimegym.evaluate.monte_carlo import TAIL_LEVELS, MonteCarlo, MonteCarloSettings, monte_carlo
from regimegym.training.formatting import percent
from regimegym.training.run_folder import RunFolder
from regimegym.training.subject import Subject

SHOWN = ("total_return", "sharpe_ratio", "max_drawdown", "calmar", "trades")
FILE = "monte_carlo.json"
BAND_POINTS = 400  # marks of the equity band that are kept, evenly spaced; the last is one of them
BAND_DIGITS = 6


def run_monte_carlo(subject: Subject, settings: MonteCarloSettings) -> MonteCarlo:
    """The run's model on `settings.n_paths` histories made of the blocks of the judged rows. Raises DataError."""
    context = subject.market.context
    return monte_carlo(
        subject.trader.policy,
        subject.market.bars,
        subject.rows,
        lambda bars: subject.trader.tape(bars, context),
        subject.settings,
        generator(subject.card.random_seed, "monte-carlo"),
        settings,
    )


def write_monte_carlo(folder: RunFolder, found: MonteCarlo, settings: MonteCarloSettings) -> dict[str, Any]:
    """Write monte_carlo.json: intervals of every metric, ruin, tails, equity band. Raises MachineError."""
    n_marks = found.equity_band.shape[1]
    at = np.unique(np.linspace(0, n_marks - 1, min(n_marks, BAND_POINTS)).round().astype(np.int64))
    content = plain(
        {
            "n_paths": settings.n_paths,
            "level": settings.level,
            "ruin_drawdown": settings.ruin,
            "intervals": {name: interval._asdict() for name, interval in found.intervals.items()},
            "ruin": found.ruin._asdict(),
            "above_buy_and_hold": found.above_buy_and_hold,
            "expected_shortfall": found.expected_shortfall,
            "tail_levels": list(TAIL_LEVELS),
            "tails": found.tails,
            "equity_band_bars": at,
            "equity_band": (found.equity_band[:, at] / found.equity_band[0, 0]).round(BAND_DIGITS),
        }
    )
    folder.write_json(FILE, content)
    return content


def render_monte_carlo(found: MonteCarlo, settings: MonteCarloSettings, folder: RunFolder, console: Console) -> None:
    """Print the medians with their intervals, how often buy and hold is beaten, and ruin."""
    console.print(f"\nMonte Carlo, {settings.n_paths} histories of the part's own blocks, traded anew, after costs")
    for name in SHOWN:
        interval, meta = found.intervals[name], METRICS[name]
        values = [_words(value, meta.unit) for value in interval]
        console.print(
            f"{meta.label:<22}{values[0]:>12}   {100 * settings.level:g} % of them {values[1]} to {values[2]}"
        )
    console.print(
        f"above buy and hold in {percent(found.above_buy_and_hold, 0)} of the histories; a drawdown of "
        f"{percent(settings.ruin, 0)} or more in {percent(found.ruin.value)} "
        f"({percent(found.ruin.low)} to {percent(found.ruin.high)})",
        soft_wrap=True,
    )
    console.print(f"paths   {folder.path / FILE}", soft_wrap=True)


def _words(value: float, unit: str) -> str:
    if unit == "percent":
        return percent(value)
    return "–" if value != value else f"{value:,.2f}".replace("-", "−")
