"""A saved model acts on raw bars as it acted in its run: three lines of Python, one command."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fresh_run import make_run

import regimegym
from regimegym.agents.checkpoint import load_policy as load_model
from regimegym.cli.main import main
from regimegym.common.errors import ConfigError, DataError, ModelError
from regimegym.envs.settings import AccountSettings, ActionSettings
from regimegym.evaluate.rollout import rollout
from regimegym.features.bars import NS_PER_DAY
from regimegym.features.sources import synthetic
from regimegym.features.splits import RowRange
from regimegym.features.tape import with_still_bar


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        training = make_run("run_dir=runs/one")
        frame_of(synthetic(700, 5)).to_csv("new.csv", index=False)
        yield training


@pytest.fixture(scope="module")
def trader(training):
    return regimegym.load_policy(training.folder.path)


@pytest.fixture(scope="module")
def bars():
    return synthetic(700, 5)


@pytest.fixture(scope="module")
def decisions(trader, bars):
    return trader.decide(bars)


def frame_of(bars):
    times = pd.to_datetime(bars.timestamps, utc=True)
    return pd.DataFrame({"datetime": times} | {n: getattr(bars, n) for n in ("open", "high", "low", "close", "volume")})


def test_on_its_own_bars_it_does_what_the_run_measured(training, trader):
    experiment = training.experiment
    rows = RowRange(experiment.tape.segments[0].first_row, len(experiment.tape))
    policy, _ = load_model(training.folder.model)
    (run,) = rollout(policy, experiment.tape, experiment.settings, rows)
    found = trader.rollout(experiment.market.bars)
    assert len(found) == len(run)
    assert run.n_trades > 0
    np.testing.assert_array_equal(found.equity, run.equity)
    np.testing.assert_array_equal(found.actions, run.actions)


def test_a_file_and_a_frame_are_the_same_bars(trader, decisions, bars):
    pd.testing.assert_frame_equal(trader.decide("new.csv"), decisions)
    pd.testing.assert_frame_equal(trader.decide(frame_of(bars)), decisions)
    assert decisions.index[-1] == pd.Timestamp(bars.timestamps[-1], tz="UTC")
    assert {"close", "regime", "action", "target", "exposure", "equity", "score_BUY", "p_uptrend"} <= set(decisions)


def test_what_is_decided_at_a_close_does_not_change_with_later_bars(trader, decisions, bars):
    assert decisions["action"].nunique() > 1
    for n in (650, 671, 672):
        shorter = trader.decide(bars.rows(0, n))
        pd.testing.assert_frame_equal(shorter, decisions.iloc[: len(shorter)], rtol=1e-6)


def test_the_newest_decision_is_the_last_row(trader, decisions, bars):
    found, last = trader.newest(bars), decisions.iloc[-1]
    assert (found.action, found.regime, found.exposure) == (last["action"], last["regime"], last["exposure"])
    assert found.scores == {name: last[f"score_{name}"] for name in ("HOLD", "SELL", "BUY")}
    assert found.bar_ns == bars.timestamps[-1]
    assert found.close_ns - found.bar_ns == bars.timeframe_ns
    assert json.loads(json.dumps(found.to_dict()))["close_time"].endswith("+00:00")


def test_the_order_is_what_the_next_open_would_fill(trader, decisions, bars):
    """Where the next bar opens at this close and costs are as always, the next step buys as many units."""
    first = int(np.flatnonzero(decisions["action"] == "BUY")[0]) + len(bars) - len(decisions)
    found = trader.newest(bars.rows(0, first + 1))
    assert found.action == "BUY"
    paid = 1 + trader.settings.account.half_spread + trader.settings.account.slippage
    cost = paid * (1 + trader.settings.account.fee_rate)
    assert found.order_units == pytest.approx(found.equity / found.close / cost, rel=1e-3)
    assert found.target == 1.0


def test_a_position_of_ones_own_is_asked_about(trader, bars, decisions):
    held, flat = trader.newest(bars, exposure=1.0), trader.newest(bars, exposure=0.0)
    assert (held.exposure, flat.exposure) == (1.0, 0.0)
    assert held.followed_since_ns is None
    assert held.scores != flat.scores
    for found in (held, flat):
        wanted = found.exposure if found.target is None else found.target
        assert found.order_share == pytest.approx(wanted - found.exposure, abs=0.01)
    with pytest.raises(ConfigError, match="'exposure' must be a number from 0 to 1"):
        trader.newest(bars, exposure=-0.5)


def test_a_model_folder_without_its_run_is_enough(training, trader, bars, tmp_path):
    shutil.copytree(training.folder.model, tmp_path / "alone")
    alone = regimegym.load_policy(tmp_path / "alone")
    assert alone.newest(bars).scores == trader.newest(bars).scores
    dear = replace(alone.settings, account=AccountSettings(fee_rate=0.05))
    assert regimegym.load_policy(tmp_path / "alone", settings=dear).newest(bars).equity < trader.newest(bars).equity


def test_settings_with_other_actions_are_refused(training, trader):
    other = replace(trader.settings, action=ActionSettings(allow_short=True))
    with pytest.raises(ModelError, match="not those of the environment that the model acts in"):
        regimegym.load_policy(training.folder.path, settings=other)


def test_a_newest_bar_behind_a_long_gap_is_not_guessed_at(trader, bars):
    times = bars.timestamps.copy()
    times[-20:] += 60 * NS_PER_DAY
    with pytest.raises(DataError, match="stand behind a long gap, with too few before them") as caught:
        trader.newest(replace(bars, timestamps=times))
    assert "bars without a long gap" in caught.value.needed


def test_the_still_bar_moves_nothing(training):
    tape = training.experiment.tape
    longer = with_still_bar(tape, tape.segments[0])
    assert len(longer) == len(tape) + 1
    np.testing.assert_array_equal(longer.close[:-1], tape.close)
    assert longer.open[-1] == longer.high[-1] == longer.low[-1] == longer.close[-1] == tape.close[-1]
    assert longer.segments[0].stop == len(longer)


def test_the_command_prints_the_decision_and_as_json(training, trader, capsys):
    assert main(["signal", "run=runs/one", "data.path=new.csv"]) == 0
    said = capsys.readouterr().out
    for word in ("decision", "size", "scores", "regime", "account   has followed the model since", "runs/one/model"):
        assert word in said
    assert main(["signal", "run=runs/one", "data.path=new.csv", "--json", "exposure=0.5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["action"] == trader.newest("new.csv", exposure=0.5).action
    assert found["exposure"] == 0.5


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["data.path=new.csv"], "error run/no-run-named signal needs a run"),
        (["run=runs/one"], "needed    data.path=FILE (.csv or .parquet)"),
        (["run=runs/none", "data.path=new.csv"], "'runs/none' is no run folder"),
        (["run=runs/one", "data.path=missing.csv"], "missing.csv"),
    ],
)
def test_a_mistake_ends_with_one_message(training, capsys, words, text):
    assert main(["signal", *words]) == 2
    assert text in capsys.readouterr().err
