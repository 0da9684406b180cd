"""Sections that stand only where something was measured: months, scenarios, walk-forward, statistics, calibration.

Like every table of the report they are plain HTML. Every text that comes from the data passes `escape`.
"""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from regimegym.evaluate.report.numbers import (
    DASH,
    day,
    interval,
    is_defined,
    mark,
    number,
    percent,
    plural,
    words,
)
from regimegym.evaluate.report.reading import Report
from regimegym.evaluate.report.summary import track
from regimegym.evaluate.report.tables import cell, definitions, table

SHOWN_POLICIES = ("buy_and_hold", "ma_cross", "mean_reversion", "volatility_target", "regime_rule", "random")
FOLDED_MONTHS = 24
LINKS = {
    "verdict": "Verdict",
    "equity": "Equity",
    "trades": "Trades",
    "regimes": "Regimes",
    "metrics": "Metrics",
    "scenarios": "Scenarios",
    "costs": "Costs",
    "walkforward": "Walk-forward",
    "statistics": "Statistics",
    "calibration": "Calibration",
    "against": "Against it",
    "card": "Run card",
}
VERSUS = ("Agent is better", "Agent minus it", "p", "p, Holm")


def section(anchor: str, eyebrow: str, heading: str, how: str, *parts: str) -> str:
    """One section of the report; `heading` and `how` are plain text."""
    return (
        f'<section id="{anchor}"><div class="eyebrow">{escape(eyebrow)}</div><h2>{words(heading)}</h2>'
        f'<p class="how">{words(how)}</p>{"".join(parts)}</section>'
    )


def month_table(report: Report) -> str:
    """Log return by month of the agent and of buy and hold; folded where there are many."""
    months = report.get("per_month") or []
    if not months:
        return ""
    rows = [
        f'<tr><th scope="row">{escape(row["month"])}</th>'
        + cell(_log(row["log_return"]), "Agent", "own")
        + cell(_log(row["buy_and_hold_log_return"]), "Buy and hold")
        + shaded(_gap(row["log_return"], row["buy_and_hold_log_return"]), "Difference", _reach(months))
        + cell(percent(row["max_drawdown"]), "Drawdown", "opt")
        + cell(percent(row["mean_exposure"], 0), "Exposure", "opt")
        + "</tr>"
        for row in months
    ]
    inner = table(["Month", "Agent", "Buy and hold", "Difference", "Drawdown", "Exposure"], rows, "heat")
    is_open = "" if len(months) > FOLDED_MONTHS else " open"
    return f"<details{is_open}><summary>Month by month, log returns ({len(months)})</summary>{inner}</details>"


def _reach(months: Sequence[Report]) -> float:
    gaps = [_gap(row["log_return"], row["buy_and_hold_log_return"]) for row in months]
    return max([abs(gap) for gap in gaps if gap is not None], default=0.0) or 1.0


def _gap(own: float | None, other: float | None) -> float | None:
    return own - other if is_defined(own) and is_defined(other) else None


def _log(value: float | None) -> str:
    return number(value, 3, True)


def shaded(value: float | None, label: str, reach: float, kind: str = "") -> str:
    """A cell of a heat map: blue ahead, orange behind, the deeper the further."""
    if not is_defined(value):
        return cell(DASH, label, kind)
    level = min(4, round(4 * abs(value) / reach))
    return cell(_log(value), label, f"{'ahead' if value >= 0 else 'behind'} s{level} {kind}".strip())


def scenario_section(report: Report) -> str:
    """All scenarios, agent minus every baseline; nothing where no suite ran."""
    content = report.get("scenarios")
    if not content:
        return ""
    labels = {policy["key"]: policy["label"] for policy in content["policies"]}
    shown = [key for key in SHOWN_POLICIES if key in labels]
    scenarios = content["scenarios"]
    gaps = [abs(gap) for one in scenarios for key in shown if (gap := _behind(one, key)) is not None]
    reach = sorted(gaps)[int(0.85 * (len(gaps) - 1))] if gaps else 1.0
    head = ["Scenario", "Agent", *(f"<small>against</small> {escape(labels[key])}" for key in shown)]
    rows: list[str] = []
    for group, members in groupby(scenarios, key=lambda one: one["group"]):
        rows.append(f'<tr class="grp"><td colspan="{len(head)}">{escape(_title(group))}</td></tr>')
        rows += [_scenario_row(one, shown, labels, reach or 1.0) for one in members]
    seeds = len(content["runs"])
    how = (
        f"Log return after costs in each of {len(scenarios)} scenarios"
        f"{f', the median of {seeds} seeds' if seeds > 1 else ''}, and its distance to every baseline there. "
        "Blue: the agent is ahead, orange: behind. ° marks bars that the model was trained or selected on."
    )
    return section(
        "scenarios", "Scenarios", scenario_heading(report), how, table(head, rows, "heat"), _skipped(content)
    )


def _behind(one: Report, key: str) -> float | None:
    return _gap(one["agent"]["log_return"], one["baselines"].get(key, {}).get("log_return"))


def _scenario_row(one: Report, shown: Sequence[str], labels: dict[str, str], reach: float) -> str:
    seen = " °" if one["seen"] in ("train", "validation") else ""
    name = f'<span title="{escape(one["words"])}">{escape(one["name"])}{seen}</span>'
    kinds = ("", "", *["opt"] * len(shown))  # on a phone there is room for two
    cells = "".join(
        shaded(_behind(one, key), labels[key], reach, kind) for key, kind in zip(shown, kinds, strict=False)
    )
    return f'<tr><th scope="row">{name}</th>{cell(_log(one["agent"]["log_return"]), "Agent", "own")}{cells}</tr>'


def _skipped(content: Report) -> str:
    left = content.get("skipped") or []
    if not left:
        return ""
    return f'<p class="note">{plural(len(left), "scenario")} could not be built on these data and are left out.</p>'


def scenario_heading(report: Report) -> str:
    """How often the agent is ahead, and where it is weakest."""
    groups = report["scenarios"]["groups"]
    n = sum(group["n"] for group in groups)
    ahead = sum(round(group["n"] * group["share_above_buy_and_hold"]) for group in groups)
    worst = min(groups, key=lambda group: _number(group["worst_log_return"]))
    return f"Ahead of buy and hold in {ahead} of {n} scenarios; the worst is among {worst['group']}"


def _number(value: float | None) -> float:
    return value if is_defined(value) else 0.0


def walk_forward_section(report: Report) -> str:
    """Every fold with its dates, and the difference to buy and hold; nothing without a walk-forward."""
    content = report.get("walk_forward")
    if not content:
        return ""
    folds = content["folds"]
    reach = (
        max([abs(_number(fold[side])) for fold in folds for side in ("low", "high", "difference")], default=0.0) or 1.0
    )
    rows = [_fold_row(fold, reach) for fold in folds]
    ahead = sum(_number(fold["difference"]) > 0 for fold in folds)
    unsure = sum(mark(fold["low"], fold["high"], 0.0) == "○" for fold in folds)
    heading = f"{ahead} of {plural(len(folds), 'fold')} ahead of buy and hold, {unsure} intervals include zero"
    how = (
        "Each fold is trained anew on the bars before it, selected on its own validation, purged, and tested once "
        "on the "
        "block that follows. Log returns; the difference is paired on the same bars."
    )
    head = ["Fold, test block", "Bars", "Agent", "Buy and hold", "Difference", "95 % interval", ""]
    return section("walkforward", "Walk-forward", heading, how, table(head, rows, "cards"))


def _fold_row(fold: Report, reach: float) -> str:
    gap, low, high = fold["difference"], fold["low"], fold["high"]
    return (
        f'<tr><th scope="row">{day(fold["start_ms"])} {DASH} {day(fold["end_ms"])}</th>'
        + cell(number(fold["n_bars"], 0), "Bars")
        + cell(_log(fold["agent"]), "Agent", "own")
        + cell(_log(fold["buy_and_hold"]), "Buy and hold")
        + cell(f"<b>{_log(gap)}</b>", "Difference")
        + cell(
            f'<span>{interval(low, high, "log", True)}<span class="mk">{mark(low, high, 0.0)}</span></span>', "Interval"
        )
        + cell(track(gap, low, high, 0.0, domain=(-reach, reach)), "", "wide")
        + "</tr>"
    )


def statistics_section(report: Report) -> str:
    """Trials, tests on the path and over scenarios, timing, risk and power."""
    content = report.get("statistics")
    if not content:
        return ""
    how = (
        "Is the agent better in general? Scenarios answer that, each of them one piece of evidence. How much of a "
        "selected "
        "result is luck? The trial counter answers that. Was it timing or exposure? The same positions in other "
        "orders do."
    )
    parts = [
        _scenario_test(content.get("scenarios")),
        _path_table(content["path"]),
        definitions(_facts(report, content)),
    ]
    return section("statistics", "Statistics", statistics_heading(content), how, *parts)


def statistics_heading(content: Report) -> str:
    """What the strongest test that ran says."""
    scenarios, trials = content.get("scenarios"), content["trials"]
    deflated = trials["deflated_sharpe"]
    second = (
        f"; given {plural(int(trials['n']), 'trial')} the Sharpe ratio is above 0 with probability {number(deflated)}"
        if is_defined(trials["n"]) and is_defined(deflated)
        else ""
    )
    if scenarios:
        better = [row for row in scenarios["against"] if is_defined(row["p_holm"]) and row["p_holm"] < 0.05]
        ahead = sum(row["difference"] > 0 for row in better)
        first = (
            f"Better than {ahead} of {len(scenarios['against'])} baselines over {scenarios['n_scenarios']} scenarios"
        )
    else:
        ahead = sum(
            is_defined(row["p_holm"]) and row["p_holm"] < 0.05 and row["difference"] > 0 for row in content["path"]
        )
        first = f"On this path told apart from {ahead} of {len(content['path'])} baselines"
    return first + second


def _n_beaten(rows: Sequence[Report]) -> int:
    return sum(is_defined(row["p_holm"]) and row["p_holm"] < 0.05 and row["difference"] > 0 for row in rows)


def _scenario_test(content: Report | None) -> str:
    if not content:
        return (
            '<p class="note">No suite of scenarios was run: <code>regime-gym evaluate run=… suite=default</code> '
            "adds the test over scenarios.</p>"
        )
    scores = {row["key"]: row for row in content["scores"]}
    reach = max([abs(_number(row[side])) for row in content["scores"] for side in ("low", "high")], default=0.0) or 1.0
    against = {row["key"]: row for row in content["against"]}
    rows = [_score_row(key, scores[key], against.get(key), reach) for key in scores]
    head = [
        "Over scenarios",
        "IQM of the log return",
        "95 % interval",
        "",
        "Agent is better",
        "Agent minus it",
        "p",
        "p, Holm",
    ]
    seeds = content["n_seeds"]
    note = (
        f"{plural(content['n_scenarios'], 'scenario')} that the model never saw "
        f"({escape(', '.join(content['groups']))}), "
        f"{plural(seeds, 'seed')}. IQM: mean of the middle half. Paired sign-flip test on scenario means; the "
        f"scenario is the "
        f"unit of evidence, not the seed. These scenarios show a mean difference to buy and hold of "
        f"{_log(content['power'])} "
        "or more in 80 % of the cases; smaller ones stay invisible."
    )
    chart = '<figure class="optional"><div class="chart" id="chart-profile"></div></figure>'
    return table(head, rows, "cards") + f'<p class="note">{note}</p>' + chart


def _score_row(key: str, score: Report, against: Report | None, reach: float) -> str:
    low, high = score["low"], score["high"]
    label = "Agent" if key == "agent" else score["label"]
    versus = [DASH] * 4
    if against is not None:
        versus = [
            percent(against["improvement"], 0),
            f"{_log(against['difference'])} <small>{interval(against['low'], against['high'], 'log', True)}</small>",
            number(against["p"], 4),
            f"<b>{number(against['p_holm'], 4)}</b>",
        ]
    return (
        f'<tr><th scope="row">{escape(label)}</th>'
        + cell(_log(score["iqm"]), "IQM", "own" if key == "agent" else "")
        + cell(interval(low, high, "log", True), "Interval")
        + cell(track(score["iqm"], low, high, 0.0, domain=(-reach, reach)), "", "wide")
        + "".join(cell(text, name) for text, name in zip(versus, VERSUS, strict=True))
        + "</tr>"
    )


def _path_table(path: Sequence[Report]) -> str:
    rows = [
        f'<tr><th scope="row">Agent − {escape(row["label"])}</th>'
        + cell(_log(row["difference"]), "Difference")
        + cell(number(row["p"], 4), "p")
        + cell(f"<b>{number(row['p_holm'], 4)}</b>", "p, Holm")
        + "</tr>"
        for row in path
    ]
    return table(["On this one path", "Log return", "p", "p, Holm"], rows, "narrow")


def _facts(report: Report, content: Report) -> list[tuple[str, str]]:
    trials, timing, risk, pnl = content["trials"], content["timing"], content["risk"], report.get("pnl_parts") or {}
    found = [
        (
            "Trials",
            (
                f"{number(trials['n'], 0)} scored on validation. The best of as many without skill shows a ratio of "
                f"{number(trials['best_of_luck'])} here; that the true one is above zero has a probability of "
                f"{number(trials['probabilistic_sharpe'])}, and {number(trials['deflated_sharpe'])} given the trials."
            ),
        ),
        (
            "Timing",
            (
                f"Positions earned {percent(timing['gross'], 1, True)} before costs; the same positions in other "
                f"orders {percent(timing['exposure'], 1, True)}. What timing added, "
                f"{percent(timing['timing'], 1, True)}, is "
                f"reached by chance with p = {number(timing['p_value'], 3)} ({plural(timing['n_spells'], 'spell')})."
            ),
        ),
        ("Power", words(content["power"])),
    ]
    if pnl:
        share = {name: money / report["facts"]["initial_cash"] for name, money in pnl.items() if is_defined(money)}
        parts = ", ".join(f"{name} {percent(value, 1, True)}" for name, value in share.items() if name != "total")
        text = f"{parts}; together {percent(share.get('total'), 1, True)} of the starting equity."
        found.insert(2, ("Where it came from", text))
    if risk:
        met = risk["backtest"]
        found.append(
            (
                "Risk of one bar",
                (
                    f"Loss of {percent(risk['value_at_risk'], 2)} or more on {percent(1 - risk['level'], 0)} of bars, "
                    f"{percent(risk['expected_shortfall'], 2)} on average there. Forecast from the {risk['window']} "
                    f"bars before, "
                    f"{number(met['n_breaches'], 0)} breaches where {number(met['expected'], 0)} were promised "
                    f"(Kupiec p = {number(met['coverage_p'], 3)}, "
                    f"Christoffersen p = {number(met['independence_p'], 3)})."
                ),
            )
        )
    return found


def calibration_section(report: Report) -> str:
    """Values against what followed and the detector against its labels; nothing where neither is stated."""
    content = report.get("calibration")
    if not content:
        return ""
    parts = []
    if content["actions"]:
        rows = [_action_row(one) for one in content["actions"]]
        head = [
            "Action, from flat",
            "Said lowest tenth",
            "followed",
            "Said highest tenth",
            "followed",
            "Rank correlation",
        ]
        parts.append(table(head, rows, "cards"))
        parts.append('<figure class="optional"><div class="chart" id="chart-values"></div></figure>')
    if content["regimes"]:
        rows = [_regime_row(name, one) for name, one in content["regimes"]["by_regime"].items()]
        parts.append(
            table(["Regime detector", "Bars of the label", "Mean probability", "Calibration error"], rows, "cards")
        )
        parts.append('<figure class="optional"><div class="chart" id="chart-reliability"></div></figure>')
    how = (
        f"On {number(content['n'], 0)} bars of this part, over {content['horizon']} bars from the fill and after "
        f"costs. Values "
        "are in the unit of the training reward, so compare their order and slope with what followed. The detector "
        "is compared "
        "with the causal label it was taught, not with a truth that nobody knows."
    )
    return section("calibration", "Calibration", calibration_heading(content), how, *parts)


def calibration_heading(content: Report) -> str:
    """Whether higher values were followed by more, and how often the detector names the label."""
    said = []
    if content["actions"]:
        ranks = [one["rank_correlation"] for one in content["actions"] if is_defined(one["rank_correlation"])]
        mean = sum(ranks) / len(ranks) if ranks else 0.0
        text = (
            "rank what followed"
            if mean > 0.05
            else "say little about what followed"
            if mean > -0.05
            else "rank it backwards"
        )
        said.append(f"values {text} (mean rank correlation {number(mean, 2, True)})")
    if content["regimes"]:
        regimes = content["regimes"]
        said.append(
            f"the detector names the label on {percent(regimes['agreement'], 0)} of the bars, the commonest label "
            f"would "
            f"on {percent(regimes['majority'], 0)}"
        )
    text = "; ".join(said)
    return text[:1].upper() + text[1:]


def _action_row(one: Report) -> str:
    first, last = (f"{number(one['predicted'][i], 4, True)}" for i in (0, -1))
    low, high = (f"{percent(one['realised'][i], 2, True)} ± {percent(one['error'][i], 2)}" for i in (0, -1))
    return (
        f'<tr><th scope="row">{escape(one["label"])}</th>'
        + cell(first, "Said lowest")
        + cell(low, "followed")
        + cell(last, "Said highest")
        + cell(high, "followed")
        + cell(f"<b>{number(one['rank_correlation'], 3, True)}</b>", "Rank correlation")
        + "</tr>"
    )


def _regime_row(name: str, one: Report) -> str:
    n = sum(one["counts"])
    happened = sum(h * c for h, c in zip(one["happened"], one["counts"], strict=True)) / n if n else None
    stated = sum(s * c for s, c in zip(one["stated"], one["counts"], strict=True)) / n if n else None
    return (
        f'<tr><th scope="row"><span class="tag '
        f'{escape(name.upper())}">{escape(name[:1].upper())}</span>{escape(name)}</th>'
        + cell(percent(happened, 1), "Bars of the label")
        + cell(percent(stated, 1), "Mean probability")
        + cell(number(one["error"], 3), "Calibration error")
        + "</tr>"
    )


def navigation(report: Report) -> str:
    """Links to the sections that stand."""
    optional: dict[str, Any] = {
        "scenarios": report.get("scenarios"),
        "walkforward": report.get("walk_forward"),
        "statistics": report.get("statistics"),
        "calibration": report.get("calibration"),
    }
    return "".join(f'<a href="#{key}">{text}</a>' for key, text in LINKS.items() if optional.get(key, True))


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]
