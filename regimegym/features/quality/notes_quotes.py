"""Notes on bid, ask and spread."""

import re

import numpy as np
import pandas as pd

from regimegym.features.quality.subject import Note, Subject

WIDE = 0.01  # of the price
TIMES_USUAL = 10.0  # the median of the PAST bars before
PAST, LEAST = 500, 50
ONE_SIDED = re.compile(r"(?<![a-z])(bid|ask)(?![a-z])", re.IGNORECASE)


def quote_notes(subject: Subject) -> list[Note]:
    """Everything odd about the quotes of `subject`."""
    columns = subject.columns
    notes = []
    if "bid" in columns and "ask" in columns:
        notes += _beside_the_quotes(subject, columns["bid"], columns["ask"])
    for name in ("spread_open", "spread_close"):
        if name in columns:
            notes += _spread_notes(subject, name, columns[name])
    side = ONE_SIDED.search(subject.origin.file)
    if side is not None and "spread_close" not in columns:
        sentence = f"the file's name says '{side[0]}': prices of one side, half a spread away from the middle"
        notes.append(Note("one-sided", sentence, np.empty(0, dtype=np.int64)))
    return notes


def _spread_notes(subject: Subject, name: str, spread: np.ndarray) -> list[Note]:
    share = spread / subject.columns["close"]
    usual = pd.Series(share).rolling(PAST, min_periods=LEAST).median().shift(1).to_numpy()
    notes = []
    rows = np.flatnonzero((share > WIDE) & (share > TIMES_USUAL * np.nan_to_num(usual)))
    if len(rows):
        sentence = f"{name} above {WIDE:.0%} of the price and ten times what was usual"
        notes.append(Note("wide-spread", sentence, rows, lambda i: f"{subject.time(i)}: {share[i]:.2%} of the price"))
    rows = np.flatnonzero(spread == 0)
    if len(rows) == len(spread):
        notes.append(Note("no-spread", f"{name} is zero everywhere: trading would cost nothing", rows[:0]))
    elif len(rows):
        sentence = f"{name} is zero: bid and ask met (locked quotes)"
        notes.append(Note("locked-quotes", sentence, rows, lambda i: f"{subject.time(i)}: no spread"))
    return notes


def _beside_the_quotes(subject: Subject, bid: np.ndarray, ask: np.ndarray) -> list[Note]:
    """Closes outside bid and ask by more than the spread: the quotes belong to another time or instrument."""
    close = subject.columns["close"]
    rows = np.flatnonzero((close > ask + (ask - bid)) | (close < bid - (ask - bid)))
    if not len(rows):
        return []

    def text(row: int) -> str:
        return f"{subject.time(row)}: close {close[row]:.10g}, bid {bid[row]:.10g}, ask {ask[row]:.10g}"

    return [Note("beside-the-quotes", "the close lies more than a spread outside bid and ask", rows, text)]
