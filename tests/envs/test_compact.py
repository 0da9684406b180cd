"""A packed account fares as the account it was packed from, whatever is ordered next."""

from dataclasses import replace

import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv
from tapes import random_tape

from regimegym.common.errors import ConfigError, RegimeGymError
from regimegym.envs.actions import ActionTranslator
from regimegym.envs.compact import account_codec
from regimegym.envs.core import step_batch
from regimegym.envs.observation import ACCOUNT_FIELDS, write_account_blocks
from regimegym.envs.order_settings import OrderSettings
from regimegym.envs.outcomes import outcome_batch
from regimegym.envs.recorded_source import record_steps
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings, RewardSettings
from regimegym.envs.stages import Stage
from regimegym.envs.state import bar_records, new_accounts, rule_record
from regimegym.envs.trading_env import TradingEnv

LADDER = (-1.5, -0.7, -0.1, 0.0, 0.1, 0.3, 2.0)
TAPE = random_tape(400, 3, 0.03)
LEVERAGED = AccountSettings(
    max_leverage=2.0, margin_check="intrabar", borrow_rate=0.1, debit_rate=0.2, credit_rate=0.05
)


def settings_of(**changes) -> EnvSettings:
    account = changes.pop("account", LEVERAGED)
    return EnvSettings(account=account, action=ActionSettings(mode="target", ladder=LADDER), **changes)


CASES = {
    "default": settings_of(),
    "every brake and exit": settings_of(
        orders=OrderSettings(
            stop_loss=0.05, take_profit=0.08, dead_band=0.05, minimum_hold=4, turnover_budget=3.0, turnover_window=13
        )
    ),
    "one budget": settings_of(orders=OrderSettings(turnover_budget=30.0)),
    "always, same close": settings_of(
        account=replace(LEVERAGED, rebalance="always", band=0.02, execution="same_close")
    ),
    "pre cost": settings_of(account=replace(LEVERAGED, sizing="pre_cost", spread_source="bars")),
    "cash": settings_of(account=replace(LEVERAGED, sizing="cash", floor_zero=True)),
    "fixed fee and lots": settings_of(account=replace(LEVERAGED, fixed_fee=3.0, lot=0.5, rebalance="always")),
    "impact": settings_of(account=replace(LEVERAGED, impact=0.01)),
    "long ring": settings_of(reward=RewardSettings(max_trades_window=60, max_trades=3)),
    "sharpe": settings_of(reward=RewardSettings(kind="differential_sharpe", sharpe_adaptation=0.05)),
    "drawdown": settings_of(reward=RewardSettings(kind="drawdown_penalised")),
}  # fmt: skip
WITH_LIQUIDATIONS = {"default", "one budget", "pre cost", "cash", "impact", "long ring", "sharpe", "drawdown"}


def lived_accounts(settings, n=300, seed=0):
    """Accounts of different histories, some liquidated, and the rows they stand on."""
    bars, rules = bar_records(TAPE, settings.account.carry_clock), rule_record(settings)
    rng = np.random.default_rng(seed)
    accounts, rows = new_accounts(n, settings), rng.integers(0, 300, n)
    for _ in range(70):
        targets = np.where(rng.random(n) < 0.7, np.nan, rng.choice(LADDER, n))
        accounts = step_batch(bars, rules, rows, accounts, targets).accounts
        rows = rows + 1
    return bars, rules, accounts, rows


@pytest.mark.parametrize("name", CASES)
def test_every_outcome_of_a_packed_account_is_that_of_the_account(name):
    settings = CASES[name]
    bars, rules, accounts, rows = lived_accounts(settings)
    assert accounts.done.sum() < len(accounts) / 2
    assert accounts.done.any() == (name in WITH_LIQUIDATIONS)
    codec = account_codec(settings)
    packed = codec.pack(bars, rows, accounts)
    assert packed.shape == (len(accounts), codec.size)
    targets = np.append(ActionTranslator(settings.action, 2.0).weights, np.nan)
    expected = outcome_batch(bars, rules, rows, accounts, targets)
    found = outcome_batch(bars, rules, rows, codec.unpack(bars, rows, packed), targets)
    np.testing.assert_array_equal(found.traded, expected.traded)
    np.testing.assert_array_equal(found.terminated, expected.terminated)
    assert expected.traded.sum() > 300
    # One part in 10⁷ of equity is what float32 leaves of a position; κ = 100 belongs to the rewards.
    np.testing.assert_allclose(found.log_return, expected.log_return, rtol=1e-6, atol=2e-8)
    np.testing.assert_allclose(found.reward, expected.reward, rtol=1e-6, atol=4e-6)
    # What follows is the same account again.
    again = np.repeat(rows + 1, len(targets))
    ours, theirs = (codec.pack(bars, again, outcomes.result.accounts) for outcomes in (found, expected))
    kept = [k for k, column in enumerate(codec.columns) if not column.startswith("equity")]
    np.testing.assert_allclose(ours[:, kept], theirs[:, kept], rtol=1e-5, atol=2e-6)


def blocks_of(packer, packed):
    """The account blocks that a codec or a source writes."""
    out = np.full((len(packed), len(ACCOUNT_FIELDS)), np.nan, np.float32)
    packer.write_blocks(packed, out)
    return out


@pytest.mark.parametrize("name", CASES)
def test_the_observed_block_comes_back_to_rounding(name):
    settings = CASES[name]
    bars, _, accounts, rows = lived_accounts(settings)
    codec = account_codec(settings)
    seen = np.empty((len(accounts), len(ACCOUNT_FIELDS)), np.float32)
    write_account_blocks(bars, rows, accounts.values, settings.reward.max_trades_window, seen)
    packed = codec.pack(bars, rows, accounts)
    np.testing.assert_allclose(blocks_of(codec, packed), seen, rtol=3e-7, atol=1e-9)
    unpacked = codec.unpack(bars, rows, packed)
    living = accounts.done == 0
    np.testing.assert_array_equal(unpacked.done, accounts.done)
    np.testing.assert_array_equal(unpacked.last_target, accounts.last_target)
    np.testing.assert_array_equal(unpacked.recent_trades, accounts.recent_trades)
    np.testing.assert_array_equal(unpacked.bars_held, accounts.bars_held)
    knows_money = codec.places[6] >= 0
    np.testing.assert_allclose(unpacked.equity[living], accounts.equity[living] if knows_money else 1.0, rtol=1e-13)


def test_the_default_account_is_six_numbers_and_money_two_more():
    assert account_codec(EnvSettings()).size == 6
    assert account_codec(EnvSettings(account=AccountSettings(fixed_fee=1.0))).size == 8
    assert account_codec(EnvSettings(reward=RewardSettings(max_trades_window=49))).size == 8


def test_a_continuous_target_comes_back_exactly():
    settings = EnvSettings(account=AccountSettings(max_leverage=3.0), action=ActionSettings(mode="continuous"))
    translator, codec = ActionTranslator(settings.action, 3.0), account_codec(settings)
    accounts = new_accounts(500, settings)
    accounts.last_target[:] = translator.targets(np.linspace(-1, 1, 500, dtype=np.float32), 500)
    bars, rows = bar_records(TAPE, "per_bar"), np.full(500, 7)
    unpacked = codec.unpack(bars, rows, codec.pack(bars, rows, accounts))
    np.testing.assert_array_equal(unpacked.last_target, accounts.last_target)


EPISODE = EpisodeSettings(window=4, length=9)


@pytest.mark.parametrize("kind", ["TradingVecEnv", "DummyVecEnv"])
def test_the_recorder_gives_the_accounts_before_and_after_every_step(kind):
    settings = replace(settings_of(), episode=EPISODE)
    env = (
        TradingVecEnv(3, TAPE, settings)
        if kind == "TradingVecEnv"
        else DummyVecEnv([lambda: TradingEnv(TAPE, settings)] * 3)
    )
    source = record_steps(env)
    observed, rng = env.reset(), np.random.default_rng(0)
    for _ in range(30):
        before = observed["account"]
        observed, _, dones, infos = env.step(rng.integers(len(LADDER), size=3))
        step = source.last_step()
        assert step.reference.tolist() == [info["row"] for info in infos]
        np.testing.assert_allclose(blocks_of(source, step.account), before, rtol=3e-7, atol=1e-9)
        after = observed["account"].copy()
        for i in np.flatnonzero(dones):
            after[i] = infos[i]["terminal_observation"]["account"]
        np.testing.assert_allclose(blocks_of(source, step.next_account), after, rtol=3e-7, atol=1e-9)
    with pytest.raises(RegimeGymError, match="did not take"):
        source.last_step()


def test_a_stage_that_does_not_fit_the_recorded_form_is_refused():
    env = TradingVecEnv(2, TAPE, replace(settings_of(), episode=EPISODE))
    assert record_steps(env) is not None
    env.set_stage(Stage(replace(env.settings, account=replace(LEVERAGED, fee_rate=0.01))))
    with pytest.raises(ConfigError, match="settings of this stage do not fit"):
        env.set_stage(Stage(replace(env.settings, account=replace(LEVERAGED, fixed_fee=1.0))))


def test_an_environment_of_others_has_nothing_to_record():
    import gymnasium

    assert record_steps(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")])) is None
