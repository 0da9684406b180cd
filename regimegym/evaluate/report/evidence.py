"""Statistics in the report: what is chance."""

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
    trials, timing, risk = content["trials"], content["timing"], content["risk"]
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
        *_seeds(report.get("seeds") or []),
        *_hindsight(report.get("hindsight") or {}),
        *_inputs(report.get("drift")),
    ]
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


def _seeds(found: Sequence[Report]) -> list[tuple[str, str]]:
    """The log return of every seed; the run that is shown is the median."""
    if len(found) < 2:
        return []
    each = ", ".join(f"{one['random_seed']}: {signed_log(one['log_return'])}" for one in found)
    return [("Seeds", f"Log return of every seed: {each}. Shown is the run with the median, never the best.")]


def _hindsight(found: Report) -> list[tuple[str, str]]:
    """What the best path over the same actions earned, and how much of it the agent has."""
    regret, share = found.get("regret"), found.get("captured_share")
    if not is_defined(regret):
        return []
    exact = "exactly" if found["is_exact"] else "approximately"
    text = (
        f"The best path over the agent's own actions, {exact}, earned {signed_log(regret)} in log return more "
        f"(regret); the agent has captured {percent(share, 1, True)} of it."
    )
    return [("Against hindsight", text)]


def _inputs(drift: Report | None) -> list[tuple[str, str]]:
    """Features that are distributed otherwise than in training."""
    if not drift:
        return []
    text = f"{drift['drifted']} of {plural(drift['n'], 'feature')} are distributed otherwise than in training"
    worst = ", ".join(f"{escape(row['name'])} {number(row['effect'])}" for row in drift["worst"])
    return [("Inputs", f"{text} (PSI with block bootstrap, Benjamini-Hochberg){': ' if worst else ''}{worst}.")]
