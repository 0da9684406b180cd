"""all_outcomes is A separate steps of every account, number by number."""

from dataclasses import replace

import numpy as np
import pytest
from tapes import random_tape

from regimegym.common.errors import ConfigError, RegimeGymError
from regimegym.envs.actions import ActionTranslator
from regimegym.envs.core import step_batch
from regimegym.envs.outcomes import all_outcomes, outcome_batch
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, RewardSettings
from regimegym.envs.state import Accounts, bar_records, new_accounts, rule_record

LADDER = (-1.0, -0.5, 0.0, 0.5, 1.0)
MODES = [
    ActionSettings(),
    ActionSettings(allow_short=True),
    ActionSettings(mode="target", ladder=LADDER),
]


def lived_accounts(tape, settings, n=24):
    """Accounts of different histories, some liquidated, and the rows they stand on."""
    bars, rules = bar_records(tape, settings.account.carry_clock), rule_record(settings)
    rng = np.random.default_rng(0)
    accounts, rows = new_accounts(n, settings), rng.integers(0, 10, n)
    for _ in range(25):
        targets = np.where(rng.random(n) < 0.5, np.nan, rng.uniform(-3, 3, n))
        accounts = step_batch(bars, rules, rows, accounts, targets).accounts
        rows = rows + 1
    return accounts, rows


class CostsHurtTwice:
    """A reward of a user's own."""

    def reward(self, step):
        return step.log_return - step.costs / step.equity - 0.1 * step.terminated


@pytest.mark.parametrize("rule", [None, CostsHurtTwice()], ids=["regime_aware", "custom"])
@pytest.mark.parametrize("action", MODES, ids=["trade", "trade with shorts", "target"])
@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_every_outcome_is_the_step_it_stands_for_bit_for_bit(action, execution, rule):
    tape = random_tape(60, 1, 0.08, volume=np.random.default_rng(0).choice([0.0, 1e4, 1e6], 60))
    account = AccountSettings(
        execution=execution, max_leverage=3.0, margin_check="intrabar", borrow_rate=1.0, impact=0.02
    )
    reward = RewardSettings() if rule is None else RewardSettings(kind="custom", rule=rule)
    settings = EnvSettings(account=account, action=action, reward=reward)
    accounts, rows = lived_accounts(tape, settings)
    assert 0 < accounts.done.sum() < len(accounts)
    before = (accounts.values.copy(), accounts.ring.copy(), rows.copy())
    outcomes = all_outcomes(tape, rows, accounts, settings)
    for value, was in zip((accounts.values, accounts.ring, rows), before, strict=True):
        np.testing.assert_array_equal(value, was)
    bars, rules = bar_records(tape, settings.account.carry_clock), rule_record(settings)
    translator = ActionTranslator(action, account.max_leverage)
    n_actions = len(translator.weights)
    assert outcomes.reward.shape == outcomes.traded.shape == (len(accounts), n_actions)
    assert outcomes.accounts.shape == (len(accounts.values), len(accounts), n_actions)
    for n in range(len(accounts)):
        one = Accounts(accounts.values[:, [n]], accounts.ring[[n]])
        for a in range(n_actions):
            target = translator.targets(np.array([a]), 1)
            step = step_batch(bars, rules, rows[[n]], one, target, reward_rule=rule)
            np.testing.assert_array_equal(outcomes.accounts[:, n, a], step.accounts.values[:, 0])
            np.testing.assert_array_equal(outcomes.result.accounts.ring[n * n_actions + a], step.accounts.ring[0])
            assert outcomes.reward[n, a] == step.reward[0]
            assert outcomes.log_return[n, a] == step.log_return[0]
            assert outcomes.terminated[n, a] == step.terminated[0]
            assert outcomes.traded[n, a] == (step.traded[0] > 0)
            np.testing.assert_array_equal(outcomes.result.values[:, n * n_actions + a], step.values[:, 0])

    if rule is not None:
        assert (outcomes.reward[accounts.done == 0] != 0).any()


def test_outcomes_may_be_asked_from_accounts_that_never_lived():
    tape = random_tape(60, 1)
    settings = EnvSettings(action=MODES[2])
    accounts = new_accounts(3, settings)
    accounts.cash[:], accounts.units[:] = [0.0, 20_000.0, 5_000.0], [100.0, -100.0, 50.0]
    accounts.equity[:] = accounts.cash + accounts.units * tape.close[7]
    accounts.last_target[:] = [1.0, -1.0, 0.5]
    outcomes = all_outcomes(tape, np.full(3, 7), accounts, settings)
    kept = [list(outcomes.targets).index(target) for target in accounts.last_target]
    assert outcomes.traded.sum(axis=1).tolist() == [4, 4, 4]
    assert not outcomes.traded[range(3), kept].any()


def test_the_records_may_be_kept_by_the_caller():
    tape, settings = random_tape(60, 1), EnvSettings(action=MODES[2])
    accounts, rows = lived_accounts(tape, settings)
    bars, rules = bar_records(tape, settings.account.carry_clock), rule_record(settings)
    ours = outcome_batch(bars, rules, rows, accounts, np.array(LADDER))
    np.testing.assert_array_equal(ours.result.values, all_outcomes(tape, rows, accounts, settings).result.values)


def test_continuous_actions_have_no_list_of_outcomes_and_rows_are_checked():
    tape, settings = random_tape(10, 0), EnvSettings()
    accounts = new_accounts(1, settings)
    with pytest.raises(ConfigError, match="continuous actions cannot be listed; use mode trade or target"):
        all_outcomes(tape, np.array([0]), accounts, replace(settings, action=ActionSettings(mode="continuous")))
    with pytest.raises(RegimeGymError, match="decides on row 9, needed 0 ≤ row < 9"):
        all_outcomes(tape, np.array([9]), accounts, settings)
