"""Statistics and calibration in the report: what is chance, and whether what the model states comes true."""

from collections.abc import Sequence
from html import escape

from regimegym.evaluate.report.numbers import DASH, interval, is_defined, number, percent, plural, words
from regimegym.evaluate.report.reading import Report
from regimegym.evaluate.report.sections import known_or_zero, section, signed_log
from regimegym.evaluate.report.summary import track
from regimegym.evaluate.report.tables import cell, definitions, table

VERSUS = ("Agent is better", "Agent minus it", "p", "p, Holm")


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
    reach = (
        max([abs(known_or_zero(row[side])) for row in content["scores"] for side in ("low", "high")], default=0.0)
        or 1.0
    )
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
        f"{signed_log(content['power'])} "
        "or more in 80 % of the cases; smaller ones stay invisible."
    )
    chart = '<figure class="optional"><div class="chart" id="chart-profile"></div></figure>'
    return table(head, rows, "cards") + f'<p class="note">{note}</p>' + chart


def _score_row(key: str, score: Report, against: Report | None, reach: float) -> str:
    low, high = score["low"], score["high"]
    label = "Agent" if key == "agent" else score["label"]
    versus = [DASH] * 4
    if against is not None:
        bounds = interval(against["low"], against["high"], "log", True)
        versus = [
            percent(against["improvement"], 0),
            f"{signed_log(against['difference'])} <small>{bounds}</small>",
            number(against["p"], 4),
            f"<b>{number(against['p_holm'], 4)}</b>",
        ]
    return (
        f'<tr><th scope="row">{escape(label)}</th>'
        + cell(signed_log(score["iqm"]), "IQM", "own" if key == "agent" else "")
        + cell(interval(low, high, "log", True), "Interval")
        + cell(track(score["iqm"], low, high, 0.0, domain=(-reach, reach)), "", "wide")
        + "".join(cell(text, name) for text, name in zip(versus, VERSUS, strict=True))
        + "</tr>"
    )


def _path_table(path: Sequence[Report]) -> str:
    rows = [
        f'<tr><th scope="row">Agent − {escape(row["label"])}</th>'
        + cell(signed_log(row["difference"]), "Difference")
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
            f"would on {percent(regimes['majority'], 0)}; averaged over the labels that is "
            f"{percent(regimes['balanced'], 0)} against {percent(1 / regimes['n_labels'], 0)}"
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
