"""The rows of the environment benchmark: what was measured, against whom, and the target."""

from collections.abc import Mapping
from dataclasses import dataclass

from regimegym.training.benchmarks.harness import Rate
from regimegym.training.benchmarks.market import Sizes
from regimegym.training.benchmarks.memory import TapeMemory
from regimegym.training.benchmarks.peers import MODULES
from regimegym.training.benchmarks.start import StartTimes
from regimegym.training.benchmarks.target import Target
from regimegym.training.benchmarks.worker import OURS

ANYTRADING, TRADING_ENV = MODULES
PEERS = (ANYTRADING, TRADING_ENV)
BEST = "best peer"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was measured.
        unit: of `ours` and `peers`: `steps/s` and `bytes/s` per CPU-second, `bytes`, or `s`.
        ours: our figure.
        peers: each peer's figure, through its fastest wrapper; None where there is none.
        wrappers: the wrapper and batch size behind each peer's figure.
        against: what `ratio` divides by: a peer, `best peer`, `memcpy`, `arrays`, or None.
        ratio: ours over that; None where the other is missing.
        target: of the ratio, or of `ours` where there is nothing to divide by; None for a row
            that only informs.
    """

    name: str
    unit: str
    ours: float
    peers: Mapping[str, float | None]
    wrappers: Mapping[str, str]
    against: str | None
    ratio: float | None
    target: Target | None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one, or while a peer it needs is missing."""
        needed = {BEST: PEERS}.get(self.against or "", (self.against,))
        if self.target is None or any(peer in PEERS and self.peers.get(str(peer)) is None for peer in needed):
            return None
        value = self.ours if self.against is None else self.ratio
        return None if value is None else self.target.is_met(value)


def step_rows(rates: Mapping[str, Mapping[str, Rate]], sizes: Sizes) -> list[Row]:
    """Rows of the stepping cases from the rates by contender and case."""
    n = sizes.n_accounts
    return [
        _against_peer("single", f"1 env / {TRADING_ENV}", rates, TRADING_ENV, 10.0),
        _against_peer("single", f"1 env / {ANYTRADING}", rates, ANYTRADING, 1.8),
        _against_best("windows", f"{n} envs, windows", rates, ("sync-", "dummy-"), 45.0),
        _against_best("references", f"{n} envs, references", rates, ("sync-", "dummy-"), 400.0),
        _against_best("sb3", f"{n} envs, SB3's step", rates, ("dummy-",), 10.0),
    ]


def copy_rows(ours: Mapping[str, Rate], sizes: Sizes) -> list[Row]:
    """Bytes per second of the window gather, and of steps that hand out new windows, against memcpy's."""
    memcpy = ours["memcpy"].median
    gather = ours["gather"].median
    steps = ours["copies"].median * sizes.window_bytes
    return [
        _plain("window gather / memcpy", "bytes/s", gather, "memcpy", gather / memcpy, Target(0.5, at_least=True)),
        _plain("whole steps / memcpy", "bytes/s", steps, "memcpy", steps / memcpy, None),
    ]


def memory_rows(memory: TapeMemory, sizes: Sizes) -> list[Row]:
    """Memory of the large tape against its arrays, and the time to open it."""
    limit = Target(1.2, at_least=False)
    size = f"{sizes.tape_bars:.0e}".replace("e+0", "e")
    tape, both = memory.tape / memory.arrays, memory.tape_and_env / memory.arrays
    return [
        _plain(f"tape {size} × {sizes.tape_features} / arrays", "bytes", memory.tape, "arrays", tape, limit),
        _plain("… with an env on it", "bytes", memory.tape_and_env, "arrays", both, limit),
        _plain("… held when mapped", "bytes", memory.mapped, None, None, None),
        _plain("… opened from disk", "s", memory.open_seconds, None, None, Target(1.0, at_least=False)),
    ]


def start_rows(times: StartTimes) -> list[Row]:
    """Seconds from the start of a process to its first step."""
    limit = Target(2.0, at_least=False)
    return [
        _plain("first step, kernels cached", "s", times.warm, None, None, limit),
        _plain("… market from a tape file", "s", times.warm_from_tape, None, None, limit),
        _plain("… kernels not yet compiled", "s", times.cold, None, None, None),
    ]


def _plain(name: str, unit: str, ours: float, against: str | None, ratio: float | None, target: Target | None) -> Row:
    return Row(name, unit, ours, {}, {}, against, ratio, target)


def _against_peer(case: str, name: str, rates: Mapping[str, Mapping[str, Rate]], peer: str, limit: float) -> Row:
    ours = rates[OURS][case].median
    theirs = rates[peer][case].median if peer in rates else None
    ratio = None if theirs is None else ours / theirs
    return Row(name, "steps/s", ours, {peer: theirs}, {}, peer, ratio, Target(limit, at_least=True))


def _against_best(
    case: str, name: str, rates: Mapping[str, Mapping[str, Rate]], wrappers: tuple[str, ...], limit: float
) -> Row:
    """Our case against the fastest peer, each through the fastest of its `wrappers` (prefixes of cases)."""
    ours = rates[OURS][case].median
    peers: dict[str, float | None] = dict.fromkeys(PEERS)
    chosen = {}
    for peer in PEERS:
        tried = {key: rate.median for key, rate in rates.get(peer, {}).items() if key.startswith(wrappers)}
        if tried:
            chosen[peer] = max(tried, key=lambda key: tried[key])
            peers[peer] = tried[chosen[peer]]
    best = max((value for value in peers.values() if value is not None), default=None)
    ratio = None if best is None else ours / best
    return Row(name, "steps/s", ours, peers, chosen, BEST, ratio, Target(limit, at_least=True))
