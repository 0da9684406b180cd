"""The baselines against closed formulas and slow loops, in every action mode."""

import numpy as np
import pytest
from handmade import HOUR_NS, make_tape, random_tape

from regimegym.common.actions import Action
from regimegym.common.errors import ConfigError
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings
from regimegym.evaluate.baselines import (
    BuyAndHold,
    Flat,
    MovingAverageCross,
    RandomTrader,
    cross_lengths,
    encode_weights,
    run_baselines,
    trailing_means,
)
from regimegym.evaluate.rollout import rollout
from regimegym.features.splits import RowRange

MODES = {
    "trade": EnvSettings(),
    "trade, shorts": EnvSettings(action=ActionSettings(allow_short=True)),
    "target": EnvSettings(action=ActionSettings(mode="target", ladder=(-1.0, 0.0, 0.5, 1.0))),
    "continuous": EnvSettings(action=ActionSettings(mode="continuous"), account=AccountSettings(max_leverage=2.0)),
}
every_mode = pytest.mark.parametrize("settings", MODES.values(), ids=MODES)
ROWS = RowRange(10, 300)


@every_mode
def test_buy_and_hold_is_the_closed_formula_with_costs(settings):
    tape = random_tape(300, 1)
    (run,) = rollout(BuyAndHold(settings), tape, settings, ROWS)
    account = settings.account
    s = account.half_spread + account.slippage
    k = s + account.fee_rate * (1 + s)
    units = account.initial_cash / tape.open[11] / (1 + k)  # filled at the open after the decision
    paid = units * tape.open[11] * (1 + s) * (1 + account.fee_rate)
    assert run.n_trades == 1
    np.testing.assert_allclose(run.equity[1:], account.initial_cash - paid + units * tape.close[11:300], rtol=1e-12)
    assert run.equity[0] == account.initial_cash


@every_mode
def test_flat_never_trades(settings):
    (run,) = rollout(Flat(settings), random_tape(300, 1), settings, ROWS)
    assert (run.equity == 10_000.0).all()
    assert run.n_trades == 0


@every_mode
def test_random_traders_make_the_asked_number_of_trades_each_their_own_way(settings):
    trader = RandomTrader(settings, 40 / 289, random_seed=3)
    runs = rollout(trader, random_tape(300, 1), settings, ROWS, n_accounts=5)
    assert [run.n_trades for run in runs] == [40] * 5
    assert len({tuple(run.fills["step"]) for run in runs}) == 5
    again = rollout(trader, random_tape(300, 1), settings, ROWS, n_accounts=5)
    other = rollout(RandomTrader(settings, 40 / 289, random_seed=4), random_tape(300, 1), settings, ROWS, 5)
    assert [r.equity[-1] for r in again] == [r.equity[-1] for r in runs]
    assert [r.equity[-1] for r in other] != [r.equity[-1] for r in runs]


def test_a_random_trader_of_a_ladder_visits_every_weight():
    settings = MODES["target"]
    (run,) = rollout(RandomTrader(settings, 0.5, random_seed=0), random_tape(300, 1), settings, ROWS)
    assert set(run.actions.tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("below", [0.0, -1.0])
def test_the_cross_follows_the_means_of_the_closes_known(below):
    settings = EnvSettings(action=ActionSettings(allow_short=below < 0))
    tape = random_tape(300, 2)
    found = MovingAverageCross(settings, 5, 20).signals(tape, 10, 300)
    for row in range(10, 300):
        if row < 19:
            assert found[row - 10] == 0.0
            continue
        fast, slow = tape.close[row - 4 : row + 1].mean(), tape.close[row - 19 : row + 1].mean()
        assert found[row - 10] == (1.0 if fast > slow else below)


def test_the_cross_sees_no_future():
    settings = EnvSettings()
    close = random_tape(300, 2).close
    changed = close.copy()
    changed[200:] *= np.exp(np.random.default_rng(0).normal(0, 0.1, 100))
    policy = MovingAverageCross(settings, 5, 20)
    before = policy.signals(make_tape(close), 0, 300)
    after = policy.signals(make_tape(changed), 0, 300)
    np.testing.assert_array_equal(before[:200], after[:200])
    assert (before[200:] != after[200:]).any()


def test_equal_prices_give_no_signal_in_spite_of_round_off():
    found = MovingAverageCross(EnvSettings(), 36, 168).signals(make_tape(np.full(400, 0.1)), 0, 400)
    assert (found == 0.0).all()


def test_the_cross_trades_only_when_its_signal_turns():
    settings = EnvSettings()
    tape = random_tape(300, 2)
    policy = MovingAverageCross(settings, 5, 20)
    (run,) = rollout(policy, tape, settings, ROWS)
    signals = policy.signals(tape, 10, 299)
    assert run.n_trades == np.count_nonzero(np.diff(signals, prepend=0.0))
    np.testing.assert_array_equal(run.exposure[1:] > 0.5, signals == 1.0)


def test_trailing_means_are_missing_where_the_history_is_too_short():
    means = trailing_means(np.arange(6.0), 1, 6, 3)
    np.testing.assert_array_equal(means, [np.nan, 1.0, 2.0, 3.0, 4.0])
    assert np.isnan(trailing_means(np.arange(2.0), 0, 2, 5)).all()


def test_weights_become_actions_of_the_mode():
    weights, keep = np.array([1.0, 0.0, -1.0, 1.0]), np.array([False, False, False, True])
    hold, sell, buy = Action
    assert encode_weights(weights, keep, MODES["trade"]).tolist() == [buy, sell, sell, hold]
    assert encode_weights(weights, keep, MODES["trade, shorts"]).tolist() == [buy, hold, sell, hold]
    assert encode_weights(weights, keep, MODES["target"]).tolist() == [3, 1, 0, 3]
    assert encode_weights(weights[:2], keep[:2], MODES["continuous"]).tolist() == [[0.5], [0.0]]


def test_all_baselines_run_on_the_agents_bars():
    settings = EnvSettings()
    runs = run_baselines(random_tape(300, 1), settings, ROWS, 7, agent_trades=24, random_accounts=21)
    assert list(runs.trajectories) == ["buy_and_hold", "ma_cross", "random", "flat"]
    assert runs.labels["ma_cross"] == "MA cross 36/168"
    randoms = rollout(RandomTrader(settings, 24 / 289, 7), random_tape(300, 1), settings, ROWS, 21)
    finals = sorted(run.equity[-1] for run in randoms)
    assert runs.trajectories["random"].equity[-1] == finals[10]
    assert runs.trajectories["random"].n_trades == 24
    np.testing.assert_allclose(runs.random_band[:, -1], np.quantile(finals, [0.05, 0.95]))
    assert (runs.random_band[0] <= runs.random_band[1]).all()


def test_an_agent_without_trades_meets_random_traders_without_trades():
    runs = run_baselines(random_tape(300, 1), EnvSettings(), ROWS, 7, agent_trades=0)
    assert runs.trajectories["random"].n_trades == 0


def test_moving_averages_are_fixed_by_the_timeframe():
    assert cross_lengths(HOUR_NS) == (36, 168)
    assert cross_lengths(24 * HOUR_NS) == (20, 100)


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match="'fast' must be below 'slow', got 20 and 20"):
        MovingAverageCross(EnvSettings(), 20, 20)
    with pytest.raises(ConfigError, match="'trades_per_bar' must be in"):
        RandomTrader(EnvSettings(), 1.5, 0)
