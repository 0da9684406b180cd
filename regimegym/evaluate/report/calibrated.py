"""Calibration in the report: whether what the model states comes true, and the layers fitted behind it."""

from html import escape

from regimegym.evaluate.report.numbers import is_defined, number, percent
from regimegym.evaluate.report.reading import Report, by_regime_of
from regimegym.evaluate.report.sections import section, signed_log
from regimegym.evaluate.report.tables import cell, table


def calibration_section(report: Report) -> str:
    """Values against what followed and the detector against its labels; nothing where neither is stated."""
    content, others = report.get("calibration"), [*_layers(report.get("decision")), *_checks(report.get("checks"))]
    if not content:
        how = "The model states neither values nor regimes here; what else was measured of it is shown."
        return section("calibration", "Calibration", "Beside the values", how, *others) if others else ""
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
        rows = [_regime_row(name, one) for name, one in by_regime_of(content).items()]
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
    return section("calibration", "Calibration", calibration_heading(content), how, *parts, *others)


def _checks(checks: Report | None) -> list[str]:
    """Regimes against the truth of worlds, and decisions under shocked features."""
    if not checks:
        return []
    return [text for text in (_detection(checks["detection"]), _shocks(checks["shocks"])) if text]


def _detection(found: list[Report]) -> str:
    rows = [
        f'<tr><th scope="row">{escape(one["world"])}<small>{escape(one["who"])}</small></th>'
        + cell(number(one["n"], 0), "Bars")
        + cell(number(one["adjusted_rand"]), "Adjusted Rand")
        + cell(f"<b>{percent(one['accuracy'], 0)}</b>", "Best naming")
        + cell(percent(one["plain_accuracy"], 0), "Same name")
        + cell(number(one["median_delay"], 0), "Delay, bars")
        + cell(percent(one["missed"], 0), "Never found")
        + "</tr>"
        for one in found
    ]
    head = ["Regimes where the truth is planted", "Bars", "Adjusted Rand", "Right under the best naming",
            "Same name", "Median delay, bars", "Changes never found"]  # fmt: skip
    return table(head, rows, "cards") if rows else ""


def _shocks(found: list[Report]) -> str:
    rows = [
        f'<tr><th scope="row">{escape(one["name"])}</th>'
        + cell(percent(one["changed"], 0), "Other decisions")
        + cell(number(one["score_change"]), "Change of the scores")
        + cell("yes" if one["finite"] else "<b>no</b>", "Numbers")
        + "</tr>"
        for one in found
    ]
    head = ["Inputs shocked", "Other decisions", "Change of the scores, in their sd", "All scores are numbers"]
    return table(head, rows, "cards") if rows else ""


def _layers(layers: Report | None) -> list[str]:
    """Threshold curve and error of the confidence, as fitted on validation and as repeated on test."""
    if not layers or "validation" not in layers["parts"]:
        return []
    found = [_thresholds(layers), _confidence(layers)]
    return [text for text in found if text]


def _thresholds(layers: Report) -> str:
    curves = {part: one["thresholds"] for part, one in layers["parts"].items() if one["thresholds"]}
    if "validation" not in curves:
        return ""
    chosen = layers["fitted"]["base"]
    rows = [
        f'<tr{" class=here" if row["threshold"] == chosen else ""}><th scope="row">{number(row["threshold"], 2)}'
        f"{' <span class=mut>chosen</span>' if row['threshold'] == chosen else ''}</th>"
        + "".join(
            cell(signed_log(curve[k]["log_return"]), part.capitalize()) + cell(number(curve[k]["trades"], 0), "Trades")
            for part, curve in curves.items()
        )
        + "</tr>"
        for k, row in enumerate(curves["validation"])
    ]
    head = ["Threshold", *(name for part in curves for name in (f"{part.capitalize()}, log return", "Trades"))]
    return (
        table(head, rows, "cards") + '<p class="note">The threshold was chosen on validation alone; the test part '
        "repeats it and shows what the others would have given.</p>"
    )


def _confidence(layers: Report) -> str:
    rows = [
        f'<tr><th scope="row">{escape(part.capitalize())}</th>'
        + cell(number(one["calibration"]["decisions"], 0), "Decisions")
        + cell(percent(one["calibration"]["share_paid"], 0), "Paid")
        + cell(number(one["calibration"]["error_before"], 3), "Error before")
        + cell(number(one["calibration"]["error_after"], 3), "Error after")
        + "</tr>"
        for part, one in layers["parts"].items()
        if one["calibration"]
    ]
    head = ["Confidence of decisions", "Decisions", "Paid after costs", "Calibration error before", "after the map"]
    return table(head, rows, "cards") if rows else ""


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
            f"would on {percent(regimes['majority'], 0)}"
        )
        if is_defined(regimes.get("balanced")):  # reports before it was measured are shown too
            said[-1] += (
                f"; averaged over the labels that is {percent(regimes['balanced'], 0)} against "
                f"{percent(1 / regimes['n_labels'], 0)}"
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
