"""Is what a run finds in its files still what it was trained on? Bars, and everything beside them."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from regimegym.common.errors import DataError
from regimegym.features.bars import Bars
from regimegym.features.durations import timeframe_words
from regimegym.features.market import Market
from regimegym.training.run_folder import RunFolder

LOG = logging.getLogger(__name__)
BARS = "the bars"


def data_fingerprints(market: Market, further: Sequence[Bars] = ()) -> dict[str, Any]:
    """What the manifest says of a run's data, for the checks below; `further` is learned from as well."""
    more = {f"the bars of {bars.symbol} {timeframe_words(bars.timeframe_ns)}": bars.fingerprint for bars in further}
    return {
        "further_fingerprints": more,
        "data_fingerprint": market.bars.fingerprint,
        "context_fingerprints": market.context.fingerprints,
        "timeframe": timeframe_words(market.bars.timeframe_ns),
    }


def warn_of_other_bars(run: RunFolder, bars: Bars) -> None:
    """Log it when new data has bars of another length than those the model of `run` was trained on."""
    now = timeframe_words(bars.timeframe_ns)
    before = run.read_manifest().get("timeframe", now)
    if before != now:
        LOG.warning("the model was trained on bars of %s and is evaluated on bars of %s", before, now)


def check_same_data(
    run: RunFolder, market: Market, help: Sequence[str] = (), further: Sequence[Bars] | None = None
) -> None:
    """Raise DataError `changed` unless `market`, and `further` where given, hold what the manifest of `run` names.

    Of what a manifest of an earlier version does not speak, nothing is asked.
    """
    now, manifest = data_fingerprints(market, further or ()), run.read_manifest()
    if further is None:
        manifest.pop("further_fingerprints", None)
    trained_on, found = _by_name({**now, **manifest}), _by_name(now)
    changed = [name for name in {**trained_on, **found} if trained_on.get(name) != found.get(name)]
    if not changed:
        return
    raise DataError(
        "changed",
        f"the data of {run.path} has changed since the training began",
        needed=f"fingerprints {_words(trained_on, changed)}",
        found=f"{_words(found, changed)} in {market.bars.source}",
        help=help,
        kept="nothing was written",
    )


def _by_name(fingerprints: Mapping[str, Any]) -> dict[str, str]:
    return {
        BARS: fingerprints["data_fingerprint"],
        **fingerprints["context_fingerprints"],
        **fingerprints["further_fingerprints"],
    }


def _words(fingerprints: Mapping[str, str], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {fingerprints.get(name, 'not there')}" for name in names)
