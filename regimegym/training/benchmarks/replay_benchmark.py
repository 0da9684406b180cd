"""The replay benchmark: cycles, bytes and a checkpoint, side by side with other buffers in one run."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from regimegym.training.benchmarks.env_benchmark import FORMAT, NOT_INSTALLED
from regimegym.training.benchmarks.harness import Rate, Run, measure
from regimegym.training.benchmarks.machine import describe_machine
from regimegym.training.benchmarks.market import Sizes
from regimegym.training.benchmarks.record import described
from regimegym.training.benchmarks.replay import (
    BATCH,
    CPPRB,
    LARGE,
    OURS,
    SB3,
    SMALL,
    Held,
    cpprb_bytes,
    measure_held,
    replay_peer_version,
    sb3_bytes,
)
from regimegym.training.benchmarks.target import Target
from regimegym.training.benchmarks.worker import Worker, WorkerError
from regimegym.training.formatting import UNDEFINED, count, decimals, number, size

WIDTH = 80
PEERS = (CPPRB, SB3)
CASES = {OURS: (SMALL, LARGE), CPPRB: (SMALL, LARGE), SB3: (SMALL,)}
VERDICTS = {True: "pass", False: "MISS", None: ""}


@dataclass(frozen=True)
class ReplayRow:
    """One line of the table.

    Attributes:
        name: what was measured.
        unit: `cycles/s` per CPU-second, `bytes`, or `s`.
        ours, cpprb, sb3: figures; None where there is none.
        ratio: ours over the one it is compared with, turned so that more is better; None without.
        target: of the ratio, or of `ours` where there is none; None for a row that only informs.
    """

    name: str
    unit: str
    ours: float
    cpprb: float | None = None
    sb3: float | None = None
    ratio: float | None = None
    target: Target | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one, or while the peer it needs is missing."""
        if self.target is None or (self.ratio is None and self.unit == "cycles/s"):
            return None
        return self.target.is_met(self.ours if self.ratio is None else self.ratio)


@dataclass(frozen=True)
class ReplayBenchmark:
    """What one run measured: when, how, each peer's version or why it is missing, rates, rows."""

    started: datetime
    repeats: int
    seconds: float
    sizes: Sizes
    peers: dict[str, str]
    rates: dict[tuple[str, int], Rate]
    rows: list[ReplayRow]

    def to_json(self) -> dict[str, Any]:
        """The whole record: rows with their verdicts, all rates, versions, machine."""
        return described("replay", FORMAT, self.started) | {
            "repeats": self.repeats,
            "seconds": self.seconds,
            "sizes": asdict(self.sizes),
            "peers": self.peers,
            "rates": [{"who": who, "held": n} | rate._asdict() for (who, n), rate in self.rates.items()],
            "rows": [asdict(row) | {"met": row.is_met} for row in self.rows],
        }


def benchmark_replay(
    repeats: int, seconds: float, sizes: Sizes | None = None, on_progress: Callable[[str], None] = lambda _: None
) -> ReplayBenchmark:
    """Measure our replay buffer, and the others that are installed; arguments as benchmark_envs.

    The large case of cpprb holds five gigabytes of windows.
    """
    sizes = Sizes() if sizes is None else sizes
    started = datetime.now(UTC)
    peers = {peer: replay_peer_version(peer) or NOT_INSTALLED for peer in PEERS}
    rates: dict[tuple[str, int], Rate] = {}
    for held in (SMALL, LARGE):  # one after the other: memory
        rates |= _rates_of(held, repeats, seconds, sizes, peers, on_progress)
    with TemporaryDirectory() as folder:
        on_progress("memory and checkpoint")
        kept = measure_held(sizes, LARGE, Path(folder))
    rows = cycle_rows(rates) + byte_rows(kept, sizes, peers[CPPRB] != NOT_INSTALLED)
    return ReplayBenchmark(started, repeats, seconds, sizes, peers, rates, rows)


def _rates_of(
    held: int,
    repeats: int,
    seconds: float,
    sizes: Sizes,
    peers: dict[str, str],
    on_progress: Callable[[str], None],
) -> dict[tuple[str, int], Rate]:
    """Rates of everyone who has a case of `held` transitions; a peer that fails is noted in `peers`."""
    runs: dict[tuple[str, int], Run] = {}
    with ExitStack() as stack:
        for who in (OURS, *PEERS):
            if held not in CASES[who] or peers.get(who) == NOT_INSTALLED:
                continue
            on_progress(f"{who} is filled with {held:,} transitions")
            run = stack.enter_context(Worker(who, sizes)).run_of(f"cycle-{held}")
            try:
                run(0.0)
            except WorkerError as error:
                if who == OURS:
                    raise
                peers[who] = f"failed: {error}"
                continue
            runs[who, held] = run
        return measure(runs, repeats, seconds, lambda i: on_progress(f"round {i} of {repeats}"))


def cycle_rows(rates: Mapping[tuple[str, int], Rate]) -> list[ReplayRow]:
    """Cycles per CPU-second against cpprb's."""
    rows = []
    for held, words, limit in ((SMALL, "1e5", 5.0), (LARGE, "1e6", 4.5)):
        ours = rates[OURS, held].median
        cpprb, sb3 = (rates[peer, held].median if (peer, held) in rates else None for peer in PEERS)
        ratio = None if cpprb is None else ours / cpprb
        name = f"add 1, draw and update {BATCH} of {words}"
        rows.append(ReplayRow(name, "cycles/s", ours, cpprb, sb3, ratio, Target(limit, at_least=True)))
    return rows


def byte_rows(held: Held, sizes: Sizes, has_cpprb: bool) -> list[ReplayRow]:
    """Bytes of a transition against stable-baselines3's, and of a checkpoint."""
    sb3, cpprb = sb3_bytes(sizes), cpprb_bytes(sizes) if has_cpprb else None
    return [
        ReplayRow("bytes of a transition", "bytes", held.bytes, cpprb, sb3, sb3 / held.bytes, Target(60.0, True)),
        ReplayRow(
            "… with priority trees", "bytes", held.bytes_with_trees, None, None, sb3 / held.bytes_with_trees,
            Target(40.0, True),
        ),
        ReplayRow("checkpoint of 1e6", "bytes", held.file_bytes, target=Target(150e6, False)),
        ReplayRow("… written to disk", "s", held.save_seconds, target=Target(5.0, False)),
    ]  # fmt: skip


def replay_table(benchmark: ReplayBenchmark) -> RenderableType:
    """The rows, and below them how they were measured and which peers are missing."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("cycles per CPU-s,\nbytes, seconds", no_wrap=True)
    for heading in ("regime-\ngym", "cpprb", "SB3,\nuniform", "ratio", "target", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in benchmark.rows:
        table.add_row(*_cells(row), style="bold" if row.is_met is False else "")
    machine = describe_machine()
    window = f"window {benchmark.sizes.window}×{benchmark.sizes.n_features}"
    notes = [
        f"medians of {benchmark.repeats} turns of {benchmark.seconds:g} CPU-s; {window}",
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}",
        *(f"{peer} {state}" for peer, state in benchmark.peers.items()),
    ]
    return Group(table, Text(), *(Text(line[:WIDTH]) for line in notes))


def _cells(row: ReplayRow) -> list[str]:
    figures = ["" if v is None else _figure(v, row.unit) for v in (row.cpprb, row.sb3)]
    ratio = "" if row.ratio is None else f"{number(row.ratio, decimals(row.ratio))}×"
    return [row.name, _figure(row.ours, row.unit), *figures, ratio, _target(row), VERDICTS[row.is_met]]


def _figure(value: float, unit: str) -> str:
    if value != value:
        return UNDEFINED
    if unit == "s":
        return f"{number(value, decimals(value))} s"
    return count(value) if unit == "cycles/s" else size(value)


def _target(row: ReplayRow) -> str:
    if row.target is None:
        return ""
    sign = "≥" if row.target.at_least else "≤"
    if row.unit == "cycles/s" or row.ratio is not None:
        return f"{sign} {row.target.limit:g}×"
    return f"{sign} {_figure(row.target.limit, row.unit)}"
