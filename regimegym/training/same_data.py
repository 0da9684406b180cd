"""Is what a run finds in its files still what it was trained on? Bars, and everything beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

from regimegym.common.errors import DataError
from regimegym.features.market import Market
from regimegym.training.run_folder import RunFolder

BARS = "the bars"


def data_fingerprints(market: Market) -> dict[str, Any]:
    """What the manifest says of a run's data, for `check_same_data`."""
    return {"data_fingerprint": market.bars.fingerprint, "context_fingerprints": market.context.fingerprints}


def check_same_data(run: RunFolder, market: Market, help: Sequence[str] = ()) -> None:
    """Raise DataError `changed` unless `market` holds what the manifest of `run` names.

    Of what a manifest of an earlier version does not speak, nothing is asked.
    """
    now = data_fingerprints(market)
    trained_on, found = _by_name({**now, **run.read_manifest()}), _by_name(now)
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
    return {BARS: fingerprints["data_fingerprint"], **fingerprints["context_fingerprints"]}


def _words(fingerprints: Mapping[str, str], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {fingerprints.get(name, 'not there')}" for name in names)
