"""regime-gym data check: table, JSON, exit codes, repaired copies, mistakes."""

import json

import numpy as np
import pandas as pd
import pytest

from regimegym.cli.main import main
from regimegym.features.loading import load_bars
from regimegym.features.synthetic.worlds import random_walk_bars


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(n: int = 60) -> pd.DataFrame:
    """Valid daily bars with the usual names."""
    bars = random_walk_bars(n, 3)
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: getattr(bars, name) for name in names})
    frame.insert(0, "date", pd.date_range("2015-01-01", periods=n, freq="D"))
    return frame.assign(volume=np.arange(n) % 7 + 5.0)


def bad_table() -> pd.DataFrame:
    frame = table()
    frame.loc[5, "close"] = np.nan
    frame.loc[[8, 9, 10, 11], "volume"] = -1.0
    return frame


def test_a_clean_file_ends_with_0_and_says_what_it_holds(here, capsys):
    table().to_csv("good.csv", index=False)
    assert main(["data", "check", "good.csv"]) == 0
    said = capsys.readouterr()
    assert "good.csv  60 bars of 1 d · 2015-01-01 00:00 … 2015-03-01 00:00 · 24/7" in said.out
    assert "✓ keeps the data contract · score 100 % · 0 notes" in said.out
    assert said.err == ""


def test_notes_alone_end_with_0(here, capsys):
    table().drop(index=[20]).to_csv("gap.csv", index=False)
    assert main(["data", "check", "gap.csv"]) == 0
    assert "missing-day" in capsys.readouterr().out


def test_a_violation_ends_with_2_shows_three_places_and_the_score(here, capsys):
    bad_table().to_csv("bad.csv", index=False)
    assert main(["data", "check", "bad.csv"]) == 2
    said = capsys.readouterr()
    assert "line 7: column 'close' holds no value (NaN)" in said.out
    assert "line 10: column 'volume' must be zero or more, is -1" in said.out
    assert "line 13" not in said.out
    assert "… and 1 more" in said.out
    assert "✗ breaks the data contract in 5 places · score 91.67 %" in said.out
    assert said.err.startswith("error data/broken-contract bad.csv breaks the data contract")
    assert "regime-gym data check bad.csv --fix" in said.err
    assert sorted(path.name for path in here.iterdir()) == ["bad.csv"]


def test_several_files_have_a_total_and_one_bad_one_is_enough(here, capsys):
    table().to_csv("good.csv", index=False)
    bad_table().to_csv("bad.csv", index=False)
    assert main(["data", "check", "good.csv", "bad.csv", "nowhere.csv"]) == 2
    said = capsys.readouterr()
    assert "there is no file nowhere.csv" in said.out
    assert "3 files, 1 clean · 120 bars · score 95.04 %" in said.out  # 5 bars and one unreadable file of 121
    assert "2 of 3 files break the data contract" in said.err


def test_the_json_holds_everything(here):
    bad_table().to_csv("bad.csv", index=False)
    assert main(["data", "check", "bad.csv", "--json", "new/check.json"]) == 2
    record = json.loads((here / "new" / "check.json").read_text())
    (file,) = record["files"]
    assert (file["file"], file["n_bars"], file["n_bad"], file["is_clean"]) == ("bad.csv", 60, 5, False)
    assert record["score"] == file["score"] == pytest.approx(100 * 55 / 60, abs=1e-4)
    assert [finding["rule"] for finding in file["findings"] if finding["is_violation"]] == [
        "missing-value",
        "negative-volume",
    ]
    assert file["stationarity"]["log return"]["verdict"] in ("stationary", "unit root")


def test_fix_writes_a_copy_beside_the_file_that_passes(here, capsys):
    bad_table().to_csv("bad.csv", index=False)
    before = (here / "bad.csv").read_bytes()
    assert main(["data", "check", "bad.csv", "--fix"]) == 0
    said = capsys.readouterr().out
    assert "bad.fixed.csv: 60 bars that keep the contract; 8 changes listed in bad.fixed.csv.changes.csv" in said
    assert (here / "bad.csv").read_bytes() == before
    assert main(["data", "check", "bad.fixed.csv"]) == 0
    assert len(load_bars("bad.fixed.csv")) == 60
    assert len((here / "bad.fixed.csv.changes.csv").read_text().splitlines()) == 9


def test_fix_replaces_an_older_copy_by_force_only(here, capsys):
    bad_table().to_csv("bad.csv", index=False)
    (here / "out.parquet").write_text("mine")
    assert main(["data", "check", "bad.csv", "--fix", "out.parquet"]) == 2
    assert "out.parquet is there already" in capsys.readouterr().err
    assert (here / "out.parquet").read_text() == "mine"
    assert main(["data", "check", "bad.csv", "--fix", "out.parquet", "--force"]) == 0
    assert len(load_bars("out.parquet")) == 60


def test_a_clean_file_is_not_copied(here):
    table().to_csv("good.csv", index=False)
    assert main(["data", "check", "good.csv", "--fix"]) == 0
    assert sorted(path.name for path in here.iterdir()) == ["good.csv"]


def test_zone_dialect_and_columns_are_those_of_training(here, capsys):
    frame = table().rename(columns={"close": "Last"})
    text = frame.to_csv(index=False, sep=";").replace(".", ",")
    (here / "odd.csv").write_text(text)
    words = ["--timezone", "America/New_York", "--dialect", "decimal_comma", "--columns", "close=Last"]
    assert main(["data", "check", "odd.csv", *words]) == 0
    assert "2015-01-01 05:00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "data check: the following arguments are required: FILE"),
        (["a.csv", "--jsn", "x"], "data check: unrecognized arguments: --jsn"),
        (["a.csv", "b.csv", "--fix", "out.csv"], "'--fix out.csv' names one copy for 2 files"),
        (["a.csv", "--columns", "close"], "'close' is not OURS=THEIRS,…"),
        (["a.csv", "--json", "."], "'--json' must be a file, got the folder ."),
        (["good.csv", "--dialect", "metatradr"], "'data.dialect' must be one of plain, binance"),
        (["good.csv", "--timezone", "Berlin"], "there is no time zone 'Berlin'"),
        (["bad.csv", "--fix", "out.xlsx"], "'--fix out.xlsx' is no CSV or Parquet file"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_written(here, capsys, words, sentence):
    table().to_csv("good.csv", index=False)
    bad_table().to_csv("bad.csv", index=False)
    assert main(["data", "check", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["bad.csv", "good.csv"]


@pytest.mark.parametrize(("words", "sentence"), [(["chek"], "'data chek' is not a command"), ([], "needs a command")])
def test_an_unknown_command_names_the_nearest(capsys, words, sentence):
    assert main(["data", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert ("nearest   check" in said) == bool(words)


def test_help_lists_the_commands(capsys):
    assert main(["data", "--help"]) == 0
    assert "check" in capsys.readouterr().out


REAL_NOTES = {
    "SPY_lean_1h": {"closed-day", "short-session", "partial-first-bar", "outlier", "wick"},
    "EURUSD_dukascopy_ask_1h": {"short-session", "one-sided"},
    "BTCUSD_bitstamp_1h": {"stale-prices", "zero-volume", "outlier", "wick"},
    "XAUUSD_oanda_1h": {
        *("gap", "closed-day", "long-gap", "short-session", "stale-prices", "no-volume"),
        *("spike", "outlier", "wick", "wide-spread"),
    },
}


@pytest.mark.parametrize("name", REAL_NOTES)
def test_real_files_have_the_oddities_that_were_looked_at_by_hand(here, real_data, name):
    path = real_data(f"{name}.parquet")
    assert main(["data", "check", str(path), "--json", "out.json"]) == 0
    (file,) = json.loads((here / "out.json").read_text())["files"]
    assert {finding["rule"] for finding in file["findings"]} == REAL_NOTES[name]


def test_settings_of_a_training_are_understood_as_flags(here, capsys):
    names = {"date": "When", "open": "First, of day", "close": "Last"}
    table().rename(columns=names).to_csv("odd.csv", index=False)
    assert main(["data", "check", "odd.csv"]) == 2
    assert "'data.columns={timestamp: NAME, open: NAME, close: NAME}'" in capsys.readouterr().out
    table().rename(columns={"date": "When", "close": "Last"}).to_csv("odd.csv", index=False)
    assert main(["data", "check", "data.path=odd.csv", "data.columns={timestamp: When, close: Last}"]) == 0
    assert main(["data", "check", "odd.csv", "--columns", "timestamp=When,close=Last"]) == 0
    german = table().rename(columns={"date": "Date"}).map(lambda cell: str(cell).replace(".", ","))
    german.to_csv("german.csv", index=False, sep=";")
    assert main(["data", "check", "german.csv", "data.dialect=decimal_comma"]) == 0
    capsys.readouterr()
    assert main(["data", "check", "german.csv"]) == 2
    said = capsys.readouterr()
    assert "data.dialect=decimal_comma reads it" in said.out
    assert "--fix" not in said.err  # nothing would be left
    assert main(["data", "check", "german.csv", "data.nothing=1"]) == 2
