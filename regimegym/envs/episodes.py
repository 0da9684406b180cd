"""Where episodes begin and end: contiguous pieces of one segment, fixed length."""

import numpy as np

from regimegym.common.errors import DataError
from regimegym.envs.settings import EpisodeSettings
from regimegym.features.splits import RowRange
from regimegym.features.tape import MarketTape


class EpisodeStarts:
    """The rows on which an episode may begin.

    An episode that begins on row s takes `length` decisions on rows s … s + length − 1 and ends on
    row s + length, all within `rows` and one segment, and none before the segment's warm-up ends.

    Raises:
        DataError: no piece of `rows` is long enough for one episode; says how many are needed.
    """

    def __init__(self, tape: MarketTape, rows: RowRange, settings: EpisodeSettings) -> None:
        self.length = settings.length
        self.random = settings.start == "random"
        pieces = [(max(rows.start, segment.first_row), min(rows.stop, segment.stop)) for segment in tape.segments]
        self._check(pieces)
        spare = [max(0, stop - start - self.length) for start, stop in pieces]
        self._first = np.array([start for start, _ in pieces], np.int64)
        self._ends = np.cumsum(spare)  # number of possible starts up to and including each piece
        tiles = [
            np.arange(start, stop - self.length, self.length, dtype=np.int64)
            for start, stop in pieces
            if stop - start > self.length
        ]
        self.tiles = np.concatenate(tiles)

    @property
    def count(self) -> int:
        """Number of rows on which a random episode may begin."""
        return int(self._ends[-1])

    def draw(self, generator: np.random.Generator) -> int:
        """A start row, every possible one equally likely."""
        choice = int(generator.integers(self.count))
        piece = int(np.searchsorted(self._ends, choice, side="right"))
        before = int(self._ends[piece - 1]) if piece else 0
        return int(self._first[piece]) + choice - before

    def tile(self, index: int) -> int:
        """The start row of the `index`-th sequential episode; begins again after the last one."""
        return int(self.tiles[index % len(self.tiles)])

    def _check(self, pieces: list[tuple[int, int]]) -> None:
        longest = max(stop - start for start, stop in pieces)
        if longest < self.length + 1:
            raise DataError(
                "too-few-rows",
                f"an episode of {self.length} decisions does not fit into the rows",
                needed=f"{self.length + 1} rows of one segment after its warm-up",
                found=f"{max(0, longest)} rows at most",
                help=("shorten the episode (env.episode.length) or give more bars",),
            )
