"""A fitted pipeline: how features are made and scaled, frozen on training rows and kept as data.

One JSON file: settings, names in the order of the columns, scaler, hash. Loading it runs no code of it.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from regimegym.common.errors import ConfigError, MachineError, ModelError
from regimegym.common.files import write_file
from regimegym.features.bars import Bars
from regimegym.features.context import EMPTY, Context
from regimegym.features.market import Market, align_features, build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.regimes import RegimeSettings
from regimegym.features.scaling import Scaler, fit_scaler
from regimegym.features.splits import RowRange
from regimegym.features.stream import FeatureStream
from regimegym.features.tape import MarketTape

FORMAT_VERSION = 1
FILE = "pipeline.json"


@dataclass(frozen=True)
class FittedPipeline:
    """Everything that turns bars into what a model sees; nothing in it changes after `fit`.

    Attributes:
        features: the features by name, in the order of the model's columns; none is optional.
        regimes: rule of the regimes, thresholds as fitted.
        scaler: mean and scale of the training rows.
        timeframe_ns: length of the bars it was fitted on.
    """

    features: FeatureSettings
    regimes: RegimeSettings
    scaler: Scaler
    timeframe_ns: int

    @classmethod
    def fit(
        cls,
        market: Market,
        rows: RowRange,
        regimes: RegimeSettings | None = None,
        longest_gap_days: float = FeatureSettings.longest_gap_days,
    ) -> "FittedPipeline":
        """The pipeline of `market`, scaled by the training `rows` and frozen.

        Args:
            market: prepared bars; their columns become the columns of the model.
            rows: training rows; no other row has any influence.
            regimes: the rule `market` was prepared with; the default rule where None.
            longest_gap_days: the step at which its history was cut, as in FeatureSettings.
        """
        features = FeatureSettings(market.table.names, longest_gap_days=longest_gap_days)
        return cls(features, regimes or RegimeSettings(), fit_scaler(market.table, rows), market.bars.timeframe_ns)

    @property
    def hash(self) -> str:
        """16 hex digits of SHA-256 over everything it consists of."""
        return sha256(json.dumps(self._contents(), sort_keys=True).encode()).hexdigest()[:16]

    def market(self, bars: Bars, context: Context = EMPTY) -> Market:
        """Regimes and unscaled features of other bars, in the model's columns.

        Raises:
            DataError: bars of another length, too few, or without an input that a feature needs.
        """
        if bars.timeframe_ns != self.timeframe_ns:
            raise ModelError(
                "other-timeframe",
                f"the pipeline was fitted on bars of {self.timeframe_ns / 60e9:g} minutes",
                needed=f"{self.timeframe_ns / 60e9:g} minutes",
                found=f"{bars.timeframe_ns / 60e9:g} minutes in {bars.symbol}",
            )
        return prepare_market(bars, self.regimes, self.features, context)

    def tape(self, market: Market) -> MarketTape:
        """The tape of a market with the same features, realigned by name where their order differs.

        Raises ModelError `feature-mismatch` that lists every missing and every extra name.
        """
        table = align_features(self.scaler.names, market.table)
        return build_tape(Market(market.bars, market.regimes, table, market.context), self.scaler)

    def stream(self, symbol: str = "", periods_per_year: float = 1.0) -> FeatureStream:
        """A new stream of one segment; scale its rows with `scaler.transform`."""
        return FeatureStream(self.scaler.names, self.timeframe_ns, self.regimes, symbol, periods_per_year)

    def save(self, folder: Path) -> Path:
        """Write `pipeline.json` into `folder`, whole or not at all.

        Raises:
            MachineError: the disk or its permissions refuse.
        """
        path, part = folder / FILE, folder / f".{FILE}.part"
        text = json.dumps({**self._contents(), "format_version": FORMAT_VERSION, "hash": self.hash}, indent=2)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_file(part, f"{text}\n".encode())
            part.replace(path)
        except OSError as error:
            raise MachineError("cannot-write-pipeline", f"{path} could not be written: {error.strerror}") from error
        return path

    @classmethod
    def load(cls, folder: Path) -> "FittedPipeline":
        """The pipeline that `save` wrote, equal bit for bit.

        Raises:
            ModelError: no pipeline, another format, edited since, or features that this version lacks.
            MachineError: the file cannot be read.
        """
        path = folder / FILE
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise ModelError("no-pipeline", f"{folder} holds no {FILE}") from None
        except OSError as error:
            raise MachineError("cannot-read-pipeline", f"{path} could not be read: {error.strerror}") from error
        except ValueError as error:
            raise ModelError("damaged-pipeline", f"{path} is no JSON: {error}") from error
        return cls._of(found, path)

    @classmethod
    def _of(cls, found: Any, path: Path) -> "FittedPipeline":
        if not isinstance(found, dict) or found.get("format_version") != FORMAT_VERSION:
            raise ModelError("foreign-pipeline", f"{path} is no pipeline of format version {FORMAT_VERSION}")
        try:
            pipeline = cls(
                FeatureSettings(**found["features"]),
                RegimeSettings(**found["regimes"]),
                Scaler.from_dict(found["scaler"]),
                int(found["timeframe_ns"]),
            )
        except (KeyError, TypeError, ConfigError) as error:
            raise ModelError("damaged-pipeline", f"{path} does not describe a pipeline: {error}") from error
        if found.get("hash") != pipeline.hash:
            raise ModelError(
                "edited-pipeline",
                f"{path} was changed after it was written",
                needed=f"hash {found.get('hash')}",
                found=f"hash {pipeline.hash}",
            )
        return pipeline

    def _contents(self) -> dict[str, Any]:
        return {
            "features": asdict(self.features),
            "regimes": asdict(self.regimes),
            "scaler": self.scaler.to_dict(),
            "timeframe_ns": self.timeframe_ns,
        }
