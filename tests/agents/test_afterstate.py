"""The afterstate form says what the step kernel does, and is refused where it would not be true."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from regimegym.agents.afterstate import afterstate_ladder, drifted, fill_ratios, log_cost, log_growth
from regimegym.agents.build import build_agent
from regimegym.agents.enhanced_dqn_settings import EnhancedDQNSettings
from regimegym.agents.losses import afterstate_target, chosen_value
from regimegym.agents.networks.dueling import AfterstateHeads
from regimegym.common.errors import ConfigError
from regimegym.envs.order_settings import OrderSettings
from regimegym.envs.outcomes import all_outcomes
from regimegym.envs.reward_settings import RewardSettings
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings
from regimegym.envs.state import new_accounts
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.learning import learning_world
from regimegym.features.tape import price_tape

LADDER = (-1.0, 0.0, 0.5, 1.0)


def settings(**account) -> EnvSettings:
    costs = {"fee_rate": 0.002, "half_spread": 0.001, "slippage": 0.0005} | account
    return EnvSettings(
        AccountSettings(rebalance="always", margin_check="none", **costs),
        RewardSettings(kind="log_return", reward_scale=10.0),
        action=ActionSettings(mode="target", ladder=LADDER),
        episode=EpisodeSettings(window=4, length=40),
    )


@pytest.fixture(scope="module")
def tape():
    """An OU market whose features are its log price and its last return."""
    market = price_tape(learning_world("ou", 900, np.random.default_rng(0)).bars)
    level = np.log(market.close)
    features = np.stack([level - level.mean(), np.diff(level, prepend=level[0])], axis=1) * 20
    return replace(market, features=features.astype(np.float32), feature_names=("level", "return"))


@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_cost_plus_growth_is_the_reward_of_the_kernel(tape, execution):
    env = settings(execution=execution)
    ladder = afterstate_ladder(env, tape)
    targets, rates = torch.tensor(ladder.targets, dtype=torch.float64), (ladder.buying, ladder.selling)
    accounts = new_accounts(len(LADDER), env)
    rows = np.full(len(LADDER), 100)
    # Each account takes another rung first and drifts for a bar.
    first = all_outcomes(tape, rows, accounts, env).accounts[:, np.arange(len(LADDER)), np.arange(len(LADDER))]
    accounts.values[:] = first
    found = all_outcomes(tape, rows + 1, accounts, env)
    x = torch.from_numpy(accounts.exposure.copy())
    ratio = torch.tensor(fill_ratios(tape, execution)[101])
    cost = log_cost(x, targets, *map(torch.tensor, rates))
    torch.testing.assert_close(cost + log_growth(ratio, targets), torch.from_numpy(found.log_return))
    exposures = torch.from_numpy(found.result.accounts.exposure.reshape(len(LADDER), -1).copy())
    torch.testing.assert_close(drifted(ratio, targets).expand_as(exposures), exposures)


def test_the_ratios_stop_where_the_next_fill_is_missing(tape):
    ahead = fill_ratios(tape, "next_open")
    assert np.isnan(ahead[-2:]).all()
    assert np.isfinite(ahead[:-2]).all()
    np.testing.assert_allclose(ahead[5], tape.open[7] / tape.open[6] - 1)
    np.testing.assert_allclose(fill_ratios(tape, "same_close")[5], tape.close[6] / tape.close[5] - 1)


def test_the_target_is_the_difference_of_two_bellman_backups():
    rng = torch.Generator().manual_seed(0)
    growth, u = torch.randn(5, 3, generator=rng), torch.randn(5, 3, generator=rng)
    cost = -torch.rand(5, 3, 3, generator=rng)
    gamma, flat = 0.9, 1
    full = growth + gamma * (cost + u[:, None, :]).amax(dim=-1)
    delta = u - u[:, flat, None]
    valuing = cost + delta[:, None, :]
    y = afterstate_target(growth, gamma, chosen_value(valuing, valuing), flat)
    torch.testing.assert_close(y, full - full[:, flat, None])


def test_heads_are_zero_at_flat_and_differ_between_accounts_by_the_cost_alone(tape):
    heads = AfterstateHeads(6, 5, len(LADDER))
    heads.set_ladder(afterstate_ladder(settings(), tape))
    h = torch.randn(3, 6)
    delta = heads.delta(h)
    assert (delta[:, 1] == 0).all()
    for x in (-1.0, 0.0, 0.7):
        q = heads(h, torch.full((3, 2), x)).squeeze(-1)
        torch.testing.assert_close(q - delta, heads.cost(torch.full((3,), x)))


REFUSED = {
    "env.account.rebalance": replace(settings(), account=AccountSettings(margin_check="none")),
    "env.account.band": settings(band=0.1),
    "env.account.sizing": settings(sizing="cash"),
    "env.account.margin_check": replace(settings(), account=replace(settings().account, margin_check="close")),
    "env.account.fixed_fee": settings(fixed_fee=1.0),
    "env.account.lot": settings(lot=1.0),
    "env.account.impact": settings(impact=0.1),
    "env.account.borrow_rate": settings(borrow_rate=0.1),
    "env.account.spread_source": settings(spread_source="bars"),
    "env.orders.minimum_hold": replace(settings(), orders=OrderSettings(minimum_hold=2)),
    "env.orders.stop_loss": replace(settings(), orders=OrderSettings(stop_loss=0.1)),
    "env.action.mode": replace(settings(), action=ActionSettings()),
    "reward": replace(settings(), reward=RewardSettings()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_the_path_matter_is_refused_by_its_name(tape, name):
    with pytest.raises(ConfigError, match=name) as error:
        afterstate_ladder(REFUSED[name], tape)
    assert f"needed: {name}=" in str(error.value) or name in str(error.value)


def test_a_ladder_without_flat_is_refused(tape):
    with pytest.raises(ConfigError, match="flat"):
        afterstate_ladder(replace(settings(), action=ActionSettings(mode="target", ladder=(-1.0, 1.0))), tape)


def untrained(tape, tiny_network, **agent):
    env = TradingVecEnv(4, tape, settings(), RowRange(20, 800), 1)
    chosen = EnhancedDQNSettings(learning="afterstate", learning_starts=0, batch_size=16, updates_per_bar=0.25, **agent)
    return build_agent(chosen, env, replace(tiny_network, kind="mlp"), 3)


def weights(model) -> torch.Tensor:
    return torch.cat([p.flatten() for p in model.policy.parameters()])


def test_bars_are_drawn_from_the_training_rows_alone(tape, tiny_network):
    rows = untrained(tape, tiny_network).replay_buffer.rows
    assert rows[0] == 20
    assert rows[-1] == 797  # the fill after next is the open of row 799


def test_equal_seeds_learn_equal_weights_bit_for_bit(tape, tiny_network):
    first, second = (untrained(tape, tiny_network).learn(200) for _ in range(2))
    assert torch.equal(weights(first), weights(second))


def test_a_target_that_keeps_its_encodings_teaches_the_same(tape, tiny_network):
    interval = {"target_copy": "interval", "target_interval": 20}
    kept, direct = (untrained(tape, tiny_network, **interval) for _ in range(2))
    direct._encode.keeps = False
    torch.testing.assert_close(weights(kept.learn(300)), weights(direct.learn(300)), rtol=1e-4, atol=1e-5)
    assert kept._encode.known.any()
    assert not direct._encode.known.any()
