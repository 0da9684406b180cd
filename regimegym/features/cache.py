"""Feature tables kept on disk by what they were made of: bars, settings, and the code itself."""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import talib

from regimegym.common.files import replace_folder
from regimegym.features.bars import Bars
from regimegym.features.pipeline import FeatureSettings, FeatureTable
from regimegym.features.regimes import RegimeSettings
from regimegym.features.segments import Piece

LOG = logging.getLogger(__name__)
OFF, AUTO = "off", "auto"
LEAST_CELLS = 20_000_000  # below it computing anew takes no longer than a second or two
VALUES, ABOUT = "values.npy", "about.json"


def cache_folder(setting: str, bars: Bars, settings: FeatureSettings) -> Path | None:
    """Where the tables of these bars are kept, or None.

    Args:
        setting: `off`; `auto`, the user's cache folder for tables that take seconds to make; or a folder.
        bars, settings: what the table is made of.
    """
    if setting == OFF or (setting == AUTO and len(bars) * len(settings.names) < LEAST_CELLS):
        return None
    if setting != AUTO:
        return Path(setting)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "regime-gym" / "features"


def cached_table(
    folder: Path, bars: Bars, regimes: RegimeSettings, settings: FeatureSettings, make: Callable[[], FeatureTable]
) -> FeatureTable:
    """The table kept in `folder`, or what `make` gives, which is kept then.

    An entry that is damaged is made anew, and a folder that cannot be written only costs time;
    both are logged.
    """
    entry = folder / _key(bars, regimes, settings)
    try:
        table = _read(entry, bars)
        LOG.info("features of %s taken from %s", bars.symbol, entry)
        return table
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        LOG.warning("%s is damaged and made anew: %s", entry, error)
    table = make()
    try:
        replace_folder(entry, lambda fresh: _write(fresh, table))
    except OSError as error:
        LOG.warning("features are not kept: %s", error)
    return table


def _key(bars: Bars, regimes: RegimeSettings, settings: FeatureSettings) -> str:
    about = [bars.fingerprint, bars.timeframe_ns, bars.symbol, asdict(regimes), settings.names, code_fingerprint()]
    return sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """SHA-256 over the source of everything in features/ and the versions of the libraries that compute."""
    digest = sha256(f"{np.__version__} {talib.__version__}".encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _write(folder: Path, table: FeatureTable) -> None:
    values = np.ascontiguousarray(table.values.T)
    np.save(folder / VALUES, values, allow_pickle=False)
    about = {"names": table.names, "warm_up": table.warm_up, "pieces": table.pieces, "fingerprint": table.fingerprint}
    (folder / ABOUT).write_text(json.dumps(about))


def _read(entry: Path, bars: Bars) -> FeatureTable:
    """The kept table. Raises ValueError when it is not what was written."""
    about: dict[str, Any] = json.loads((entry / ABOUT).read_text())
    values = np.load(entry / VALUES, allow_pickle=False).T
    pieces = tuple(Piece(*piece) for piece in about["pieces"])
    table = FeatureTable(bars.timestamps, values, tuple(about["names"]), about["warm_up"], pieces)
    if values.shape != (len(bars), len(table.names)) or table.fingerprint != about["fingerprint"]:
        raise ValueError("its fingerprint differs")
    return table
