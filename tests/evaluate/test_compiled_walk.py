"""A walk that stays in compiled code is the walk that asks the policy bar by bar, bit by bit."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from handmade import random_tape

from regimegym.agents.networks.q_network import build_q_network
from regimegym.agents.networks.settings import NetworkSettings
from regimegym.agents.policy import TabledQPolicy
from regimegym.envs.observation import ACCOUNT_FIELDS
from regimegym.envs.settings import (
    AccountSettings,
    ActionSettings,
    EnvSettings,
    EpisodeSettings,
    OrderSettings,
    RewardSettings,
)
from regimegym.envs.state import bar_records
from regimegym.evaluate.rollout import Bound, Lane, rollout_with_scores, stays_compiled, walk
from regimegym.features.splits import RowRange

WINDOW, START, N_ROWS = 3, 20, 1500
LADDER = ActionSettings(mode="target", ladder=(-2.0, -1.0, 0.0, 0.5, 1.0, 2.0))
TAPE = random_tape(START + N_ROWS + 5, volatility=0.02, first_row=5)
SETTINGS = {
    "defaults": EnvSettings(),
    "trade with shorts": EnvSettings(action=ActionSettings(allow_short=True)),
    "a leveraged ladder with carry": EnvSettings(
        account=AccountSettings(max_leverage=2.0, borrow_rate=0.3, debit_rate=0.2, credit_rate=0.1), action=LADDER
    ),
    "fills at the close, margin inside the bar": EnvSettings(
        account=AccountSettings(execution="same_close", margin_check="intrabar", max_leverage=2.0), action=LADDER
    ),
    "exits and brakes": EnvSettings(
        orders=OrderSettings(stop_loss=0.03, take_profit=0.05, minimum_hold=3, turnover_budget=40.0)
    ),
    "a ruinous account": EnvSettings(
        account=AccountSettings(max_leverage=20.0, fee_rate=0.01),
        action=ActionSettings(mode="target", ladder=(-20, 20)),
    ),
    "lots and a drawdown reward": EnvSettings(
        account=AccountSettings(lot=1.0, sizing="cash"), reward=RewardSettings(kind="drawdown_penalised")
    ),
}


class Asked:
    """The same policy, asked bar by bar; its scores are kept."""

    def __init__(self, policy):
        self.policy = policy
        self.scores = []

    def act(self, observations, state, episode_starts):
        decision, state = self.policy.act(observations, state, episode_starts)
        self.scores.append(decision.scores)
        return decision, state


class Moody:
    """A reward of the user's own."""

    def reward(self, step):
        return step.log_return * 2


def tabled(n_actions, stop=START + N_ROWS, **heads):
    """A policy that reacts to market and account, with random weights."""
    torch.manual_seed(n_actions)
    settings = NetworkSettings(kind="mlp", feature_width=8, memory_width=6, head_width=8)
    network = build_q_network(WINDOW, TAPE.n_features, len(ACCOUNT_FIELDS), n_actions, settings, **heads)
    for name, parameter in network.named_parameters():
        torch.nn.init.normal_(parameter, std=0.0 if name.endswith("bias") else 1.0)
        if name in ("heads.advantage.0.weight", "heads.value.0.weight"):
            parameter.data[:, settings.memory_width :] *= 0.1  # the market has more to say, so that it trades
    return TabledQPolicy(network.train(False), TAPE, START, stop, torch.device("cpu"))


def lane_of(settings, delay=0, starts=(START, START + 1)):
    return Lane(settings, bar_records(TAPE, settings.account.carry_clock), np.array(starts), delay)


def actions_of(settings):
    return len(settings.action.ladder) if settings.action.mode == "target" else 3


def assert_same(found, expected):
    for field in fields(expected):
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(ours, theirs, err_msg=field.name)
        if isinstance(theirs, np.ndarray):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_bit_of_a_trajectory_is_that_of_asking_bar_by_bar(name):
    settings = SETTINGS[name]
    policy, lanes = tabled(actions_of(settings)), [lane_of(settings), lane_of(settings, delay=2)]
    assert stays_compiled(Bound(policy, True), lanes, N_ROWS - 1)
    found = walk(Bound(policy, True), TAPE, lanes, N_ROWS - 1)
    asked = Asked(policy)
    assert not stays_compiled(Bound(asked, True), lanes, N_ROWS - 1)
    expected = walk(Bound(asked, True), TAPE, lanes, N_ROWS - 1)
    assert len(asked.scores) == N_ROWS - 2
    assert [len(lane) for lane in found] == [2, 2]
    for ours, theirs in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
        assert_same(ours, theirs)
        assert len(np.unique(theirs.actions)) > 1
        assert len(theirs.fills) > (1 if name == "a ruinous account" else 20)
    assert found[0][0].terminated == (name == "a ruinous account")
    assert np.abs(np.diff(asked.scores, axis=0)).max() > 0.1


def test_scores_are_those_of_asking():
    class OnTape:
        def __init__(self, inner):
            self.inner = inner

        def on_tape(self, tape, start, stop):
            return self.inner

        def act(self, observations, state, episode_starts):
            raise AssertionError("bound to the tape before it is asked")

    policy, rows = tabled(3), RowRange(START, START + N_ROWS)
    found = rollout_with_scores(OnTape(policy), TAPE, EnvSettings(), rows)
    expected = rollout_with_scores(OnTape(Asked(policy)), TAPE, EnvSettings(), rows)
    assert_same(found.trajectory, expected.trajectory)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert found.scores.shape == (N_ROWS - 1, 3)


def test_more_fills_than_there_is_room_for_at_first_are_all_kept(monkeypatch):
    settings, policy = SETTINGS["trade with shorts"], tabled(3)
    (expected,) = walk(Bound(policy, True), TAPE, [lane_of(settings, starts=(START,))], N_ROWS)[0]
    monkeypatch.setattr("regimegym.evaluate.compiled_walk.FIRST_ROOM", 16)
    (found,) = walk(Bound(policy, True), TAPE, [lane_of(settings, starts=(START,))], N_ROWS)[0]
    assert len(expected.fills) > 64
    assert_same(found, expected)


def test_what_is_more_than_folded_heads_is_asked_bar_by_bar():
    plain, lane = Bound(tabled(3), True), lane_of(EnvSettings())
    assert stays_compiled(plain, [lane], N_ROWS - 1)
    own = EnvSettings(reward=RewardSettings(kind="custom", rule=Moody()))
    assert not stays_compiled(plain, [lane, lane_of(own)], N_ROWS - 1)
    assert not stays_compiled(Bound(tabled(3, n_quantiles=4), True), [lane], N_ROWS - 1)
    assert not stays_compiled(Bound(tabled(3, afterstate=True), True), [lane], N_ROWS - 1)


def test_rows_without_an_encoding_are_refused_as_ever():
    policy = tabled(3, stop=START + 100)
    assert stays_compiled(Bound(policy, True), [lane_of(EnvSettings(), starts=(START,))], 101)
    with pytest.raises(IndexError, match="rows must lie in"):
        walk(Bound(policy, True), TAPE, [lane_of(EnvSettings(), starts=(START,))], 102)


def test_a_reward_of_ones_own_is_paid_in_a_rollout():
    own = EnvSettings(episode=EpisodeSettings(window=WINDOW), reward=RewardSettings(kind="custom", rule=Moody()))
    (run,) = walk(Bound(tabled(3), True), TAPE, [lane_of(own, starts=(START,))], 200)[0]
    np.testing.assert_allclose(run.shaped_rewards, 2 * run.log_returns, rtol=1e-12)
    assert np.abs(run.log_returns).max() > 0
