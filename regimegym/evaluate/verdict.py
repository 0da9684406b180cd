"""The verdict: a stamp and three sentences by fixed rules, each of them a check that is shown.

Rules of the stamps, worst first:

- Look-ahead found: the audit found a column that changes with the future.
- Worse than doing nothing: the whole interval of the agent's log return lies below 0 (flat).
- Promising, not proven: the whole strict interval of the log return lies above 0, so does the
  whole strict interval of the paired difference to buy and hold, and the agent traded often enough.
- Better than the baselines: all of that, and the scenario test against buy and hold is significant after
  Holm, the deflated Sharpe ratio reaches its threshold, the agent ends above the best simple rule, survives
  twice the costs, and the look-ahead audit ran and found nothing.
- Not distinguishable: everything else.

The strict intervals have the verdict's own level (99 %), not the shown one (95 %): block bootstrap
intervals of dependent returns are too narrow. In simulations of traders without skill in a market
that falls fast (so that buy and hold is beaten by all of them) 95 % intervals were above 0 in
4 to 8 % of the cases, where 2.5 % are promised. With a dozen trades even 99 % intervals were
above 0 in 6 %: too few independent positions to resample, hence the least number of trades.

What was not measured (scenarios and audit need `evaluate … suite=…`) is an unknown check, and an unknown check
keeps the best stamp away.
"""

import math
from dataclasses import asdict, dataclass
from typing import Literal

from regimegym.common.checks import check_at_least, check_between, check_not_negative
from regimegym.evaluate.intervals import Interval

PROMISING = ("above_flat", "above_buy_and_hold", "enough_trades")  # the others make it "Better"
STAMPS = {
    "look_ahead": "Look-ahead found",
    "worse_than_nothing": "Worse than doing nothing",
    "not_distinguishable": "Not distinguishable",
    "promising": "Promising, not proven",
    "better": "Better than the baselines",
}
HUGE = 1e9  # per cent; from here on with an exponent


@dataclass(frozen=True)
class VerdictSettings:
    """Thresholds of the verdict.

    Args:
        level: coverage of the strict intervals, in [0.5, 0.999].
        least_trades: executed trades below which nothing is called promising.
        least_break_even: multiple of the assumed costs that the agent should survive.
        least_years: length of the part below which its shortness is named, years.
        scenario_p: p-value after Holm of the scenario test below which it is significant.
        least_deflated_sharpe: probability that the Sharpe ratio, deflated by the trials, is above 0.
    """

    level: float = 0.99
    least_trades: int = 30
    least_break_even: float = 2.0
    least_years: float = 1.0
    scenario_p: float = 0.05
    least_deflated_sharpe: float = 0.95

    def __post_init__(self) -> None:
        check_between("level", self.level, 0.5, 0.999)
        check_at_least("least_trades", self.least_trades, 0)
        check_not_negative("least_break_even", self.least_break_even)
        check_not_negative("least_years", self.least_years)
        check_between("scenario_p", self.scenario_p, 0.0, 1.0)
        check_between("least_deflated_sharpe", self.least_deflated_sharpe, 0.5, 1.0)


@dataclass(frozen=True)
class Evidence:
    """What the rules look at; log returns over the whole part, net of costs.

    Attributes:
        log_return: the agent's Σℓ with its interval, that is, its difference to flat.
        above_buy_and_hold: paired difference to buy and hold.
        strict_log_return, strict_above_buy_and_hold: the same with strict intervals.
        buy_and_hold_log_return: Σℓ of buy and hold.
        best_rule, above_best_rule: label of the best simple rule, and the paired difference to it.
        break_even: multiple of the costs at which the agent falls to flat; ∞ when it stays above at
            every multiple tried, NaN when it is below without costs.
        n_trades: executed trades of the agent.
        n_bars, years: length of the part.
        level: coverage of the intervals.
        terminated: the agent's account was liquidated.
        optimistic_fills: orders fill at the close at which they were decided.
        test_looks_before: looks at this part before this one, None where unknown.
        scenario_gap: mean difference to buy and hold over scenarios, with its interval; None where not measured.
        scenario_p: its p-value after Holm over the baselines. n_scenarios: how many.
        deflated_sharpe: probability that the true Sharpe ratio is above 0, given the trials; NaN where unknown.
        look_ahead: whether the audit found a column that knows the future; None where it did not run.
    """

    log_return: Interval
    above_buy_and_hold: Interval
    strict_log_return: Interval
    strict_above_buy_and_hold: Interval
    buy_and_hold_log_return: float
    best_rule: str
    above_best_rule: Interval
    break_even: float
    n_trades: int
    n_bars: int
    years: float
    level: float = 0.95
    terminated: bool = False
    optimistic_fills: bool = False
    test_looks_before: int | None = None
    scenario_gap: Interval | None = None
    scenario_p: float = math.nan
    n_scenarios: int = 0
    deflated_sharpe: float = math.nan
    look_ahead: bool | None = None


@dataclass(frozen=True)
class Check:
    """One rule with the value that was found; `ok` is None where it was not measured."""

    key: str
    text: str
    state: Literal["yes", "no", "unknown"]
    ok: bool | None
    value: float
    low: float
    high: float
    threshold: float
    unit: Literal["log", "ratio", "multiple", "count", "share"]


@dataclass(frozen=True)
class Verdict:
    """Key of the stamp, the three sentences (question, text), and every check."""

    stamp_key: str
    sentences: tuple[tuple[str, str], ...]
    checks: tuple[Check, ...]

    def to_dict(self) -> dict:
        """The `verdict` of report.json; NaN is left for the caller to clean."""
        return {
            "stamp": STAMPS[self.stamp_key],
            "stamp_key": self.stamp_key,
            "stamps": list(STAMPS.values()),
            "sentences": [{"question": question, "text": text} for question, text in self.sentences],
            "checks": [asdict(check) for check in self.checks],
        }


def judge(evidence: Evidence, settings: VerdictSettings) -> Verdict:
    """The verdict on `evidence`."""
    checks = _checks(evidence, settings)
    stamp_key = choose_stamp(evidence, settings)
    sentences = (
        ("How much?", how_much(evidence)),
        ("Is it skill?", is_it_skill(evidence, settings)),
        ("What speaks against it?", what_speaks_against(evidence, settings)),
    )
    return Verdict(stamp_key, sentences, checks)


def choose_stamp(evidence: Evidence, settings: VerdictSettings) -> str:
    """Key of the stamp, by the rules at the head of this module."""
    if evidence.look_ahead:
        return "look_ahead"
    if evidence.log_return.high < 0.0:
        return "worse_than_nothing"
    states = {check.key: check.state for check in _checks(evidence, settings)}
    if any(states[key] != "yes" for key in PROMISING):
        return "not_distinguishable"
    return "better" if set(states.values()) == {"yes"} else "promising"


def _checks(evidence: Evidence, settings: VerdictSettings) -> tuple[Check, ...]:
    nan = float("nan")
    strict = f"{100 * settings.level:g} %"
    beats_rule = f"the agent ends above the best simple rule ({evidence.best_rule})"
    survives = f"the agent stays above flat at {settings.least_break_even:g} times the assumed costs"
    measured = (
        _interval_check(
            "above_flat", f"the {strict} interval of the log return lies above 0", evidence.strict_log_return
        ),
        _interval_check(
            "above_buy_and_hold",
            f"the {strict} interval of the difference to buy and hold lies above 0",
            evidence.strict_above_buy_and_hold,
        ),
        _check("above_best_rule", beats_rule, evidence.above_best_rule.value > 0.0,
               evidence.above_best_rule, 0.0, "log"),
        _check("break_even", survives, evidence.break_even >= settings.least_break_even,
               Interval(evidence.break_even, nan, nan), settings.least_break_even, "multiple"),
        _check("enough_trades", f"the agent made at least {settings.least_trades} trades",
               evidence.n_trades >= settings.least_trades,
               Interval(float(evidence.n_trades), nan, nan), float(settings.least_trades), "count"),
    )  # fmt: skip
    return (*measured, _scenario_check(evidence, settings), _deflated_check(evidence, settings), _audit_check(evidence))


def _scenario_check(evidence: Evidence, settings: VerdictSettings) -> Check:
    text = "over scenarios the agent is above buy and hold, significantly after Holm"
    if evidence.scenario_gap is None:
        return _unknown("scenario_test", text)
    return _check("scenario_test", text, _is_above(evidence, settings), evidence.scenario_gap, 0.0, "log")


def _is_above(evidence: Evidence, settings: VerdictSettings) -> bool:
    gap = evidence.scenario_gap
    return gap is not None and gap.value > 0.0 and evidence.scenario_p < settings.scenario_p


def _over_scenarios(evidence: Evidence, settings: VerdictSettings) -> str:
    """What the scenario test objects, where the agent is not above buy and hold."""
    gap = evidence.scenario_gap
    behind = gap is not None and gap.value < 0.0 and evidence.scenario_p < settings.scenario_p
    text = "clearly behind" if behind else "not clearly above"
    return f"over {evidence.n_scenarios} scenarios it is {text} buy and hold (p = {evidence.scenario_p:.2g} after Holm)"


def _deflated_check(evidence: Evidence, settings: VerdictSettings) -> Check:
    text = "the Sharpe ratio survives deflation by the number of trials"
    if math.isnan(evidence.deflated_sharpe):
        return _unknown("deflated_sharpe", text)
    found = Interval(evidence.deflated_sharpe, math.nan, math.nan)
    least = settings.least_deflated_sharpe
    return _check("deflated_sharpe", text, evidence.deflated_sharpe >= least, found, least, "ratio")


def _audit_check(evidence: Evidence) -> Check:
    text = "the look-ahead audit found nothing"
    if evidence.look_ahead is None:
        return _unknown("no_look_ahead", text)
    nothing = Interval(math.nan, math.nan, math.nan)
    return _check("no_look_ahead", text, not evidence.look_ahead, nothing, math.nan, "count")


def _unknown(key: str, text: str) -> Check:
    return Check(key, text, "unknown", None, math.nan, math.nan, math.nan, math.nan, "ratio")


def _interval_check(key: str, text: str, interval: Interval) -> Check:
    return _check(key, text, interval.low > 0.0, interval, 0.0, "log")


def _check(
    key: str,
    text: str,
    ok: bool,
    interval: Interval,
    threshold: float,
    unit: Literal["log", "ratio", "multiple", "count", "share"],
) -> Check:
    return Check(key, text, "yes" if ok else "no", bool(ok), *interval, threshold, unit)


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction as signed text: +3.1 %, −12.0 %, – where undefined."""
    if not math.isfinite(fraction):
        return "–"
    shown = round(100.0 * fraction, digits)
    sign = "+" if shown > 0 else "−" if shown < 0 else ""
    if abs(shown) >= HUGE:
        return f"{sign}{abs(shown):.1e} %"
    return f"{sign}{abs(shown):,.{digits}f} %"


def as_return(log_return: float) -> float:
    """Total return, a fraction, of a log return; NaN beyond float range."""
    return math.expm1(log_return) if log_return < 700.0 else float("nan")


def _interval_words(interval: Interval, level: float) -> str:
    low, high = percent(as_return(interval.low)), percent(as_return(interval.high))
    return f"{100 * level:g} % interval {low} to {high}"


def how_much(evidence: Evidence) -> str:
    """First sentence: the result, its interval, its baseline and n."""
    agent = percent(as_return(evidence.log_return.value))
    held = percent(as_return(evidence.buy_and_hold_log_return))
    return (
        f"After costs the agent returned {agent} in {evidence.n_bars:,} bars ({evidence.years:.2f} years; "
        f"{_interval_words(evidence.log_return, evidence.level)}); buy and hold returned {held}."
    )


def is_it_skill(evidence: Evidence, settings: VerdictSettings) -> str:
    """Second sentence: what the interval against flat and the paired one against buy and hold say."""
    if evidence.n_trades == 0:
        return "The agent made no trade, so there is nothing to judge."
    stamp_key = choose_stamp(evidence, settings)
    gap = evidence.above_buy_and_hold
    bounds = f"{100 * evidence.level:g} % interval {_log(gap.low)} to {_log(gap.high)}"
    difference = f"{_log(gap.value)} in log return ({bounds})"
    if stamp_key == "look_ahead":
        return (
            "It cannot be judged: the look-ahead audit found inputs that know the future, so every figure here is void."
        )
    if stamp_key == "worse_than_nothing":
        return (
            "No: the whole interval lies below zero, so not trading would have been better; "
            f"the difference to buy and hold is {difference}."
        )
    if stamp_key == "promising":
        return (
            f"It looks like it on this path: the difference to buy and hold is {difference}, and both it "
            f"and the gain over not trading exclude zero even at {100 * settings.level:g} %; "
            "one path proves nothing yet."
        )
    if stamp_key == "better":
        return (
            f"It looks like it: the difference to buy and hold is {difference}, over {evidence.n_scenarios} "
            f"scenarios it is "
            f"{_log(evidence.scenario_gap.value if evidence.scenario_gap else math.nan)} on average (p = "
            f"{evidence.scenario_p:.3f} after Holm), and the Sharpe ratio survives the number of trials."
        )
    if gap.high < 0.0:
        return f"Not shown: the agent is clearly behind buy and hold, by {difference}."
    if gap.low > 0.0 and evidence.log_return.low <= 0.0:
        return f"Not shown: the agent is ahead of buy and hold by {difference}, but it cannot be told from not trading."
    if gap.low > 0.0 and evidence.n_trades < settings.least_trades:
        return (
            f"Not shown: the agent is ahead of buy and hold by {difference}, "
            f"but with {evidence.n_trades} trades that can be luck."
        )
    if gap.low > 0.0:
        return (
            f"Not shown: the agent is ahead of buy and hold by {difference}, "
            f"but not clearly enough for the {100 * settings.level:g} % that a verdict asks for."
        )
    return f"Not shown: the difference to buy and hold is {difference}, which includes zero."


def _log(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{'−' if round(value, 3) < 0 else '+' if round(value, 3) > 0 else ''}{abs(value):.3f}"


def what_speaks_against(evidence: Evidence, settings: VerdictSettings) -> str:
    """Third sentence, never empty: the objections that hold, the gravest first."""
    found = [text for holds, text in _objections(evidence, settings) if holds]
    missing = [
        name
        for name, known in (
            ("scenarios", evidence.scenario_gap is not None),
            ("deflated Sharpe ratio", not math.isnan(evidence.deflated_sharpe)),
            ("look-ahead audit", evidence.look_ahead is not None),
        )
        if not known
    ]
    text = "; ".join([*found, "one path of one market"])
    if missing:
        text += f"; not measured: {', '.join(missing)}"
    return f"{text[0].upper()}{text[1:]}."


def _objections(evidence: Evidence, settings: VerdictSettings) -> list[tuple[bool, str]]:
    looks = evidence.test_looks_before or 0
    even = evidence.break_even
    times = "time" if looks == 1 else "times"
    rule_gap = evidence.above_best_rule.value
    return [
        (evidence.look_ahead is True, "inputs know the future"),
        (evidence.terminated, "the account was liquidated"),
        (math.isnan(even) and evidence.n_trades > 0, "the agent loses even without costs"),
        (
            even < settings.least_break_even,
            f"the gain is gone at {even:.1f} times the assumed costs",
        ),
        (
            rule_gap < 0.0,
            f"a simple rule ({evidence.best_rule}) ended higher by {_log(-rule_gap)} in log return",
        ),
        (evidence.scenario_gap is not None and not _is_above(evidence, settings), _over_scenarios(evidence, settings)),
        (
            evidence.deflated_sharpe < settings.least_deflated_sharpe,
            f"given the trials, the Sharpe ratio is above zero with a probability of {evidence.deflated_sharpe:.2f}",
        ),
        (evidence.n_trades < settings.least_trades, f"only {evidence.n_trades} trades were made"),
        (evidence.years < settings.least_years, f"{evidence.years:.2f} years are short"),
        (evidence.optimistic_fills, "fills at the close that was decided on are optimistic"),
        (looks > 0, f"this part was looked at {looks} {times} before"),
    ]
