"""What `regime-gym fit` says: one table of all predictors, pairs tested, states of hidden Markov models."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from regimegym.features.splits import folds_table
from regimegym.supervised.comparison import (
    HIGHER_IS_BETTER,
    CrossValidation,
    Interval,
    comparison_table,
    precision_words,
)
from regimegym.supervised.importance_shift import Shift
from regimegym.training.explanations import Explanation
from regimegym.training.fit_states import StateReport
from regimegym.training.fitting import OUT_OF_FOLD, VALIDATION, Fit, Pair
from regimegym.training.formatting import UNDEFINED, number, percent

PAIR_WORDS = {"log_loss": "log loss", "mse": "mean squared error"}
SCORE_WORDS = {"auc": "AUC", "accuracy": "accuracy", "log_loss": "log loss", "brier": "Brier", "mse": "MSE", "r2": "R²"}


def terminal_lines(fits: Sequence[Fit], pairs: Sequence[Pair]) -> Iterator[str]:
    """The table of each part and target, and the paired tests under it."""
    for part, target, known in _tables(fits):
        yield ""
        title = {OUT_OF_FOLD: "training rows, out of fold", VALIDATION: "validation, by the last models"}[part]
        yield f"{title}{_of(target)}"
        yield from comparison_table([fit.scores[part] for fit in known])
        yield from _pair_lines(_pairs_of(pairs, part, known))


def fold_lines(fits: Sequence[Fit]) -> Iterator[str]:
    """How the training rows of each target were cut into forward folds, with dates."""
    cut = {fit.data.target: fit.found.fitted.folds for fit in fits}
    for target, folds in cut.items():
        yield f"forward folds of the training rows{_of(target if len(cut) > 1 else '')}"
        yield from folds_table(folds)


def _tables(fits: Sequence[Fit]) -> Iterator[tuple[str, str, list[Fit]]]:
    """Part, target – empty where there is one only – and the scored predictors that learn it."""
    targets = list(dict.fromkeys(fit.data.target for fit in fits))
    for part in (OUT_OF_FOLD, VALIDATION):
        for target in targets:
            known = [fit for fit in fits if fit.scores and fit.data.target == target]
            yield part, target if len(targets) > 1 else "", known


def _of(target: str) -> str:
    return f" (target {target})" if target else ""


def _pairs_of(pairs: Sequence[Pair], part: str, known: Sequence[Fit]) -> list[Pair]:
    names = {fit.name for fit in known}
    return [pair for pair in pairs if pair.part == part and pair.a in names]


def _pair_lines(pairs: Sequence[Pair]) -> Iterator[str]:
    if not pairs:
        return
    yield f"pairs: difference in {PAIR_WORDS[pairs[0].score]} (below 0 the first is better), p after Holm"
    width = max(len(f"{pair.a} − {pair.b}") for pair in pairs)
    for pair in pairs:
        yield f"  {f'{pair.a} − {pair.b}':<{width}}  {_signed(pair.difference)}  p {number(pair.p_holm, 3)}"


def shift_lines(explanations: Mapping[str, Explanation]) -> Iterator[str]:
    """What each predictor's features were worth before and behind a change, where one is sure."""
    for name, why in explanations.items():
        if why.shifts is None:
            continue
        sure = [shift for shift in why.shifts if shift.is_sure]
        if not sure:
            yield f"{name}: no feature's importance has shifted over the training rows"
        for shift in sure:
            yield f"{name}: {_shift_words(shift)}"


def _shift_words(shift: Shift) -> str:
    digits = max(4, *(_digits(value) for value in (shift.before, shift.after)))
    way = "fell" if shift.after < shift.before else "rose"
    worth = f"{number(shift.before, digits)} to {number(shift.after, digits)}"
    day = f"{np.datetime64(shift.since, 'ns')!s:.10}"
    return f"importance of {', '.join(shift.names)} {way} from {worth} about {day} (p {number(shift.p, 3)})"


def comparison_page(fits: Sequence[Fit], pairs: Sequence[Pair], explanations: Mapping[str, Explanation]) -> str:
    """The same as Markdown."""
    lines = ["# Predictors side by side", ""]
    titles = {OUT_OF_FOLD: "Training rows, out of fold", VALIDATION: "Validation, by the last models"}
    for part, target, fitted in _tables(fits):
        known = [fit.scores[part] for fit in fitted]
        names = [name for name in HIGHER_IS_BETTER if name in known[0].intervals]
        last = "precision (coverage)" if known[0].classes else "right sign"
        head = ["predictor", "rows", *(SCORE_WORDS[name] for name in names), last]
        lines += [f"## {titles[part]}{_of(target)}", "", *_table(head, [_cells(one, names) for one in known]), ""]
        chosen = _pairs_of(pairs, part, fitted)
        rows = [
            [f"{pair.a} − {pair.b}", _signed(pair.difference), number(pair.p, 3), number(pair.p_holm, 3)]
            for pair in chosen
        ]
        if rows:
            difference = f"difference in {PAIR_WORDS[chosen[0].score]} (below 0: the first is better)"
            lines += [*_table(["pair", difference, "p", "p after Holm"], rows), ""]
    lines += ["## Folds", "", *(f"    {line}" for line in fold_lines(fits)), ""]
    shifts = list(shift_lines(explanations))
    if shifts:
        lines += ["## Shifts of importance", "", *(f"- {line}" for line in shifts), ""]
    lines.append("Intervals and p-values come from a block bootstrap of the rows. Test was not opened.")
    return "\n".join(lines) + "\n"


def states_page(report: StateReport) -> str:
    """States of a hidden Markov model on validation as Markdown."""
    rows = [
        [
            row.name,
            percent(row.share),
            percent(row.mean_return, 4, signed=True),
            percent(row.volatility, 3),
            number(row.bars_expected, 1),
            number(row.bars_seen, 1),
        ]
        for row in report.rows
    ]
    head = ["state", "share of bars", "mean return of the next bar", "its deviation", "bars expected", "bars seen"]
    moves = [[name, *(number(p, 3) for p in row)] for name, row in zip(report.names, report.transition, strict=True)]
    text = [
        f"# States of {report.predictor} on validation",
        "",
        *_table(head, rows),
        "",
        "Bars expected of a visit come from the transition matrix, bars seen from the filtered sequence.",
        "",
        *_table(["from \\ to", *report.names], moves),
        "",
        _agreement_words(report),
    ]
    return "\n".join(text) + "\n"


def _agreement_words(report: StateReport) -> str:
    share, ari = percent(report.agreement["accuracy"]), number(report.agreement["ari"], 2)
    return f"The rule of conf/regime says the same on {share} of the bars (best matching; adjusted Rand index {ari})."


def _cells(found: CrossValidation, names: Sequence[str]) -> list[str]:
    scores = [_with_interval(found.intervals[name]) for name in names]
    last = precision_words(found) if found.classes else percent(found.scores["direction"])
    return [found.name, f"{len(found.rows):,}", *scores, last]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _digits(value: float) -> int:
    return 3 if not value or abs(value) >= 0.1 else min(9, 3 - int(np.floor(np.log10(abs(value)))))


def _with_interval(found: Interval) -> str:
    if not np.isfinite(found.value):
        return UNDEFINED
    digits = _digits(found.value)
    return f"{number(found.value, digits)} ({number(found.low, digits)} … {number(found.high, digits)})"


def _signed(found: Interval) -> str:
    digits = max(4, _digits(found.value) if np.isfinite(found.value) else 4)
    low, high = (number(value, digits, signed=True) for value in (found.low, found.high))
    return f"{number(found.value, digits, signed=True)} ({low} … {high})"
