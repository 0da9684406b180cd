"""Files of prices for the tests of the data contract: good ones, and one way to break them."""

from pathlib import Path

import numpy as np
import pandas as pd

OHLC = ("open", "high", "low", "close")


def good_prices(n: int = 60, freq: str = "D", start: str = "2024-01-01", seed: int = 1) -> pd.DataFrame:
    """Valid bars with the usual names; times are naive."""
    return prices_at(pd.date_range(start, periods=n, freq=freq), seed)


def prices_at(times: pd.DatetimeIndex, seed: int = 1, sd: float = 0.01) -> pd.DataFrame:
    """Valid bars at these times: a random walk whose opens are the closes before."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, sd, len(times))))
    opens = np.concatenate([[100.0], close[:-1]])
    top, bottom = np.maximum(opens, close), np.minimum(opens, close)
    frame = pd.DataFrame({"date": times, "open": opens})
    frame["high"] = top * (1 + sd / 3 * rng.random(len(times)))
    frame["low"] = bottom * (1 - sd / 3 * rng.random(len(times)))
    return frame.assign(close=close, volume=rng.uniform(50, 100, len(times)).round(2))


def csv_lines(frame: pd.DataFrame) -> list[str]:
    """Header and rows as text with two decimals."""
    return frame.to_csv(index=False, float_format="%.2f", lineterminator="\n").splitlines()


def write(folder: Path, content: str | bytes | list[str] | pd.DataFrame, name: str = "prices.csv") -> Path:
    """A file of text, bytes, lines or a frame (by the ending of `name`)."""
    path = folder / name
    if isinstance(content, pd.DataFrame):
        content.to_parquet(path) if path.suffix == ".parquet" else content.to_csv(path, index=False)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else "\n".join(content) + "\n")
    return path
