"""Learning from further instruments: nothing of them is later than the training bars, nothing else moves."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main
from regimegym.common.errors import ConfigError, DataError
from regimegym.common.seeding import generator
from regimegym.features.market import build_tape, prepare_market
from regimegym.features.pipeline import FeatureSettings
from regimegym.features.regimes import RegimeSettings
from regimegym.features.scaling import fit_scaler
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.worlds import random_walk_bars
from regimegym.supervised.predictor_set import stream_name
from regimegym.supervised.registry import get_predictor
from regimegym.supervised.signals import cross_fit
from regimegym.training.compose import compose_config
from regimegym.training.further_markets import further_markets, joined_training_tape, load_further, training_end
from regimegym.training.predictions import further_columns, training_lesson
from regimegym.training.wiring import build

HOUR = 3_600_000_000_000
TRAIN = RowRange(600, 1_200)


def walk(symbol, seed, n=1_600, hours_late=0.0):
    bars = random_walk_bars(n, seed, 0.01)
    return replace(bars, symbol=symbol, timestamps=bars.timestamps + int(hours_late * HOUR))


def joined(further, least=33):
    market = prepare_market(walk("AAA", 1))
    scaler = fit_scaler(market.table, TRAIN)
    tape = build_tape(market, scaler)
    others = further_markets(further, market, RegimeSettings(), FeatureSettings())
    return tape, *joined_training_tape(others, tape, TRAIN, training_end(market, TRAIN), scaler, least)


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


PREDICTING = ["predictors=[last_value]", "features=minimal", "target.horizon=5", "folds.n_splits=2", "random_seed=3"]


def signals_of(other, names=("last_value_up",)):
    """Signals of another instrument that is learned from beside AAA, its market, and the end of the training."""
    config = compose_config("train", PREDICTING)
    market = prepare_market(walk("AAA", 1), None, build(config.features))
    end = training_end(market, TRAIN)
    (other,) = further_markets([other], market, RegimeSettings(), build(config.features))
    (columns,) = further_columns(config, [other], end, names)
    return config, columns, other, end


def test_signals_of_another_instrument_come_from_its_own_earlier_rows():
    config, columns, other, end = signals_of(walk("BBB", 2, hours_late=50.0))
    stop = int(np.searchsorted(other.bars.timestamps + HOUR, end, side="right"))
    assert stop == TRAIN.stop - 50
    lesson = training_lesson(config, other, RowRange(other.table.warm_up, stop))
    found = cross_fit(
        lambda: get_predictor("last_value"),
        lesson,
        build(config.folds),
        lambda k: generator(3, stream_name("last_value", k)),
    )
    np.testing.assert_array_equal(columns[other.table.warm_up : stop], found.columns)
    assert np.isnan(found.columns).any()
    assert np.ptp(found.columns[found.fold == 1]) > 0


def test_what_another_instrument_does_after_the_training_changes_no_signal_before():
    other, later = walk("BBB", 2), walk("BBB", 9)
    is_early, names = np.arange(len(other)) < TRAIN.stop, ("open", "high", "low", "close")
    noisy = replace(other, **{name: np.where(is_early, getattr(other, name), getattr(later, name)) for name in names})
    plain, changed = signals_of(other)[1], signals_of(noisy)[1]
    np.testing.assert_array_equal(plain[: TRAIN.stop], changed[: TRAIN.stop])
    assert not np.array_equal(plain, changed, equal_nan=True)


def test_an_instrument_that_holds_no_folds_or_has_other_states_is_named():
    with pytest.raises(DataError, match="the predictors cannot learn from BBB"):
        signals_of(walk("BBB", 2, hours_late=1_100))
    with pytest.raises(DataError, match="other classes on BBB"):
        signals_of(walk("BBB", 2), ("hmm_state_2",))


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
    words += ["predictors=[last_value]", "folds.n_splits=2"]
    assert main(["train", *words, *TINY_DQN[1:], "run_dir=run", "trainer.total_steps=200"]) == 0
    assert read(tmp_path / "run" / "model" / "model.json")["feature_names"][-1] == "last_value_up"
    ours, theirs = load((tmp_path / "run" / "predictions.safetensors").read_bytes()).values()
    assert ours.shape == theirs.shape == (1_600, 1)
    assert "also learns from other 1h" in " ".join(capsys.readouterr().out.split())
    manifest = tmp_path / "run" / "manifest.json"
    assert list(read(manifest)["further_fingerprints"]) == ["the bars of other 1h"]
    write(tmp_path / "other.csv", 3)
    assert main(["evaluate", "run=run"]) == 0  # what is judged has not changed
    manifest.write_text(manifest.read_text().replace('"status": "finished"', '"status": "interrupted"'))
    capsys.readouterr()
    assert main(["train", "resume=run"]) == 2
    assert "the bars of other 1h" in capsys.readouterr().err
