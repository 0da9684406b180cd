"""The last words of a training: a table against the baselines, what speaks against it, what next."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from regimegym.training.formatting import UNDEFINED, duration, number, percent
from regimegym.training.run_folder import RUNS

EXTREME_SHARE = 0.95  # of all actions; above it the policy hardly decides any more
RARE_SHARE = 0.02
LABELS = {
    "agent": "agent, best",
    "buy_and_hold": "buy & hold",
    "sell_and_hold": "sell & hold",
    "ma_cross": "MA cross",
    "mean_reversion": "mean reversion",
    "volatility_target": "volatility target",
    "regime_trader": "regime rule",
    "random": "random, same trades",
    "flat": "flat",
    "sb3_dqn": "DQN of SB3",
    "hindsight": "hindsight ceiling",
}
STYLES = {"agent": "bold cyan", "buy_and_hold": "dark_orange"}
WIDTH = 80


class Block(NamedTuple):
    """Results on one part of the data.

    Args:
        title: "Validation" or "Test".
        period: "2021-02-01 … 2021-06-30".
        policies: metrics (keys of evaluate.metrics) by policy key, agent first.
        intervals: 95 % interval of the total return by policy key; a missing one is shown as –.
    """

    title: str
    period: str
    policies: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, tuple[float, float]] = {}


class RunSummary(NamedTuple):
    """What a finished or interrupted training has to say."""

    headline: str  # "Training finished · early stop, 8 validations without a new best"
    steps: int
    duration_s: float
    best_step: int
    random_seed: int
    blocks: Sequence[Block]
    action_shares: Mapping[str, float]  # shares of the agent's actions by name, on the last block
    folder: str
    overrides: Sequence[str] = ()  # task overrides of the command line
    has_report: bool = True
    finished: bool = True  # `last` names finished runs only
    labels: Mapping[str, str] = {}  # other names of policies, such as {"ma_cross": "MA cross 36/168"}
    trust: str = ""  # what a command that opens the run again has to say besides


def render_summary(summary: RunSummary, console: Console) -> None:
    """Print the summary; lines to paste are never wrapped."""
    for line in summary_lines(summary, min(console.width, WIDTH)):
        console.print(line, soft_wrap=True, no_wrap=True, overflow="ignore", crop=False, highlight=False)


def render_evaluation(block: Block, folder: str, console: Console, labels: Mapping[str, str]) -> None:
    """Print the table of one evaluation and where its report lies."""
    lines = _block_lines(block, {"ma_cross": labels["ma_cross"]}, min(console.width, WIDTH))
    lines += [Text(""), Text.assemble(("! ", "bold yellow"), _interval_warning(block))]
    lines.append(Text.assemble(("report  ", "bright_black"), f"{folder}/report.html"))
    for line in lines:
        console.print(line, soft_wrap=True, no_wrap=True, overflow="ignore", crop=False, highlight=False)


def summary_lines(summary: RunSummary, width: int = WIDTH) -> list[Text]:
    """The summary, line by line, for `width` columns."""
    pace = summary.steps / summary.duration_s if summary.duration_s > 0 else float("nan")
    rule = "─" * max(width - len(summary.headline) - 1, 0)
    lines = [
        Text.assemble((summary.headline, "bold"), " ", (rule, "bright_black")),
        Text(
            f"{summary.steps:,} steps in {duration(summary.duration_s)} ({number(pace, 0)} steps/s) · "
            f"best checkpoint at {summary.best_step:,} · seed {summary.random_seed}"
        ),
    ]
    for block in summary.blocks:
        lines += [Text(""), *_block_lines(block, summary.labels, width)]
    lines.append(Text(""))
    lines += [Text.assemble(("! ", "bold yellow"), text) for text in warnings(summary)]
    return [*lines, Text(""), *_path_lines(summary), *_next_lines(summary)]


def warnings(summary: RunSummary) -> list[str]:
    """What speaks against the result; never empty, because one run of one seed shows nothing."""
    said = []
    if summary.blocks:
        block = summary.blocks[-1]
        said.append(_interval_warning(block))
        agent = block.policies["agent"].get("total_return", float("nan"))
        hold = block.policies.get("buy_and_hold", {}).get("total_return", float("nan"))
        if agent < hold:
            said.append(f"The agent ended below buy & hold on the {block.title.lower()} part.")
        if block.policies["agent"].get("trades") == 0:
            said.append(f"The agent never traded on the {block.title.lower()} part.")
    said += _collapse_warning(summary.action_shares)
    return said


def next_commands(summary: RunSummary) -> list[tuple[str, str]]:
    """Commands ready to paste and what each is good for."""
    kept = [o for o in summary.overrides if not o.lstrip("+").startswith(("random_seed=", "run_dir="))]
    seeds = shlex.join(["regime-gym", "train", "-m", "random_seed=0,1,2,3,4", *kept])
    # `last` is the newest finished run below runs/.
    is_last = summary.finished and Path(summary.folder).is_relative_to(RUNS)
    run = "last" if is_last else shlex.quote(summary.folder)
    return [
        (f"regime-gym evaluate run={run}{summary.trust}", "baselines, intervals, report"),
        (seeds, "what 1 seed cannot tell"),
        (f"tensorboard --logdir {shlex.quote(summary.folder)}/tensorboard", "curves of this run"),
    ]


def _interval_warning(block: Block) -> str:
    interval = block.intervals.get("agent")
    if interval is None or interval[0] != interval[0]:
        return "One seed, one market, no interval. Nothing is shown yet."
    if interval[0] <= 0.0 <= interval[1]:
        return "One seed, one market: the interval includes zero. Nothing is shown yet."
    if interval[1] < 0.0:
        return "One seed, one market: the whole interval lies below zero."
    return "One seed, one market: the interval excludes zero, other seeds may not. Train more of them."


def _collapse_warning(shares: Mapping[str, float]) -> list[str]:
    if not shares:
        return []
    most = max(shares, key=lambda name: shares[name])
    least = min(shares, key=lambda name: shares[name])
    if shares[most] >= EXTREME_SHARE:
        return [f"{most} is {percent(shares[most], 0)} of all actions: watch for action collapse."]
    if shares[least] <= RARE_SHARE:
        return [f"{least} is {percent(shares[least], 0)} of all actions: watch for action collapse."]
    return []


def _block_lines(block: Block, labels: Mapping[str, str], width: int) -> list[Text]:
    rows = [
        (
            key,
            labels.get(key, LABELS.get(key, key.replace("_", " "))),
            _cells(metrics, block.intervals.get(key)),
        )
        for key, metrics in block.policies.items()
    ]
    names = ("return", "95 % interval", "Sharpe", "drawdown", "trades")
    first = max(19, *(len(label) for _, label, _ in rows))
    widths = [
        max(least, len(name) + 2, *(len(cells[i]) + 2 for _, _, cells in rows))
        for i, (name, least) in enumerate(zip(names, (10, 20, 9, 11, 9), strict=True))
    ]
    # Columns go when the width is short: first the interval's padding, then the last columns.
    if first + sum(widths) > width:
        widths = [max(len(names[i]), *(len(cells[i]) for _, _, cells in rows)) + 2 for i in range(len(names))]
    shown = len(names)
    while shown > 1 and first + sum(widths[:shown]) > width:
        shown -= 1
    head = f"{'policy':<{first}}" + "".join(f"{names[i]:>{widths[i]}}" for i in range(shown))
    lines = [
        Text.assemble((block.title, "bold"), f", {block.period}, after costs"),
        Text(head, "bright_black"),
        Text("─" * len(head), "bright_black"),
    ]
    for key, label, cells in rows:
        body = "".join(f"{cells[i]:>{widths[i]}}" for i in range(shown))
        lines.append(Text(f"{label:<{first}}{body}", STYLES.get(key, "")))
    return lines


def _cells(metrics: Mapping[str, float], interval: tuple[float, float] | None) -> tuple[str, ...]:
    between = UNDEFINED
    if interval is not None and interval[0] == interval[0]:
        low, high = (percent(value, signed=True) for value in interval)
        between = f"{low.removesuffix(' %')} to {high}"
    trades = metrics.get("trades")
    return (
        percent(metrics.get("total_return"), signed=True),
        between,
        number(metrics.get("sharpe_ratio")),
        percent(metrics.get("max_drawdown")),
        UNDEFINED if trades is None or trades != trades else f"{trades:,.0f}",
    )


def _path_lines(summary: RunSummary) -> list[Text]:
    changed = len(summary.overrides)
    note = f" ({changed} value{'s' if changed != 1 else ''} changed)" if changed else ""
    lines = [
        Text.assemble(("model   ", "bright_black"), f"{summary.folder}/model"),
        Text.assemble(("config  ", "bright_black"), f"{summary.folder}/config.yaml", (note, "bright_black")),
    ]
    if summary.has_report:
        lines.append(Text.assemble(("report  ", "bright_black"), f"{summary.folder}/report.html"))
    return lines


def _next_lines(summary: RunSummary) -> list[Text]:
    commands = next_commands(summary)
    width = max((len(command) for command, _ in commands if len(command) <= 44), default=0)
    return [
        Text.assemble(
            ("next    " if i == 0 else "        ", "bright_black"),
            f"{command:<{width}}",
            (f"  {reason}" if len(command) <= width else "", "bright_black"),
        )
        for i, (command, reason) in enumerate(commands)
    ]
