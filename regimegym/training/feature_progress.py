"""What is being computed, where features take more than a moment: one line that changes, terminals only."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from regimegym.features.cache import LEAST_CELLS
from regimegym.features.pipeline import OnColumn


@contextmanager
def feature_progress(symbol: str, n_cells: int, console: Console | None = None) -> Iterator[OnColumn | None]:
    """A listener for `prepare_market`; None where the table of `n_cells` numbers is small, or nobody looks."""
    console = Console(stderr=True, highlight=False) if console is None else console
    if n_cells < LEAST_CELLS or not console.is_terminal:
        yield None
        return
    with console.status(f"features of {symbol}") as status:
        yield lambda done, total, name: status.update(f"features of {symbol}: {done + 1} of {total}, {name}")
