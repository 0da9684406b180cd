"""The regime encoder over a stretch of bars: what is linear in a bar is made once a bar instead of once a window.

Attention weights mix rows, and what they mix goes through linear layers only until the first ReLU behind
it: Σ_s w_s (W v_s) = W Σ_s w_s v_s. So the values are tabled behind the first layers of pathways and
detector, positions in a table of their own, and attention mixes these. Scores are sums of tabled products.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regimegym.agents.networks.encoder import RegimeEncoder
from regimegym.agents.networks.folded_kernels import add_and_rectify, mix_rectified
from regimegym.common.regimes import N_REGIMES

MIXED = 32  # windows whose mixtures are made together: their buffers stay in the cache
REMEMBERED = 128  # windows that go through the memory together


class Stretch(NamedTuple):
    """n windows of T bars, each one bar later than the one before; window i holds the rows [i, i + T) of `bars`.

    Attributes:
        bars: (T − 1 + n, F) float32.
        padding: (n,) int64, how many of its first steps hold no bar, at most T − 1; what stands there is not read.
    """

    bars: Tensor
    padding: Tensor

    @property
    def steps(self) -> int:
        """T."""
        return len(self.bars) - len(self.padding) + 1

    def windows(self, start: int, stop: int) -> Tensor:
        """Windows (stop − start, T, F), zeros where they are padded."""
        shown = self.bars[start : stop + self.steps - 1].unfold(0, self.steps, 1).transpose(1, 2)
        return shown * ~padded_steps(self.padding[start:stop], self.steps)[..., None]


def padded_steps(padding: Tensor, steps: int) -> Tensor:
    """(n, T) bool, True at the first `padding` (n,) of T steps."""
    return torch.arange(steps, device=padding.device) < padding[:, None]


class _Tables(NamedTuple):
    """What each of R bars brings along, N = first layers of the four pathways and of the detector."""

    query: Tensor  # (R, W), scaled
    key: Tensor  # (R, W)
    query_at: Tensor  # (R, T), products of the query with the key of every position
    key_at: Tensor  # (T, R), products of the key with the query of every position
    values: Tensor  # (R, N)
    residual: Tensor  # (R, N)


class _Room(NamedTuple):
    """Where MIXED windows are mixed. It is kept from one batch to the next: fresh memory of this size is handed out
    page by page, which takes as long as the arithmetic."""

    values: Tensor  # (MIXED, T, N)
    first: Tensor  # (MIXED, T, N)
    second: Tensor  # (4, MIXED·T, D)


class FoldedEncoder:
    """A RegimeEncoder on the processor, without dropout, equal to float32 rounding; made anew when its weights change.

    A key's bias adds the same to all scores of a query, which a softmax does not see: it is left out.
    """

    @torch.no_grad()
    def __init__(self, encoder: RegimeEncoder) -> None:
        self._encoder = encoder
        wq, wk, wv = encoder.attention.project.weight.double().chunk(3)
        bq, _, bv = encoder.attention.project.bias.double().chunk(3)
        detector: list[Any] = [*encoder.detector]
        detector_in, _, self._detector_out = detector
        first = torch.cat([encoder.pathways.first.weight, detector_in.weight]).double()
        bias = torch.cat([encoder.pathways.first.bias, detector_in.bias]).double()
        scale, positions = 1 / math.sqrt(encoder.attention.width), encoder.positions.double()
        residual = first * encoder.residual
        values = first @ wv
        self._query, self._key = (wq * scale).T.float(), wk.T.float()
        self._query_bias = (bq * scale).float()
        self._values, self._residual = values.T.float(), residual.T.float()
        query_at, key_at = positions @ wq.T * scale, positions @ wk.T
        self._query_at, self._key_at = query_at.float(), key_at.T.float()
        self._values_at = (positions @ values.T).float()
        self._rest = (positions @ residual.T + first @ bv + bias).float()
        later = torch.ones_like(query_at @ key_at.T, dtype=torch.bool).triu(1)
        self._second = encoder.pathways.second_weight.transpose(1, 2)
        self._second_bias = encoder.pathways.second_bias[:, 0].numpy()
        self._scores = (query_at @ key_at.T).masked_fill(later, -torch.inf).float()

    @torch.no_grad()
    def __call__(self, stretch: Stretch) -> tuple[Tensor, Tensor]:
        """Encodings (n, H) and regime logits (n, 4) of n windows as long as the encoder's `sequence_length`."""
        assert stretch.steps == self._encoder.sequence_length
        tables, room, n = self._tables(stretch.bars), self._room(stretch.bars), len(stretch.padding)
        parts = [self._encode(tables, room, stretch.padding[i : i + REMEMBERED], i) for i in range(0, n, REMEMBERED)]
        return torch.cat([h for h, _ in parts]), torch.cat([logits for _, logits in parts])

    def _tables(self, bars: Tensor) -> _Tables:
        f = self._encoder.features(bars)
        query, key = torch.addmm(self._query_bias, f, self._query), f @ self._key
        return _Tables(query, key, query @ self._key_at, self._query_at @ key.T, f @ self._values, f @ self._residual)

    def _room(self, like: Tensor) -> _Room:
        steps, width = self._values_at.shape
        each = self._encoder.pathways.pathway_width
        return _Room(
            like.new_empty(MIXED, steps, width),
            like.new_empty(MIXED, steps, width),
            like.new_empty(N_REGIMES, MIXED * steps, each),
        )

    def _encode(self, tables: _Tables, room: _Room, padding: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Of the windows from `start` on, as many as `padding` has."""
        n, steps = len(padding), len(self._scores)
        padded = padded_steps(padding, steps) if bool(padding.any()) else None
        c = padding.new_empty(n, steps, self._encoder.pathways.pathway_width, dtype=room.first.dtype)
        logits = []
        for i in range(0, n, MIXED):
            part = slice(i, min(i + MIXED, n))
            hidden = None if padded is None else padded[part]
            logits.append(self._mix(tables, room, hidden, start + i, c[part]))
        return self._encoder.remember(c, padded), torch.cat(logits)

    def _mix(self, tables: _Tables, room: _Room, padded: Tensor | None, start: int, out: Tensor) -> Tensor:
        """Write the mixtures of the windows from `start` on into `out` (n, T, D); the last steps' logits (n, 4)."""
        n, steps, each = out.shape
        rows = slice(start, start + n + steps - 1)
        values, first = room.values[:n], room.first[:n]
        _write_windows(tables.values[rows], self._values_at, values)
        torch.bmm(self._weights(tables, rows, padded, n), values, out=first)
        add_and_rectify(tables.residual[rows].numpy(), self._rest.numpy(), first.numpy())
        first = first.view(n * steps, -1)
        into, last = first[:, : N_REGIMES * each], first[:, N_REGIMES * each :]
        # Regimes come first: a softmax over four numbers that lie side by side costs ten times as much.
        logits = torch.addmm(self._detector_out.bias[:, None], self._detector_out.weight, last.T)
        gate = torch.softmax(logits, dim=0)
        into = into.unflatten(1, (N_REGIMES, each)).transpose(0, 1)
        torch.bmm(into, self._second, out=room.second[:, : n * steps])
        mix_rectified(room.second.numpy(), self._second_bias, gate.numpy(), out.view(n * steps, each).numpy())
        return logits.view(N_REGIMES, n, steps)[..., -1].T

    def _weights(self, tables: _Tables, rows: slice, padded: Tensor | None, n: int) -> Tensor:
        """Attention weights (n, T, T): of a bar at a position with another at another, four products."""
        steps = len(self._scores)
        bars = rows.stop - rows.start
        pairs = tables.query[rows] @ tables.key[rows].T  # (bars, bars), of which each window reads a square
        scores = pairs.new_empty(n, steps, steps)
        torch.add(pairs.as_strided((n, steps, steps), (bars + 1, bars, 1)), self._scores, out=scores)
        scores += tables.query_at[rows].as_strided((n, steps, steps), (steps, steps, 1))
        key_at = tables.key_at[:, rows]
        scores += key_at.as_strided((n, steps, steps), (1, key_at.stride(0), 1))
        if padded is not None:
            itself = torch.eye(steps, dtype=torch.bool, device=padded.device)
            scores.masked_fill_(padded[:, None, :] & ~itself, -torch.inf)
        return torch.softmax(scores, dim=-1)


def _write_windows(table: Tensor, at: Tensor, out: Tensor) -> None:
    """Windows (n, T, N), the i-th the rows [i, i + T) of a contiguous table (n + T − 1, N), plus `at` (T, N)."""
    width = table.shape[1]
    torch.add(table.as_strided(out.shape, (width, width, 1)), at, out=out)
