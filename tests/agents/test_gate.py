"""The gate keeps a model flat that does not stand out of its own noise on validation."""

import numpy as np
import pytest

from regimegym.agents.gate import FlatPolicy, Gate, flat_action, gate_statistic, gated
from regimegym.common.actions import Action
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.envs.settings import ActionSettings

OBSERVATIONS = {"account": np.zeros((3, 6), np.float32), "row": np.arange(3)}


def test_the_statistic_is_the_t_of_the_mean():
    log_returns = np.array([0.01, -0.005, 0.02, 0.0])
    expected = log_returns.mean() / (log_returns.std(ddof=1) / 2)
    assert gate_statistic(log_returns) == pytest.approx(expected)
    assert gate_statistic(np.zeros(5)) == 0.0
    assert gate_statistic(np.ones(1)) == 0.0


def test_a_closed_gate_never_trades_and_an_open_one_is_not_there():
    inner = FlatPolicy(2)
    action = ActionSettings(mode="target", ladder=(-1.0, 0.0, 1.0))
    assert gated(inner, None, action) is inner
    assert gated(inner, Gate(1.5, 1.6), action) is inner
    closed = gated(inner, Gate(1.5, 1.5), action)
    decision, _ = closed.on_tape(None, 0, 9).act(OBSERVATIONS, None, np.ones(3, bool))
    assert decision.action.tolist() == [1, 1, 1]


def test_a_closed_gate_closes_what_it_finds_open():
    account = np.zeros((3, 6), np.float32)
    account[1, ACCOUNT_FIELDS.index("exposure")] = 0.5
    decision, _ = FlatPolicy(int(Action.HOLD)).act({"account": account})
    assert decision.action.tolist() == [Action.HOLD] * 3
    np.testing.assert_array_equal(decision.target, [np.nan, 0.0, np.nan])
    assert FlatPolicy(int(Action.HOLD)).act(OBSERVATIONS)[0].target is None


def test_flat_is_what_each_kind_of_action_calls_it():
    assert flat_action(ActionSettings()) == Action.HOLD
    assert flat_action(ActionSettings(mode="target", ladder=(-0.5, 0.0))) == 1
    assert flat_action(ActionSettings(mode="target", ladder=(0.5, 1.0))) is None
    continuous = FlatPolicy(flat_action(ActionSettings(mode="continuous")))
    assert continuous.act(OBSERVATIONS)[0].action.shape == (3, 1)
