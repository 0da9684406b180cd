"""Headings that state the finding, each from report.json by a small fixed rule."""

from regimegym.evaluate.report.numbers import is_defined, number, percent, plural
from regimegym.evaluate.report.reading import (
    Report,
    agent_of,
    buy_and_hold_of,
    difference_of,
    display_name,
    metric,
)

LEVEL_WITHIN = 0.0005  # returns nearer than 0.05 points print alike, and are called level
SAME_EXPOSURE_WITHIN = 0.10  # share of equity

IN_REGIMES = {
    "UPTREND": "uptrends",
    "DOWNTREND": "downtrends",
    "PLATEAU": "plateaus",
    "OSCILLATING": "oscillating markets",
}

# Upper bound of drawdown ratio (agent / buy and hold) → words.
DRAWDOWN_WORDS = (
    (0.05, "hardly any drawdown"),
    (0.22, "less than a quarter of its drawdown"),
    (0.29, "a quarter of its drawdown"),
    (0.41, "a third of its drawdown"),
    (0.58, "half its drawdown"),
    (0.71, "two thirds of its drawdown"),
    (0.88, "a smaller drawdown"),
    (1.12, "the same drawdown"),
    (1.40, "a larger drawdown"),
    (1.75, "one and a half times its drawdown"),
    (2.50, "twice its drawdown"),
)


def drawdown_words(agent: float | None, baseline: float | None) -> str:
    """The agent's worst drawdown in words, relative to the baseline's; "" when undefined."""
    if agent is None or baseline is None or not baseline > 0:
        return ""
    ratio = agent / baseline
    many = f"{ratio:.0f} times its drawdown"
    return next((words for bound, words in DRAWDOWN_WORDS if ratio < bound), many)


def equity_heading(report: Report) -> str:
    """Distance to buy and hold in points of return, its drawdown, and whether it may be chance."""
    agent, baseline = agent_of(report), buy_and_hold_of(report)
    own, other = metric(agent, "total_return"), metric(baseline, "total_return")
    if own is None or other is None:
        return "The return is undefined"
    gap = own - other
    if abs(gap) < LEVEL_WITHIN:
        text = "Level with buy and hold"
    else:
        text = f"{points(gap)} {'ahead of' if gap > 0 else 'behind'} buy and hold"
    words = drawdown_words(metric(agent, "max_drawdown"), metric(baseline, "max_drawdown"))
    text += f", with {words}" if words else ""
    paired = difference_of(report, "log_return")
    may_be_chance = paired is not None and paired["includes_zero"]
    return f"{text}; the gap may be chance" if may_be_chance and abs(gap) >= LEVEL_WITHIN else text


def points(gap: float) -> str:
    """Distance of two returns in points: 4.9 points, 26 points."""
    size = abs(gap) * 100
    return f"{number(size, 1 if size < 10 else 0)} points"


def exposure_heading(report: Report) -> str:
    """Where the agent is invested most and least, and how often it trades."""
    total = report["fills"]["total"]
    if not total:
        return "The agent never traded"
    trades = plural(total, "trade")
    known = [
        (row["agent"]["mean_exposure"], IN_REGIMES[row["key"]])
        for row in report["per_regime"]
        if row["n"] and is_defined(row["agent"]["mean_exposure"])
    ]
    if len(known) < 2:
        return trades
    (low, least), (high, most) = min(known), max(known)
    if high - low < SAME_EXPOSURE_WITHIN:
        span = f"{percent(low, 0)} to {percent(high, 0)}"
        return f"{trades}, and nearly the same exposure in every regime ({span})"
    return f"Most invested in {most} ({percent(high, 0)}), least in {least} ({percent(low, 0)}); {trades}"


def regime_heading(report: Report) -> str:
    """In which regimes the agent gains and loses most against buy and hold (log return)."""
    known = [
        (row["difference"]["log_return"], IN_REGIMES[row["key"]])
        for row in report["per_regime"]
        if row["n"] and is_defined(row["difference"]["log_return"])
    ]
    if not known:
        return "No regime has enough bars"
    (worst, lost_in), (best, gained_in) = min(known), max(known)
    if worst >= 0:
        return f"Not behind buy and hold in any regime, most ahead in {gained_in} ({number(best, 2, True)})"
    if best <= 0:
        return f"Not ahead of buy and hold in any regime, most behind in {lost_in} ({number(worst, 2, True)})"
    return (
        f"Against buy and hold it gains most in {gained_in} ({number(best, 2, True)}) "
        f"and loses most in {lost_in} ({number(worst, 2, True)})"
    )


def metrics_heading(report: Report) -> str:
    """The agent's place among all policies by Sharpe ratio."""
    own = metric(agent_of(report), "sharpe_ratio")
    if own is None:
        return "The agent's Sharpe ratio is undefined"
    others = [
        (value, display_name(policy))
        for policy in report["policies"]
        if policy["kind"] not in ("agent", "ceiling") and (value := metric(policy, "sharpe_ratio")) is not None
    ]
    above = sorted(((value, name) for value, name in others if value > own), reverse=True)
    if not others:
        return f"Sharpe ratio {number(own)}, with no baseline to compare"
    if not above:
        value, name = max(others)
        return f"Sharpe ratio {number(own)}, above every baseline; the next is {name} with {number(value)}"
    value, name = above[0]
    some = f"{len(above)} of" if len(above) < len(others) else "all"
    count = f"{some} {plural(len(others), 'baseline')}"
    return f"Sharpe ratio {number(own)}, below {count}; the best is {name} with {number(value)}"


def cost_heading(report: Report) -> str:
    """At which cost per trade the profit is gone."""
    curve = report["cost_curve"]
    one_way, multiple = curve["one_way"], curve["break_even_flat"]
    if not one_way:
        return "No costs were assumed, so nothing is known about them"
    if is_defined(multiple):
        at = f"at {percent(one_way * multiple, 2)} per trade, {number(multiple, 1)} × what was assumed"
        return f"The profit is gone {at}" if multiple >= 1 else f"Costs ate the profit: it breaks even {at}"
    returns = [value for value in curve["agent_log_return"] if is_defined(value)]
    if not returns:
        return "The cost curve is undefined"
    if all(value == 0 for value in returns):
        return "No trade, no costs: the curve is flat"
    if returns[0] <= 0:
        least = curve["multiples"][0]
        return f"It loses even at {number(least, 1)} × the assumed costs" if least else "It loses even without costs"
    return f"Still above doing nothing at {number(curve['multiples'][-1], 0)} × the assumed costs"


def weakness_heading(report: Report) -> str:
    """Fall of the Sharpe ratio from validation to test, and the number of warnings and weak points."""
    warnings = plural(len(report["warnings"]), "warning") if report["warnings"] else "no warning"
    weak = sum(one["is_weak"] for one in report.get("weaknesses") or ())
    warnings += f", {plural(weak, 'weak point')}" if weak else ""
    shrinkage = report.get("shrinkage") or {}
    before, after = shrinkage.get("validation_sharpe"), shrinkage.get("test_sharpe")
    if not (is_defined(before) and is_defined(after)):
        record = f"a record of {number(report['facts']['years'])} years"
        return f"{warnings[:1].upper()}{warnings[1:]}, and {record}"
    first, last = number(before), number(after)
    if after < before:
        return f"The Sharpe ratio fell from {first} on validation to {last} on test; {warnings}"
    return f"The Sharpe ratio held from validation ({first}) to test ({last}); {warnings}"
