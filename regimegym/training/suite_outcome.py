"""A suite of scenarios for one run or several: built, run, written and printed."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from regimegym.evaluate.baselines import RuleSettings
from regimegym.evaluate.report_facts import ReportContext
from regimegym.evaluate.scenario_content import suite_content, suite_markdown
from regimegym.evaluate.scenario_figure import suite_figure
from regimegym.evaluate.scenarios import Ground
from regimegym.evaluate.suite import SuiteRun, SuiteSettings, build_scenarios, run_suite
from regimegym.evaluate.verdict import as_return
from regimegym.training.formatting import UNDEFINED, percent
from regimegym.training.run_folder import RunFolder
from regimegym.training.sb3_baseline import saved_sb3
from regimegym.training.subject import Subject

WIDTH = 80
SHOWN_WEAKNESSES = 5


class SuiteRuns(NamedTuple):
    """What every run did in the suite, in the order in which they were named."""

    runs: list[SuiteRun]
    names: list[str]
    random_seeds: list[int]


def run_suites(subjects: Sequence[Subject], suite: SuiteSettings, rules: RuleSettings | None) -> SuiteRuns:
    """Every run through the scenarios; each sees the same prices, by its own features.

    Raises:
        DataError: `no-scenarios`, none can be built.
    """
    runs = []
    for subject in subjects:
        ground = ground_of(subject, suite.random_seed)
        scenarios, skipped = build_scenarios(suite, ground)
        others = saved_sb3(subject.run)
        runs.append(run_suite(subject.trader.policy, scenarios, suite, skipped, rules, subject.label, others))
    names = [str(subject.run.path) for subject in subjects]
    return SuiteRuns(runs, names, [subject.card.random_seed for subject in subjects])


def ground_of(subject: Subject, random_seed: int) -> Ground:
    """What the scenarios of a run are made of."""
    context = subject.market.context
    return Ground(
        subject.market.bars,
        subject.tape,
        subject.settings,
        subject.rows,
        subject.part,
        subject.spans,
        lambda bars: subject.trader.tape(bars, context),
        random_seed,
    )


def write_suite(
    folder: RunFolder, suites: SuiteRuns, context: ReportContext, least_break_even: float
) -> dict[str, Any]:
    """Write scenarios.json, scenarios.md and scenarios.svg; returns the content of the first.

    Raises:
        MachineError: the disk or its permissions refuse.
    """
    facts = {
        "source": context.source,
        "data_fingerprint": context.data_fingerprint,
        "test_looks_before": context.test_looks_before,
        "trials_counted": context.trials_counted,
    }
    content = suite_content(suites.runs, suites.names, suites.random_seeds, facts, least_break_even)
    folder.write_json(folder.scenarios_json.name, content)
    folder.write_text("scenarios.md", suite_markdown(content))
    folder.write_text("scenarios.svg", suite_figure(content))
    return content


def render_suite(content: Mapping[str, Any], folder: str, console: Console) -> None:
    """Print the groups, what is weak, and where the whole table lies."""
    for line in suite_lines(content, folder):
        console.print(line, soft_wrap=True, no_wrap=True, overflow="ignore", crop=False, highlight=False)


def suite_lines(content: Mapping[str, Any], folder: str) -> list[Text]:
    """The suite for the terminal, at most 80 columns but for the sentences."""
    head = (
        f"{'scenarios':<18}{'n':>4}{'median':>10}{'worst':>10}{'drawdown':>10}{'> flat':>9}{'> hold':>9}{'> rule':>9}"
    )
    n_runs = len(content["runs"])
    lines = [
        Text(""),
        Text.assemble(
            (f"Suite {content['suite']}", "bold"),
            f", {len(content['scenarios'])} scenarios, "
            f"{'one run' if n_runs == 1 else f'{n_runs} runs, the median shown'}, after costs",
        ),
        Text(head, "bright_black"),
        Text("─" * len(head), "bright_black"),
        *(Text(_group_line(group)) for group in content["groups"]),
    ]
    if content["skipped"]:
        lines.append(Text(f"{len(content['skipped'])} left out, see {folder}/scenarios.md", "bright_black"))
    weak = [one["text"] for one in content["weaknesses"] if one["is_weak"]]
    lines += [Text(""), *(Text.assemble(("! ", "bold yellow"), text) for text in weak[:SHOWN_WEAKNESSES])]
    lines.append(Text.assemble(("suite   ", "bright_black"), f"{folder}/scenarios.md"))
    return lines


def _group_line(group: Mapping[str, Any]) -> str:
    returns = [_return(group[name]) for name in ("median_log_return", "worst_log_return")]
    shares = ("share_above_flat", "share_above_buy_and_hold", "share_above_best_rule")
    return (
        f"{group['group']:<18}{group['n']:>4}{returns[0]:>10}{returns[1]:>10}{percent(group['worst_drawdown']):>10}"
        + "".join(f"{percent(group[name], 0):>9}" for name in shares)
    )


def _return(log_return: float | None) -> str:
    return UNDEFINED if log_return is None else percent(as_return(log_return), signed=True)
