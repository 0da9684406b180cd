"""Folds are what they say, and one account trades all of them: nothing is free between two models."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from handmade import HOUR_NS, TabledWindowPolicy, WindowPolicy, make_tape, random_tape
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from regimegym.agents.gate import Gate, gated
from regimegym.common.errors import DataError
from regimegym.common.policy import Decision
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings
from regimegym.evaluate.baselines import BuyAndHold, Flat
from regimegym.evaluate.metrics import METRICS, all_metrics
from regimegym.evaluate.retraining import feature_reason, performance_reason, results_of
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.walk_forward import (
    FoldModel,
    plan_folds,
    trade_in_turn,
    walk_forward,
)
from regimegym.features.splits import DateSplitSettings, RowRange, WalkForward
from regimegym.features.tape import Segment

SETTINGS = EnvSettings()
SPAN = st.one_of(st.integers(150, 400), st.sampled_from(["10 days", "3 weeks", "1mo", "14d"]))


@settings(max_examples=30)
@given(
    st.integers(1500, 4000),
    st.integers(0, 300),
    SPAN,
    st.one_of(st.integers(100, 300), st.sampled_from(["7 days", "14d", "1mo"])),
    st.integers(0, 30),
    st.booleans(),
    st.floats(0.2, 0.4),
    st.sampled_from(["2021-01-01", "2021-01-31", "2020-02-29"]),
)
def test_folds_never_overlap_are_purged_and_begin_after_the_warm_up(
    n, first_row, window, step, purge, anchored, share, begin
):
    stamps = np.datetime64(begin, "ns").astype(np.int64) + np.arange(n) * HOUR_NS
    windows = WalkForward(window, step, step, anchored, min_test=50)
    least = first_row + 400 + 300 if isinstance(window, int) else first_row + 31 * 24 + 300
    assume(n > least)
    planned = plan_folds(stamps, [Segment("A", 0, n, first_row)], windows, purge, share)
    assert planned
    later_start = None
    for fold, dates in planned:
        text = {k: pd.Timestamp(v, tz="UTC").isoformat() for k, v in dates._asdict().items() if k != "name"}
        split = DateSplitSettings(**text).cut(stamps, first_row, purge, 1)  # as a training cuts
        assert split.test == (fold.test[0], fold.test[-1] + 1)
        assert split.train.start == fold.train[0] >= first_row
        assert split.validation.stop == fold.train[-1] + 1 == split.test.start - purge
        assert split.validation.start - split.train.stop == purge
        assert later_start is None or split.test.start == later_start  # tests meet, none is traded twice
        later_start = split.test.stop
    assert planned[-1][0].test[-1] < n


def folds_of(tape, train=120, test=60, purge=30):
    planned = plan_folds(tape.timestamps, tape.segments, WalkForward(train, test, test, min_test=20), purge)
    return [fold for fold, _ in planned]


def rows_of(fold):
    return RowRange(int(fold.test[0]), int(fold.test[-1]) + 1)


@pytest.mark.parametrize("policy", [WindowPolicy(), TabledWindowPolicy()], ids=["windows", "rows"])
def test_the_same_model_in_every_fold_trades_as_if_there_were_no_folds(policy):
    tape = random_tape(500, first_row=40)
    folds = folds_of(tape)
    assert len(folds) == 6
    found, models = walk_forward(folds, lambda fold, before: FoldModel(policy, tape, rows_of(fold)), SETTINGS)
    (whole,) = rollout(policy, tape, SETTINGS, RowRange(models[0].rows.start, models[-1].rows.stop))
    (stitched,) = found.trajectories
    np.testing.assert_array_equal(stitched.equity, whole.equity)
    np.testing.assert_array_equal(stitched.fills, whole.fills)
    assert whole.n_trades > 4
    assert found.metrics == all_metrics(whole)


def test_a_position_passes_to_the_next_model_without_a_trade():
    tape = make_tape(np.linspace(100, 200, 300), first_row=40)
    folds = folds_of(tape)
    found, _ = walk_forward(folds, lambda fold, before: FoldModel(BuyAndHold(SETTINGS), tape, rows_of(fold)), SETTINGS)
    assert found.metrics["trades"] == 1
    assert (np.diff(found.trajectories[0].units[2:]) == 0).all()


def test_a_model_behind_a_closed_gate_sells_what_it_inherits_and_stays_flat():
    tape = random_tape(300, first_row=40)
    closed = gated(BuyAndHold(SETTINGS), Gate(1.5, 0.0), SETTINGS.action)
    models = [FoldModel(BuyAndHold(SETTINGS), tape, RowRange(60, 150)), FoldModel(closed, tape, RowRange(150, 280))]
    (found,) = trade_in_turn(models, SETTINGS).trajectories
    assert found.fills["side"].tolist() == [1, -1]
    assert (found.exposure[2:91] > 0.9).all()
    assert (found.exposure[91:] == 0.0).all()


def test_each_fold_is_decided_by_its_own_model_on_its_own_tape():
    tape = random_tape(300, first_row=40)
    ladder = EnvSettings(action=ActionSettings(mode="target", ladder=(0.0, 1.0)))
    seen = []

    class Noted:
        def __init__(self, name):
            self.name = name

        def act(self, observations, state, episode_starts):
            seen.append((self.name, float(observations["market"][0, 0, 0]), bool(episode_starts[0]), state))
            return Decision(np.array([0])), (state or 0) + 1

    tapes = [replace(tape, features=np.full_like(tape.features, k)) for k in range(3)]
    models = [FoldModel(Noted(k), tapes[k], RowRange(100 + 50 * k, 150 + 50 * k)) for k in range(3)]
    trade_in_turn(models, ladder)
    assert [name for name, *_ in seen] == [0] * 50 + [1] * 50 + [2] * 49
    assert all(name == value for name, value, *_ in seen)
    assert [k for k, (_, _, begins, _) in enumerate(seen) if begins] == [0, 50, 100]  # memory begins anew
    assert [state for *_, state in seen[49:52]] == [49, None, 1]


def test_a_long_gap_ends_in_cash_and_the_money_goes_on():
    first, second = random_tape(150, 1), random_tape(150, 2)
    close = np.concatenate([first.close, second.close])
    tape = replace(
        make_tape(close),
        segments=(Segment("A", 0, 150, 0), Segment("A", 150, 300, 160)),
        segment_start=np.repeat([0, 150], 150),
    )
    models = [FoldModel(WindowPolicy(), tape, RowRange(60, 180)), FoldModel(WindowPolicy(), tape, RowRange(180, 300))]
    found = trade_in_turn(models, SETTINGS)
    before, after = found.trajectories
    assert [len(t) for t in found.trajectories] == [150 - 60 - 1, 300 - 160 - 1]
    assert after.equity[0] == before.equity[-1]
    assert found.metrics["final_value"] == after.equity[-1]
    assert found.metrics["log_return"] == pytest.approx(before.log_returns.sum() + after.log_returns.sum())
    assert found.metrics["trades"] == before.n_trades + after.n_trades
    assert list(found.metrics) == list(METRICS)
    frame = found.frame
    assert len(frame) == 90 + 140
    assert frame["fold"].tolist() == [1] * 90 + [1] * 20 + [2] * 120


def test_a_ruined_account_trades_no_more():
    tape = make_tape(np.concatenate([np.full(100, 100.0), np.full(100, 1e-3)]))
    two = replace(
        tape,
        segments=(Segment("A", 0, 120, 0), Segment("A", 120, 200, 120)),
        segment_start=np.repeat([0, 120], [120, 80]),
    )
    account = AccountSettings(max_leverage=3.0, margin_check="none", floor_zero=True)
    leveraged = replace(SETTINGS, account=account, action=ActionSettings(mode="target", ladder=(0.0, 3.0)))

    class Leveraged:
        def act(self, observations, state, episode_starts):
            return Decision(np.array([1])), None

    found = trade_in_turn([FoldModel(Leveraged(), two, RowRange(50, 200))], leveraged)
    assert len(found.trajectories) == 1
    assert found.metrics["final_value"] == 0.0


def test_tests_that_overlap_cannot_be_one_account():
    tape = random_tape(200)
    models = [FoldModel(Flat(SETTINGS), tape, RowRange(*rows)) for rows in ((50, 120), (110, 180))]
    with pytest.raises(DataError, match=r"\[110, 180\) begin before \[50, 120\) end"):
        trade_in_turn(models, SETTINGS)
    with pytest.raises(DataError, match="no fold to trade"):
        trade_in_turn([], SETTINGS)


def test_a_model_is_trained_anew_only_where_it_is_asked_for_which_sees_only_the_past():
    tape = random_tape(700, first_row=40)
    folds = folds_of(tape)
    asked, trained = [], []

    def retrain(own, model):
        asked.append((int(own.train[-1]), *model.rows))
        return model.rows.stop > folds[3].test[0]

    def fit(fold, before):
        trained.append((fold.name, before is not None))
        return FoldModel(BuyAndHold(SETTINGS), tape, rows_of(fold))

    found, models = walk_forward(folds, fit, SETTINGS, retrain)
    assert trained == [("fold 1", False), *((fold.name, True) for fold in folds[4:])]
    assert [stop for _, _, stop in asked] == [int(fold.test[0]) for fold in folds[1:]]
    assert [start for _, start, _ in asked] == [int(fold.test[0]) for fold in folds[:-1]]  # what was traded last
    assert all(train < start < stop for train, start, stop in asked)
    assert [model.rows for model in models] == [rows_of(fold) for fold in folds]
    assert found.frame["fold"].max() == len(folds)


def tape_that_turns(at, n=1500, calm=False):
    """A rising walk that falls from row `at` on."""
    drift = np.zeros(n) if calm else np.where(np.arange(n) < at, 0.002, -0.004)
    moves = drift + np.random.default_rng(5).normal(0.0, 0.006, n)
    return make_tape(100.0 * np.exp(np.cumsum(moves)), first_row=40)


@pytest.mark.parametrize(("calm", "trained"), [(False, [0, 5]), (True, [0])])
def test_results_that_fall_ask_for_a_new_model_once_and_results_that_stay_do_not(calm, trained):
    folds = folds_of(tape_that_turns(0), train=400, test=150)
    turn = int(folds[4].test[0])
    tape, found = tape_that_turns(turn, calm=calm), []
    assert len(folds) == 7

    def fit(fold, before):
        found.append(folds.index(fold))
        return FoldModel(BuyAndHold(SETTINGS), tape, rows_of(fold))

    def retrain(own, model):
        validation = RowRange(int(own.train[-1]) - 150, int(own.train[-1]) + 1)
        before = results_of(model, validation, SETTINGS)
        assert len(before) == 150
        return performance_reason(before, results_of(model, model.rows, SETTINGS), np.random.default_rng(0)) != ""

    walk_forward(folds, fit, SETTINGS, retrain)
    assert found == trained


def test_a_reason_names_what_fell_and_too_few_bars_are_none():
    draws, flat = np.random.default_rng(1), np.zeros(200)
    good, bad = draws.normal(0.002, 0.01, 400), draws.normal(-0.004, 0.01, 200)
    reason = performance_reason(good, bad, draws)
    assert re.fullmatch(r"log return per bar fell from \+0\.\d{4} % to −0\.\d{4} % \(p = 0\.00\d\)", reason)
    assert performance_reason(bad, good, draws) == ""
    assert performance_reason(flat, flat, draws) == ""
    assert performance_reason(good, bad[:49], draws) == ""
    names = ["a", "b", "c", "d", "e"]
    before, now = draws.normal(size=(600, 5)), draws.normal(size=(200, 5))
    assert feature_reason(before, now, names, draws) == ""
    assert feature_reason(before, now + 2.0, names, draws) == "a, b, c and 2 more drifted"
    assert feature_reason(before, now[:49] + 2.0, names, draws) == ""
