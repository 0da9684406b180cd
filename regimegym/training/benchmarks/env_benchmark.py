"""The environment benchmark: everything measured in one run, side by side with the peers."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from regimegym.training.benchmarks.harness import Rate, Run, measure
from regimegym.training.benchmarks.market import Sizes
from regimegym.training.benchmarks.memory import tape_memory
from regimegym.training.benchmarks.peers import peer_version
from regimegym.training.benchmarks.record import described
from regimegym.training.benchmarks.rows import PEERS, Row, copy_rows, memory_rows, start_rows, step_rows
from regimegym.training.benchmarks.start import start_times
from regimegym.training.benchmarks.worker import OURS, Worker, WorkerError

FORMAT = 1
OUR_CASES = ("single", "windows", "references", "copies", "sb3", "gather", "memcpy")
NOT_INSTALLED = "not installed (pip install 'regime-gym[bench]')"


@dataclass(frozen=True)
class EnvBenchmark:
    """What one run measured.

    Attributes:
        started: when.
        repeats, seconds, sizes: how.
        peers: each peer's version, or why it was not measured.
        rates: units per CPU-second by contender and case.
        rows: the table.
    """

    started: datetime
    repeats: int
    seconds: float
    sizes: Sizes
    peers: dict[str, str]
    rates: dict[str, dict[str, Rate]]
    rows: list[Row]

    def to_json(self) -> dict[str, Any]:
        """The whole record: rows with their verdicts, all rates, versions, machine."""
        return described("envs", FORMAT, self.started) | {
            "repeats": self.repeats,
            "seconds": self.seconds,
            "sizes": asdict(self.sizes),
            "peers": self.peers,
            "rates": {who: {case: rate._asdict() for case, rate in cases.items()} for who, cases in self.rates.items()},
            "rows": [asdict(row) | {"met": row.is_met} for row in self.rows],
        }


def benchmark_envs(
    repeats: int, seconds: float, sizes: Sizes | None = None, on_progress: Callable[[str], None] = lambda _: None
) -> EnvBenchmark:
    """Measure our environments, and the peers that are installed.

    A peer that is missing or fails is reported in `peers`; its cells stay empty.

    Args:
        repeats: rounds; every figure is a median over them.
        seconds: CPU-seconds of one turn.
        sizes: how large the cases are; the defaults where None.
        on_progress: told what is being measured.

    Raises:
        MachineError: the disk refuses the large tape.
    """
    sizes = Sizes() if sizes is None else sizes
    started = datetime.now(UTC)
    rates, peers = _step_rates(repeats, seconds, sizes, on_progress)
    with TemporaryDirectory() as folder:
        on_progress("memory of a large tape")
        memory = tape_memory(sizes.tape_bars, sizes.tape_features, Path(folder) / "tape", repeats)
        on_progress("first step of a fresh process")
        times = start_times(Path(folder) / "tape", repeats)
    rows = step_rows(rates, sizes) + copy_rows(rates[OURS], sizes) + memory_rows(memory, sizes) + start_rows(times)
    return EnvBenchmark(started, repeats, seconds, sizes, peers, rates, rows)


def _step_rates(
    repeats: int, seconds: float, sizes: Sizes, on_progress: Callable[[str], None]
) -> tuple[dict[str, dict[str, Rate]], dict[str, str]]:
    """Rates by contender and case, and each peer's version or why it is not among them."""
    runs: dict[tuple[str, str], Run] = {}
    peers = {}
    with ExitStack() as stack:
        on_progress(f"{OURS}: kernels are compiled")
        ours = stack.enter_context(Worker(OURS, sizes))
        runs |= {(OURS, case): ours.run_of(case) for case in OUR_CASES}
        for peer in PEERS:
            version = peer_version(peer)
            if version is None:
                peers[peer] = NOT_INSTALLED
                continue
            on_progress(f"{peer} {version} starts")
            worker = stack.enter_context(Worker(peer, sizes))
            theirs = {(peer, case): worker.run_of(case) for case in peer_case_names(sizes)}
            peers[peer] = _failure_of(theirs) or version
            if peers[peer] == version:
                runs |= theirs
        taken = measure(runs, repeats, seconds, lambda i: on_progress(f"round {i} of {repeats}"))
    rates: dict[str, dict[str, Rate]] = {}
    for (who, case), rate in taken.items():
        rates.setdefault(who, {})[case] = rate
    return rates, peers


def peer_case_names(sizes: Sizes) -> list[str]:
    """Names of the cases that every peer has."""
    return ["single", *(f"{wrapper}-{n}" for n in sizes.peer_batches for wrapper in ("sync", "dummy"))]


def _failure_of(runs: dict[tuple[str, str], Run]) -> str | None:
    """Why a peer cannot take a single portion of one of its cases; None when it can."""
    try:
        for run in runs.values():
            run(0.0)
    except WorkerError as error:
        return f"failed: {error}"
    return None
