"""The look-ahead audit: with another future, everything up to now must be as it was (DEFINITIONS §2).

Bars after a cut are replaced by noise at many cuts; a column that changes at or before the cut
has seen what came after it. The audit finds what leaks, it cannot prove that nothing does: a leak
that depends on rare events needs a cut beside one of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from regimegym.common.errors import DataError
from regimegym.features.alignment import close_times
from regimegym.features.bars import Bars
from regimegym.features.context import EMPTY, Context
from regimegym.features.noise import context_with_other_future, with_other_future

# Relative; sums of other numbers further on may be grouped otherwise, which is no look-ahead.
TOLERANCE = 1e-9
EARLY_SHARE = 0.25  # of the cuts, beside the first rows, where fillings of the warm-up show


class Column(NamedTuple):
    """One audited quantity.

    `values` (R, …) belong to the bar `rows` (R,) on whose close each is known; None: entry t to row t.
    Cuts before `first_cut` are passed over: a fitted quantity may depend on all of its training rows.
    """

    values: np.ndarray
    rows: np.ndarray | None = None
    first_cut: int = 0


Columns = Mapping[str, np.ndarray | Column]
Provider = Callable[[Bars, Context], Columns]


@dataclass(frozen=True)
class Leak:
    """A column that changed when only the future did.

    Attributes:
        column: its name.
        first_cut: earliest cut that shows it: every bar after this row was replaced.
        first_row: first row that changed then, ≤ first_cut.
        reach: bars that lie between the farthest changed row and the future it saw, at least; 1 is the next bar.
        change: largest absolute change over all cuts, infinite where a value came or went.
        n_cuts: cuts that show it.
    """

    column: str
    first_cut: int
    first_row: int
    reach: int
    change: float
    n_cuts: int


@dataclass(frozen=True)
class AuditReport:
    """What was audited, and what leaks, in the order of the columns."""

    columns: tuple[str, ...]
    cuts: tuple[int, ...]
    leaks: tuple[Leak, ...]
    n_bars: int

    @property
    def is_clean(self) -> bool:
        """Nothing changed before its cut."""
        return not self.leaks


def audit_look_ahead(
    compute: Callable[[Bars], Columns | np.ndarray], bars: Bars, cuts: Sequence[int], rng: np.random.Generator
) -> AuditReport:
    """Audit any function of bars.

    Args:
        compute: gives a mapping of names to (T, …) arrays, or one array; it must be a pure function.
        bars: T bars.
        cuts: rows 0 … T − 2; after each, in turn, the bars are replaced by noise.
        rng: draws the noise.

    Raises:
        DataError: `no-cuts` without a cut, `cut-outside`, `wrong-length` when a column is not as
            long as the bars, `not-repeatable` when a second call on the same bars gives other values.
    """

    def provider(bars: Bars, context: Context) -> Columns:
        return as_columns(compute(bars), getattr(compute, "__name__", "column"))

    return audit_providers([provider], bars, EMPTY, cuts, rng)


def audit_providers(
    providers: Sequence[Provider],
    bars: Bars,
    context: Context,
    cuts: Sequence[int],
    rng: np.random.Generator,
    on_cut: Callable[[int, int], None] | None = None,
) -> AuditReport:
    """Audit every column of every provider; `on_cut(n_done, n_cuts)` is told of the progress.

    Raises as `audit_look_ahead`.
    """
    _check_cuts(cuts, len(bars))
    truth = _all_columns(providers, bars, context)
    again = _all_columns(providers, bars, context)
    for name, column in truth.items():
        if _changes(column, again[name], len(bars)).any():
            raise DataError(
                "not-repeatable",
                f"'{name}' gives other values when it is computed a second time on the same bars",
                needed="a function of the bars alone: no global random numbers, no state",
            )
    audit = {name: _Findings() for name in truth}
    ordered = sorted({int(cut) for cut in cuts})
    clock = close_times(bars)
    for n_done, cut in enumerate(ordered, 1):
        noisy = with_other_future(bars, cut, rng)
        changed = _all_columns(providers, noisy, context_with_other_future(context, int(clock[cut]), rng))
        _check_same_columns(truth, changed)
        for name, column in truth.items():
            if cut >= column.first_cut:
                audit[name].add(cut, column, _changes(column, changed[name], cut))
        if on_cut is not None:
            on_cut(n_done, len(ordered))
    leaks = [found.leak(name) for name, found in audit.items() if found.n_cuts]
    return AuditReport(tuple(truth), tuple(ordered), tuple(leaks), len(bars))


def choose_cuts(n_bars: int, warm_up: int, n_cuts: int, rng: np.random.Generator) -> list[int]:
    """`n_cuts` rows (fewer on few bars), sorted: a quarter up to the warm-up, the rest drawn behind it."""
    last = n_bars - 2
    n_early = min(round(EARLY_SHARE * n_cuts), warm_up)
    early = np.unique(np.geomspace(1, max(warm_up, 1), n_early).astype(int)) if n_early else np.empty(0, int)
    later = np.arange(min(warm_up, last), last + 1)
    drawn = rng.choice(later, min(n_cuts - len(early), len(later)), replace=False)
    return sorted({*(cut for cut in early.tolist() if cut <= last), *drawn.tolist()})


def as_columns(result: object, name: str) -> dict[str, np.ndarray | Column]:
    """What a user's function returned – an array, a series, a frame, a mapping – as named columns."""
    if isinstance(result, Mapping):
        items = dict(result)
    elif hasattr(result, "columns") and hasattr(result, "to_numpy"):  # a frame
        items = {str(key): result[key].to_numpy() for key in result.columns}  # type: ignore[index]
    else:
        items = {name: result}
    return {str(key): value if isinstance(value, Column) else np.asarray(value) for key, value in items.items()}


class _Findings:
    """What the cuts so far have shown of one column."""

    def __init__(self) -> None:
        self.first_cut = self.first_row = -1
        self.reach, self.change, self.n_cuts = 0, 0.0, 0

    def add(self, cut: int, column: Column, changes: np.ndarray) -> None:
        """`changes` (R,) of the entries known by `cut`; the sizes of those beyond the tolerance, else 0."""
        changed = changes > 0.0
        if not changed.any():
            return
        row = int(_rows_of(column)[changed].min())
        if self.n_cuts == 0:
            self.first_cut, self.first_row = cut, row
        self.n_cuts += 1
        self.reach = max(self.reach, cut - row + 1)
        self.change = max(self.change, float(changes.max()))

    def leak(self, name: str) -> Leak:
        """The finding under the column's name."""
        return Leak(name, self.first_cut, self.first_row, self.reach, self.change, self.n_cuts)


def _all_columns(providers: Sequence[Provider], bars: Bars, context: Context) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for provider in providers:
        for name, value in provider(bars, context).items():
            column = value if isinstance(value, Column) else Column(value)
            n_rows = len(bars) if column.rows is None else len(column.rows)
            if len(column.values) != n_rows:
                raise DataError(
                    "wrong-length",
                    f"'{name}' has {len(column.values):,} values",
                    needed=f"{n_rows:,}, one per bar" if column.rows is None else f"{n_rows:,}, one per row",
                    help=("give NaN, not fewer values, where a window is not full",),
                )
            if column.values.dtype.kind not in "biuf":
                raise DataError("not-a-number", f"'{name}' holds {column.values.dtype}", needed="numbers")
            columns[name] = column
    return columns


def _check_same_columns(before: Mapping[str, Column], after: Mapping[str, Column]) -> None:
    for name in before.keys() | after.keys():
        if name not in before or name not in after or before[name].values.shape != after[name].values.shape:
            raise DataError(
                "other-columns",
                f"'{name}' is there, or has its shape, only as long as the future is the true one",
                needed="the same columns of the same shape, whatever the bars hold",
            )


def _rows_of(column: Column) -> np.ndarray:
    return np.arange(len(column.values)) if column.rows is None else column.rows


def _changes(before: Column, after: Column, cut: int) -> np.ndarray:
    """Size of the change (R,) of the entries known by `cut`; 0 within the tolerance, ∞ where a value came or went."""
    rows = _rows_of(before)
    a = np.asarray(before.values, np.float64).reshape(len(rows), -1)
    b = np.asarray(after.values, np.float64).reshape(len(rows), -1)
    known = np.isfinite(a)
    usual = np.abs(a[known]).mean() if known.any() else 0.0
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        size = np.abs(a - b)
    size[(np.isnan(a) != np.isnan(b)) | (np.isinf(a) != np.isinf(b))] = np.inf
    size[np.isnan(size)] = 0.0
    size[~(size > TOLERANCE * np.maximum(np.abs(np.nan_to_num(a)), usual))] = 0.0
    largest = size.max(axis=1) if size.shape[1] else np.zeros(len(rows))
    return np.where(rows <= cut, largest, 0.0)


def _check_cuts(cuts: Sequence[int], n_bars: int) -> None:
    if not len(cuts):
        raise DataError("no-cuts", "the audit has no cut", needed="one row at least")
    for cut in (min(cuts), max(cuts)):
        if not 0 <= cut <= n_bars - 2:
            raise DataError(
                "cut-outside",
                f"a cut after row {cut} leaves no future",
                needed=f"0 ≤ cut ≤ {n_bars - 2} of {n_bars:,} bars",
            )
