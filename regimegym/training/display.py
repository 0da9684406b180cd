"""The progress of a training: a live panel in a terminal, key=value lines anywhere else.

The shaped reward is called shaped; equity stands above buy and hold on the same episodes, each
with its standard error. A number is never cut: where the width is short, columns go.
"""

import math
import shutil
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from regimegym.training import panel
from regimegym.training.progress import History, Progress, RunHeader, Snapshot, ValidationLine
from regimegym.training.run_folder import existing_parent

REDRAW_SECONDS = 0.25
LINE_SECONDS = 10.0
RATE_SECONDS = 60.0
DISK_SECONDS = 10.0


class TrainingDisplay:
    """Context manager that shows the training; `update` may be called as often as one likes.

    Args:
        header: what will happen.
        total_steps: account steps at which the training ends.
        start_step: step from which a resumed training goes on.
        console, clock, now: where to draw, seconds for the pace, time of day for the lines.
    """

    def __init__(
        self,
        header: RunHeader,
        total_steps: int,
        start_step: int = 0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._header = header
        self._total_steps = total_steps
        self._console = Console() if console is None else console
        self._clock = clock
        self._now = now
        self._live: Live | None = None
        self._snapshot = Snapshot(0)
        self._first = (clock(), start_step)
        self._open = False
        self._samples: deque[tuple[float, int]] = deque([self._first])
        self._histories = {name: History() for name in panel.SERIES}
        self._best: ValidationLine | None = None
        self._last: ValidationLine | None = None
        self._shown = -math.inf
        self._disk = (-math.inf, 0)

    def __enter__(self) -> "TrainingDisplay":
        self._open = True
        self._first = (self._clock(), self._first[1])
        self._samples = deque([self._first])
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        else:
            for line in panel.header_lines(self._header, width=10_000):
                self._print(line.plain)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def due(self) -> bool:
        """Whether the next `update` will be shown; spares the making of a snapshot."""
        return self._clock() - self._shown >= (LINE_SECONDS if self._live is None else REDRAW_SECONDS)

    def update(self, snapshot: Snapshot) -> None:
        """Show the state; does next to nothing between two redraws."""
        self._snapshot = snapshot
        if self.due():
            self._shown = self._clock()
            self._show(self._shown)

    def validation(self, v: ValidationLine) -> None:
        """Show a validation at once."""
        self._last = v
        if v.is_best or self._best is None:
            self._best = v
        if self._live is None:
            self._print(f"{self._stamp()} {panel.validation_line(v)}")
        else:
            self._show(self._clock())

    def close(self) -> None:
        """Draw the last state and give the terminal back; a second call does nothing."""
        if not self._open:
            return
        self._open = False
        self._show(self._clock())
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _show(self, moment: float) -> None:
        progress = self._progress(moment)
        if self._live is None:
            self._print(f"{self._stamp()} {panel.progress_line(progress)}")
            return
        drawn = Text("\n").join(panel.lines(progress, self._console.width))
        drawn.no_wrap = True
        drawn.overflow = "ignore"
        self._live.update(drawn, refresh=True)

    def _progress(self, moment: float) -> Progress:
        step = self._snapshot.step
        self._sample(moment, step)
        rate = self._rate()
        left = max(self._total_steps - step, 0)
        return Progress(
            self._header,
            self._snapshot,
            self._total_steps,
            moment - self._first[0],
            rate,
            left / rate if rate > 0 else (0.0 if left == 0 else math.nan),
            self._best,
            self._last,
            self._histories,
            self._free_bytes(moment),
        )

    def _sample(self, moment: float, step: int) -> None:
        """Remember the pace and the series, once per drawing."""
        self._samples.append((moment, step))
        while len(self._samples) > 2 and moment - self._samples[1][0] >= RATE_SECONDS:
            self._samples.popleft()
        for name, value in panel.series_values(self._snapshot).items():
            self._histories[name].add(value)

    def _rate(self) -> float:
        (start, first), (stop, last) = self._samples[0], self._samples[-1]
        return (last - first) / (stop - start) if stop > start else math.nan

    def _free_bytes(self, moment: float) -> int:
        if moment - self._disk[0] >= DISK_SECONDS:
            self._disk = (moment, shutil.disk_usage(existing_parent(Path(self._header.folder))).free)
        return self._disk[1]

    def _stamp(self) -> str:
        return f"{self._now():%H:%M:%S}"

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True, no_wrap=True, overflow="ignore", crop=False, highlight=False)
