"""A rollout is stepping the environment by hand, in one pass, and always the same."""

import time
from dataclasses import replace

import numpy as np
import pytest
from handmade import TabledWindowPolicy, WindowPolicy, make_tape, random_tape

from regimegym.common.errors import RunError
from regimegym.common.policy import Decision
from regimegym.envs.settings import (
    AccountSettings,
    ActionSettings,
    EnvSettings,
    EpisodeSettings,
    OrderSettings,
    RewardSettings,
)
from regimegym.envs.state import bar_records
from regimegym.envs.trading_env import TradingEnv
from regimegym.evaluate.cost_curve import scaled_costs
from regimegym.evaluate.metrics import all_metrics
from regimegym.evaluate.random_trader import RandomTrader
from regimegym.evaluate.rollout import Lane, bind, rollout, walk
from regimegym.evaluate.rules import BuyAndHold
from regimegym.features.splits import RowRange

ROWS = RowRange(40, 240)
SETTINGS = EnvSettings(episode=EpisodeSettings(window=30, length=199))
SHORTS = EnvSettings(
    account=AccountSettings(borrow_rate=0.5, credit_rate=0.1),
    action=ActionSettings(allow_short=True),
    episode=EpisodeSettings(length=199),
)
FIELDS = ("equity", "cash", "units", "exposure", "log_returns", "shaped_rewards", "actions", "regimes")


def step_by_hand(policy, tape, settings, rows):
    """Equity, exposure, log returns and rewards of one episode over `rows` in TradingEnv."""
    env = TradingEnv(tape, settings, rows)
    observation, info = env.reset(seed=0)
    assert info["row"] == rows.start
    equity, exposure, log_returns, rewards = [info["equity"]], [info["exposure"]], [], []
    over = False
    while not over:
        batch = {key: value[None] for key, value in observation.items()}
        decision, _ = policy.act(batch, None, np.array([len(rewards) == 0]))
        observation, reward, terminated, truncated, info = env.step(decision.action[0])
        over = terminated or truncated
        equity.append(info["equity"])
        exposure.append(info["exposure"])
        log_returns.append(info["log_return"])
        rewards.append(reward)
    return equity, exposure, log_returns, rewards


@pytest.mark.parametrize("settings", [SETTINGS, SHORTS])
def test_a_rollout_equals_stepping_the_environment_by_hand(settings):
    tape = random_tape(260, 1)
    (run,) = rollout(WindowPolicy(), tape, settings, ROWS)
    equity, exposure, log_returns, rewards = step_by_hand(WindowPolicy(), tape, settings, ROWS)
    assert len(equity) == ROWS.count
    assert run.n_trades > 10
    np.testing.assert_array_equal(run.equity, equity)
    np.testing.assert_array_equal(run.exposure, exposure)
    np.testing.assert_array_equal(run.log_returns, log_returns)
    np.testing.assert_array_equal(run.shaped_rewards, rewards)


def test_a_policy_on_the_tape_decides_as_on_windows():
    tape = random_tape(260, 2)
    (windows,) = rollout(WindowPolicy(), tape, SETTINGS, ROWS)
    (rows,) = rollout(TabledWindowPolicy(), tape, SETTINGS, ROWS)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(rows, name), getattr(windows, name))


def test_accounts_side_by_side_do_not_touch_each_other():
    tape = random_tape(260, 3)
    trader = RandomTrader(SETTINGS, 0.2, random_seed=5)
    runs = rollout(trader, tape, SETTINGS, ROWS, n_accounts=4)
    assert len({run.equity[-1] for run in runs}) == 4
    (alone,) = rollout(trader, tape, SETTINGS, ROWS)
    np.testing.assert_array_equal(alone.equity, runs[0].equity)
    np.testing.assert_array_equal(alone.fills, runs[0].fills)


def test_lanes_walk_as_they_would_alone():
    tape = random_tape(260, 4)
    dear = scaled_costs(SETTINGS, 4.0)
    bars, start = bar_records(tape, "per_bar"), np.array([ROWS.start])
    lanes = [Lane(SETTINGS, bars, start), Lane(dear, bars, start)]
    together = walk(bind(WindowPolicy(), tape, ROWS), tape, lanes, ROWS.count)
    for (run,), settings in zip(together, (SETTINGS, dear), strict=True):
        (alone,) = rollout(WindowPolicy(), tape, settings, ROWS)
        np.testing.assert_array_equal(run.equity, alone.equity)
    assert together[0][0].equity[-1] > together[1][0].equity[-1]


def test_the_same_rollout_twice_is_identical():
    tape = random_tape(260, 5)
    trader = RandomTrader(SHORTS, 0.3, random_seed=1)
    first, second = (rollout(trader, tape, SHORTS, ROWS, n_accounts=3) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        for name in (*FIELDS, "fills"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_no_size_of_the_reward_moves_the_score_of_the_same_trades():
    """T071: what selects a model is Σ Δln V, which no scale of the shaped reward can raise."""
    tape, trader = random_tape(260, 1), RandomTrader(SHORTS, 0.3, random_seed=1)
    doubled = ("uptrend_reward", "downtrend_negative", "plateau_negative", "oscillating_negative")
    rewards = (
        RewardSettings(),
        RewardSettings(reward_scale=1.0, missed_uptrend_penalty=0.1),
        RewardSettings(**dict.fromkeys((f"{name}_scale" for name in doubled), 2.0)),
        RewardSettings(kind="log_return"),
    )
    runs = [rollout(trader, tape, replace(SHORTS, reward=reward), ROWS)[0] for reward in rewards]
    assert len({float(run.shaped_rewards.sum()) for run in runs}) == len(rewards)
    assert len({all_metrics(run)["log_return"] for run in runs}) == 1


def test_a_shortened_run_has_the_metrics_of_its_slice():
    tape = random_tape(260, 6)
    (whole,) = rollout(WindowPolicy(), tape, SETTINGS, ROWS)
    (short,) = rollout(WindowPolicy(), tape, SETTINGS, RowRange(40, 141))
    assert all_metrics(short) == pytest.approx(all_metrics(whole.head(100)), nan_ok=True, rel=1e-12)


def test_the_ledger_explains_the_equity():
    settings = EnvSettings(reward=RewardSettings(kind="log_return"))
    tape = random_tape(260, 7)
    (run,) = rollout(WindowPolicy(), tape, settings, ROWS)
    np.testing.assert_allclose(run.carry, 0.0, atol=1e-8)
    assert run.costs.sum() > 0
    assert run.shaped_rewards.sum() == pytest.approx(100 * np.log(run.equity[-1] / run.equity[0]))
    np.testing.assert_allclose(run.cash + run.units * run.close, run.equity, rtol=1e-12)
    assert run.timestamps[0] == tape.timestamps[40]


@pytest.mark.parametrize("same_close", [False, True])
def test_closed_trades_and_the_open_one_add_up_to_the_whole_result(same_close):
    account = AccountSettings(execution="same_close" if same_close else "next_open", borrow_rate=0.8, debit_rate=0.3)
    settings = EnvSettings(account=account, action=ActionSettings(allow_short=True))
    tape = random_tape(400, 8, volatility=0.02)
    (run,) = rollout(WindowPolicy(), tape, settings, RowRange(40, 400))
    flat_after_last = run.trades["pnl"].sum()
    opened = run.fills[run.fills["step"] == run.trades["exit_step"][-1]]
    assert len(run.trades) > 10
    assert run.open_trades == 1
    # What the open trade lost or won since it was opened by the last turning fill.
    last = opened[-1]
    share = abs(run.units[-1]) / last["units"]
    cost = last["fee"] * share + abs(run.units[-1]) * abs(last["price"] - last["mid"])
    moved = run.units[-1] * (run.close[-1] - last["mid"])
    carried = run.carry[last["row"] - run.first_row :].sum()
    assert flat_after_last + moved - cost + carried == pytest.approx(run.equity[-1] - run.equity[0], rel=1e-6)


def test_a_liquidated_account_is_frozen_and_says_so():
    close = np.concatenate([np.full(50, 100.0), np.linspace(100, 30, 50), np.full(50, 30.0)])
    settings = EnvSettings(account=AccountSettings(max_leverage=3.0), action=ActionSettings(mode="continuous"))
    (run,) = rollout(BuyThrice(), make_tape(close), settings, RowRange(10, 150))
    assert run.terminated
    assert run.units[-1] == 0
    frozen = run.equity[run.fills["step"][-1] + 1 :]
    assert (frozen == frozen[0]).all()
    assert len(run.trades) == 1
    assert run.open_trades == 0
    assert run.n_trades == 1


class BuyThrice:
    """Three times leveraged."""

    def act(self, observations, state, episode_starts):
        return Decision(np.ones((len(episode_starts), 1), dtype=np.float32)), None


@pytest.mark.parametrize("rows", [RowRange(4, 100), RowRange(10, 11), RowRange(100, 261)])
def test_rows_outside_the_usable_part_are_refused(rows):
    tape = random_tape(260, first_row=5)
    with pytest.raises(RunError, match="two rows or more inside one segment of the tape, got") as caught:
        rollout(BuyAndHold(SETTINGS), tape, SETTINGS, rows)
    assert caught.value.needed == "rows within [5, 260) (after warm-up)"


def test_six_thousand_bars_cost_little_besides_the_policy():
    tape = random_tape(6000)
    policy = BuyAndHold(SETTINGS)
    rollout(policy, tape, SETTINGS, RowRange(0, 100))
    begun = time.process_time()
    rollout(policy, tape, SETTINGS, RowRange(0, 6000))
    assert time.process_time() - begun < 0.6


class SeesMasks(WindowPolicy):
    """Keeps what it was told is admissible; orders back and forth."""

    def __init__(self):
        self.seen = []

    def act(self, observations, state, episode_starts):
        self.seen.append(observations.get("masks"))
        return Decision(np.full(len(episode_starts), 1 + len(self.seen) % 2)), state


@pytest.mark.parametrize("orders", [OrderSettings(minimum_hold=5), OrderSettings(turnover_budget=3.0)])
def test_a_policy_is_told_what_the_brakes_admit_as_the_environment_tells(orders):
    tape, settings = random_tape(260, 1), replace(SETTINGS, orders=orders)
    policy = SeesMasks()
    rollout(policy, tape, settings, ROWS, n_accounts=2)
    env = TradingEnv(tape, settings, ROWS)
    env.reset(seed=0)
    refused = 0
    for k, masks in enumerate(policy.seen):
        np.testing.assert_array_equal(masks, np.stack([env.action_masks()] * 2))
        refused += (~masks).sum()
        env.step(1 + (k + 1) % 2)
    assert len(policy.seen) == ROWS.count - 1
    assert refused > 10


def test_without_brakes_a_policy_is_told_nothing_of_masks():
    policy = SeesMasks()
    rollout(policy, random_tape(260, 1), SETTINGS, ROWS)
    assert set(policy.seen) == {None}
