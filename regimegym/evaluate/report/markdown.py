"""The report as Markdown: the same content and wording as the HTML, for reviews, chats and diffs."""

from collections.abc import Iterator, Sequence

from regimegym.evaluate.report import calibrated, evidence, headings, histories, sections, summary, targets, walked
from regimegym.evaluate.report.markdown_table import markdown_table, plain_line
from regimegym.evaluate.report.numbers import (
    DASH,
    NO_BREAK,
    day,
    interval,
    mark,
    minute,
    number,
    percent,
    plural,
    quantity,
)
from regimegym.evaluate.report.reading import Report, display_name, unit_of

CHECKS = {"yes": "yes", "no": "**no**", "unknown": "not measured"}


def report_markdown(report: Report) -> str:
    """The text of report.md."""
    return "\n".join(_lines(report)).replace(NO_BREAK, " ") + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {plain_line(report['title'])}"
    yield ""
    yield _facts(report)
    yield from _verdict(report)
    yield from _key_figures(report)
    yield from _section(headings.metrics_heading(report), _metrics(report))
    if report.get("targets"):
        rows = markdown_table(targets.target_head(report), targets.target_lines(report))
        yield from _section(f"Targets: {targets.target_heading(report['targets'])}", rows)
    yield from _section(headings.regime_heading(report), _regimes(report))
    if report.get("scenarios"):
        yield from _section(sections.scenario_heading(report), _scenario_groups(report["scenarios"]))
    yield from _section(headings.cost_heading(report), _costs(report))
    if report.get("walk_forward"):
        found = report["walk_forward"]
        yield from _section(
            walked.walk_forward_heading(found), markdown_table(walked.FOLD_HEAD, walked.fold_rows(found))
        )
    if report.get("statistics"):
        yield from _section(evidence.statistics_heading(report["statistics"]), _path(report["statistics"]["path"]))
    if report.get("monte_carlo"):
        found = report["monte_carlo"]
        yield from _section(
            histories.history_heading(found),
            markdown_table(("metric", "median path", f"{percent(found['level'], 0)} of the paths"),
                           histories.history_rows(found)),
        )  # fmt: skip
    if report.get("calibration"):
        yield from _section(calibrated.calibration_heading(report["calibration"]), ())
    yield from _section("What speaks against it", (f"- **{a}** {b}" for a, b in summary.weaknesses(report)))
    yield from _section("Repeat it", _commands(report))


def _section(heading: str, lines: Sequence[str] | Iterator[str]) -> Iterator[str]:
    yield ""
    yield f"## {plain_line(heading)}"
    yield ""
    yield from lines


def _facts(report: Report) -> str:
    facts = report["facts"]
    looks = facts["test_looks_before"]
    opened = "" if report["part"] != "test" or looks is None else f", opened {number(looks, 0)} times before"
    return (
        f"{day(facts['start_ms'])} {DASH} {day(facts['end_ms'])}, {report['part']} part{opened} · "
        f"{plural(facts['n_bars'], 'bar')} of {facts['timeframe']} ({number(facts['years'])} years) · fills "
        f"{facts['fills']} · "
        f"{facts['costs_words']} · seeds {', '.join(map(str, facts['random_seeds']))} · run `{facts['run_folder']}` · "
        f"data `{facts['data_fingerprint']}` · made {minute(facts['created_ms'])}"
    )


def _verdict(report: Report) -> Iterator[str]:
    verdict = report["verdict"]
    yield ""
    yield f"## Verdict: {verdict['stamp']}"
    yield ""
    for row in verdict["sentences"]:
        yield f"- **{row['question']}** {row['text']}"
    yield ""
    yield from markdown_table(("rule", "met"), ((row["text"], CHECKS[row["state"]]) for row in verdict["checks"]))


def _key_figures(report: Report) -> Iterator[str]:
    yield ""

    def row(one: Report) -> tuple[str, ...]:
        unit = unit_of(one["key"], one["unit"])
        signed = one["key"] not in summary.UNSIGNED and unit == "percent"
        marked = mark(one["low"], one["high"], one["line"])
        return (
            one["label"],
            f"{quantity(one['agent'], unit, signed)} {marked}".strip(),
            interval(one["low"], one["high"], unit, signed),
            quantity(one["baseline"], unit, signed),
        )

    level = f"{percent(report['intervals']['level'], 0)} interval"
    yield from markdown_table(("figure", "agent", level, "buy and hold"), map(row, report["key_figures"]))
    yield ""
    yield "● the interval excludes the line, ○ it includes it; – undefined."


def _metrics(report: Report) -> Iterator[str]:
    policies = report["policies"]

    def row(meta: Report) -> tuple[str, ...]:
        unit = unit_of(meta["key"], meta["unit"])
        signed = meta["group"] == "return" and unit == "percent"
        return (meta["label"], *(quantity(one["metrics"].get(meta["key"]), unit, signed) for one in policies))

    return markdown_table(("metric", *map(display_name, policies)), map(row, report["metrics_meta"]))


def _regimes(report: Report) -> Iterator[str]:
    rows = (
        (
            row["label"],
            percent(row["share"], 0),
            number(row["agent"]["log_return"], 3, True),
            number(row["buy_and_hold"]["log_return"], 3, True),
            percent(row["agent"]["mean_exposure"], 0),
            number(row["agent"]["trades"], 0),
        )
        for row in report["per_regime"]
    )
    return markdown_table(("regime", "share of bars", "agent, log return", "buy and hold", "exposure", "trades"), rows)


def _scenario_groups(content: Report) -> Iterator[str]:
    rows = (
        (
            group["group"],
            number(group["n"], 0),
            number(group["median_log_return"], 3, True),
            f"{number(group['worst_log_return'], 3, True)} ({group['worst']})",
            percent(group["share_above_flat"], 0),
            percent(group["share_above_buy_and_hold"], 0),
        )
        for group in content["groups"]
    )
    return markdown_table(("scenarios", "n", "median log return", "worst", "above flat", "above buy and hold"), rows)


def _costs(report: Report) -> Iterator[str]:
    curve = report["cost_curve"]
    rows = (
        (f"{multiple:g} ×", percent(own, 1, True), percent(other, 1, True))
        for multiple, own, other in zip(
            curve["multiples"], curve["agent_total_return"], curve["buy_and_hold_total_return"], strict=True
        )
    )
    return markdown_table(("costs", "agent", "buy and hold"), rows)


def _path(path: Sequence[Report]) -> Iterator[str]:
    rows = (
        (f"agent − {row['label']}", number(row["difference"], 3, True), number(row["p"], 4), number(row["p_holm"], 4))
        for row in path
    )
    return markdown_table(("on this one path", "log return", "p", "p, Holm"), rows)


def _commands(report: Report) -> Iterator[str]:
    for row in report["commands"]:
        yield f"    {row['command']}"
