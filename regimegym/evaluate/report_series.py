"""Series and small words of report.json: times, regime stretches, fills, plain numbers."""

from typing import Any

import numpy as np

from regimegym.common.regimes import Regime
from regimegym.envs.core import ORDER
from regimegym.envs.results import LIQUIDATIONS
from regimegym.evaluate.trajectory import Trajectory

NS_PER_MS = 1_000_000
MOST_SPANS = 2000  # regime stretches drawn
MOST_FILLS = 1000  # fills drawn, the largest


def close_ms(trajectory: Trajectory) -> np.ndarray:
    """(n + 1,) UTC milliseconds at which the bars close."""
    return (trajectory.timestamps + trajectory.timeframe_ns) // NS_PER_MS


def regime_words(regime: Regime) -> dict[str, Any]:
    """Code, key, label and letter of a regime."""
    letter = "–" if regime is Regime.UNKNOWN else regime.name[0]
    return {
        "code": int(regime),
        "key": regime.name,
        "label": regime.name.capitalize(),
        "letter": letter,
    }


def regime_spans(trajectory: Trajectory, most: int = MOST_SPANS) -> list[list[int]]:
    """[start_ms, end_ms, code] of stretches of one label, without gaps.

    Beyond `most` stretches the shortest are given to the one before them, for drawing only.
    """
    labels = trajectory.regimes
    times = close_ms(trajectory)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(labels)) + 1])
    shortest = 1
    while len(starts) > most:
        shortest += 1
        lengths = np.diff(np.append(starts, len(labels)))
        kept = starts[(lengths >= shortest) | (starts == 0)]
        starts = kept[np.concatenate([[True], labels[kept[1:]] != labels[kept[:-1]]])]
    ends = np.append(starts[1:], len(labels))
    return [[int(times[start]), int(times[end]), int(labels[start])] for start, end in zip(starts, ends, strict=True)]


def drawn_fills(trajectory: Trajectory) -> dict[str, Any]:
    """The agent's largest fills at the time they happened; a fill at the open stands at the bar's start."""
    fills = trajectory.fills
    largest = np.sort(np.argsort(-fills["units"] * fills["mid"], kind="stable")[:MOST_FILLS])
    offsets = fills["row"] - trajectory.first_row
    at_open = (fills["reason"] == ORDER) & (offsets > fills["step"])
    times = trajectory.timestamps[offsets] + np.where(at_open, 0, trajectory.timeframe_ns)
    shown = [
        {
            "t": times[i] // NS_PER_MS,
            "side": fills["side"][i],
            "price": fills["price"][i],
            "units": fills["units"][i],
            "kind": "liquidation" if fills["reason"][i] in LIQUIDATIONS else "policy",
        }
        for i in largest
    ]
    return {"shown": shown, "total": len(fills)}
