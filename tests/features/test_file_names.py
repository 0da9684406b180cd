"""A file that is not there: what is suggested in its place."""

import pytest

from regimegym.common.errors import DataError
from regimegym.features.loading import load_bars


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("price_btc.csv", "prices_btc.csv"),
        ("Prices_BTC.csv", "prices_btc.csv"),
        ("prices_btc.parquet", "prices_btc.csv"),
        ("prices_btc", "prices_btc.csv"),
        ("nix.csv", None),
        ("x.csv", None),
        ("btc.csv", None),
    ],
)
def test_only_a_readable_file_of_nearly_the_same_name_is_suggested(tmp_path, asked, nearest):
    for name in ("prices_btc.csv", "x.s", "nix.py", "price_btc.md", "notes.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(DataError) as error:
        load_bars(tmp_path / asked)
    assert error.value.nearest == nearest


def test_a_missing_folder_is_told_from_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="there is no file") as error:
        load_bars(tmp_path / "nowhere" / "prices.csv")
    assert error.value.found == f"no folder {tmp_path / 'nowhere'}"
