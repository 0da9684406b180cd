"""Learning from further instruments: nothing of them is later than the training bars, nothing else moves."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main
from regimegym.common.errors import ConfigError, DataError
from regimegym.features.market import build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.regimes import RegimeSettings
from regimegym.features.scaling import fit_scaler
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import random_walk_bars
from regimegym.training.further_markets import joined_training_tape, load_further

HOUR = 3_600_000_000_000
TRAIN = RowRange(600, 1_200)


def walk(symbol, seed, n=1_600, hours_late=0.0):
    bars = random_walk_bars(n, seed, 0.01)
    return replace(bars, symbol=symbol, timestamps=bars.timestamps + int(hours_late * HOUR))


def joined(further, least=33):
    market = prepare_market(walk("AAA", 1))
    scaler = fit_scaler(market.table, TRAIN)
    tape = build_tape(market, scaler)
    features = FeatureSettings(market.table.names)
    return tape, *joined_training_tape(further, tape, TRAIN, RegimeSettings(), features, scaler, least)


@pytest.mark.parametrize("hours_late", [0.0, 0.5, -300.25, 250.0])
def test_no_bar_of_another_instrument_closes_after_the_training_has_ended(hours_late):
    own, tape, rows = joined([walk("BBB", 2, hours_late=hours_late)])
    end = own.timestamps[TRAIN.stop - 1] + HOUR
    assert tape.timestamps.max() + HOUR <= end
    assert tape.timestamps[tape.segments[1].start :].max() + 2 * HOUR > end  # and none is left out
    assert rows == RowRange(TRAIN.start, len(tape))
    np.testing.assert_array_equal(tape.close[: TRAIN.stop], own.close[: TRAIN.stop])
    np.testing.assert_array_equal(tape.features[: TRAIN.stop], own.features[: TRAIN.stop])


def test_the_future_of_another_instrument_changes_nothing():
    other = walk("BBB", 2)
    factor = np.where(np.arange(len(other)) < TRAIN.stop, 1.0, 3.0)
    noisy = replace(other, **{name: getattr(other, name) * factor for name in ("open", "high", "low", "close")})
    (_, plain, _), (_, changed, _) = joined([other]), joined([noisy])
    for name in ("close", "features", "regimes", "regime_probabilities"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(changed, name))


def test_an_instrument_without_an_episode_before_validation_is_named():
    with pytest.raises(DataError, match="BBB gives nothing to learn from before validation"):
        joined([walk("BBB", 2, hours_late=1_100)])


def write(path, seed):
    bars = random_walk_bars(1_600, seed, 0.01)
    stamps = np.datetime_as_string(bars.timestamps.astype("datetime64[ns]").astype("datetime64[s]"))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["datetime", "open", "high", "low", "close", "volume"])
        columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        writer.writerows(zip(stamps, *(values.tolist() for values in columns), strict=True))


def test_an_instrument_is_named_once(tmp_path):
    write(tmp_path / "own.csv", 1)
    with pytest.raises(ConfigError, match="names own 1h again"):
        load_further([str(tmp_path / "own.csv")], replace(random_walk_bars(100, 1, 0.01), symbol="own"))


def test_a_run_that_learns_from_two_files_resumes_only_on_both(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "own.csv", 1)
    write(tmp_path / "other.csv", 2)
    words = ["data=file", "data.path=own.csv", "also_learn_from=[other.csv]", "env.episode.symbol_weights={other: 1}"]
    assert main(["train", *words, *TINY_DQN[1:], "run_dir=run", "trainer.total_steps=200"]) == 0
    assert "also learns from other 1h" in " ".join(capsys.readouterr().out.split())
    manifest = tmp_path / "run" / "manifest.json"
    assert list(read(manifest)["further_fingerprints"]) == ["the bars of other 1h"]
    write(tmp_path / "other.csv", 3)
    assert main(["evaluate", "run=run"]) == 0  # what is judged has not changed
    manifest.write_text(manifest.read_text().replace('"status": "finished"', '"status": "interrupted"'))
    capsys.readouterr()
    assert main(["train", "resume=run"]) == 2
    assert "the bars of other 1h" in capsys.readouterr().err
