"""The baselines against closed formulas and slow loops, in every action mode."""

from dataclasses import replace

import numpy as np
import pytest
from handmade import HOUR_NS, make_tape, random_tape

from regimegym.common.actions import Action
from regimegym.common.errors import ConfigError
from regimegym.envs.backtest import backtest
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings
from regimegym.evaluate.baselines import (
    FASTS,
    SLOWS,
    RuleSettings,
    captured_share,
    fit_rules,
    fixed_rules,
    hindsight_run,
    regret,
    rule_run,
    rules_of,
    run_baselines,
)
from regimegym.evaluate.random_trader import RandomTrader
from regimegym.evaluate.replayed import replay_actions
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.rules import (
    BuyAndHold,
    Flat,
    MeanReversion,
    MovingAverageCross,
    RegimeTrader,
    SellAndHold,
    VolatilityTarget,
    cross_lengths,
    encode_weights,
    trailing_means,
)
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
    found = MovingAverageCross(settings, 5, 20).weights(tape, 10, 300)
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
    before = policy.weights(make_tape(close), 0, 300)
    after = policy.weights(make_tape(changed), 0, 300)
    np.testing.assert_array_equal(before[:200], after[:200])
    assert (before[200:] != after[200:]).any()


def test_equal_prices_give_no_signal_in_spite_of_round_off():
    found = MovingAverageCross(EnvSettings(), 36, 168).weights(make_tape(np.full(400, 0.1)), 0, 400)
    assert (found == 0.0).all()


def test_the_cross_trades_only_when_its_signal_turns():
    settings = EnvSettings()
    tape = random_tape(300, 2)
    policy = MovingAverageCross(settings, 5, 20)
    (run,) = rollout(policy, tape, settings, ROWS)
    signals = policy.weights(tape, 10, 299)
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
    assert list(runs.trajectories) == [
        "buy_and_hold", "ma_cross", "mean_reversion", "volatility_target", "regime_trader",
        "random", "flat", "hindsight",
    ]  # fmt: skip
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


FIELDS = ("equity", "cash", "units", "exposure", "log_returns", "shaped_rewards", "fills", "close", "timestamps")


@every_mode
@pytest.mark.parametrize("execution", ["next_open", "same_close"])
def test_a_rule_in_one_compiled_loop_is_its_rollout(settings, execution):
    """Rollout, compiled replay and backtest are one account."""
    settings = replace(settings, account=replace(settings.account, execution=execution, borrow_rate=0.3))
    tape = random_tape(300, 4, volatility=0.02)
    rules = [rule for _, rule in rules_of(settings, RuleSettings((5, 20), 0.01)).values()] + [Flat(settings)]
    assert len(rules) >= 6
    for rule in rules:
        (walked,) = rollout(rule, tape, settings, ROWS)
        replayed = rule_run(rule, tape, ROWS)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(replayed, name), getattr(walked, name), err_msg=str(rule))
        assert replayed.n_trades == walked.n_trades


def test_many_fills_find_their_room():
    settings = EnvSettings()
    tape = random_tape(9_000, 1)
    actions = np.tile([Action.BUY, Action.SELL], 4_495)[:-1]
    run = replay_actions(tape, settings, RowRange(10, 9_000), actions)
    assert len(run.fills) == run.n_trades == 8_989
    assert (run.fills["step"] == np.arange(8_989)).all()


def test_a_rollout_is_a_backtest_of_its_targets():
    settings = EnvSettings(action=ActionSettings(allow_short=True))
    tape = random_tape(300, 6)
    run = rule_run(MovingAverageCross(settings, 3, 9), tape, RowRange(0, 300))
    targets = np.array([np.nan, -1.0, 1.0])[run.actions]
    history = backtest(tape, np.append(targets, np.nan), settings)
    np.testing.assert_array_equal(history.equity, run.equity)
    assert len(history.fills) == len(run.fills) > 20


def test_random_traders_replayed_are_those_of_the_rollout():
    settings, tape = MODES["target"], random_tape(300, 1)
    trader = RandomTrader(settings, 0.2, random_seed=3)
    for i, walked in enumerate(rollout(trader, tape, settings, ROWS, n_accounts=3)):
        replayed = replay_actions(tape, settings, ROWS, trader.actions(ROWS.count, i))
        np.testing.assert_array_equal(replayed.equity, walked.equity)


def test_mean_reversion_buys_the_dip_and_leaves_at_the_mean():
    close = np.concatenate([100 + np.tile([-0.5, 0.5], 20), [95.0, 96.0, 97.0, 100.5], np.full(3, 100.0), [106.0]])
    tape = make_tape(close)
    found = MeanReversion(EnvSettings(), 20, 1.5).weights(tape, 0, len(close))
    assert found[:40].tolist() == [0.0] * 40
    assert found[40:43].tolist() == [1.0] * 3
    assert found[43] == 0.0
    shorts = MeanReversion(EnvSettings(action=ActionSettings(allow_short=True)), 20, 1.5)
    assert shorts.weights(tape, 0, len(close))[-1] == -1.0
    assert (MeanReversion(EnvSettings()).weights(make_tape(np.full(60, 0.1)), 0, 60) == 0).all()


def test_the_volatility_target_holds_less_when_more_moves():
    rng = np.random.default_rng(0)
    sd = np.repeat([0.01, 0.05], 400)
    tape = make_tape(100 * np.exp(np.cumsum(sd * rng.standard_normal(800))))
    weights = VolatilityTarget(MODES["continuous"], 0.01).weights(tape, 0, 800)
    assert (weights[:100] == 0).all()  # too little is known
    assert weights[200:400].min() >= 0.8
    assert weights[600:].max() <= 0.3
    in_trades = VolatilityTarget(EnvSettings(), 0.01).weights(tape, 0, 800)
    assert set(in_trades[150:400]) == {1.0}
    assert set(in_trades[600:]) == {0.0}


def test_the_regime_rule_follows_the_labels():
    tape = make_tape(np.full(5, 100.0), regimes=[0, 1, 2, 3, 0])
    assert RegimeTrader(EnvSettings()).weights(tape, 0, 5).tolist() == [1, 0, 0, 0, 1]
    shorts = EnvSettings(action=ActionSettings(allow_short=True))
    assert RegimeTrader(shorts).weights(tape, 0, 5).tolist() == [1, -1, 0, 0, 1]


def test_sell_and_hold_stands_where_shorts_are_allowed():
    assert "sell_and_hold" not in rules_of(EnvSettings(), RuleSettings((5, 20), 0.01))
    chosen = rules_of(MODES["target"], RuleSettings((5, 20), 0.01))
    run = rule_run(chosen["sell_and_hold"][1], random_tape(300, 1), ROWS)
    assert run.n_trades == 1
    assert run.exposure[1] == pytest.approx(-1.0, abs=0.02)
    assert isinstance(chosen["sell_and_hold"][1], SellAndHold)


def test_the_cross_is_fitted_on_training_rows_alone():
    tape, settings = random_tape(1_400, 3), EnvSettings()
    found = fit_rules(tape, settings, RowRange(0, 1_000))
    earned = {
        (fast, slow): rule_run(MovingAverageCross(settings, fast, slow), tape, RowRange(0, 1_000)).log_returns.sum()
        for fast in FASTS
        for slow in SLOWS
        if fast < slow
    }
    assert found.cross == max(earned, key=earned.get)
    assert found.is_fitted
    assert found.volatility == pytest.approx(0.01, rel=0.1)
    changed = tape.close.copy()
    changed[1_000:] *= 3.0
    assert fit_rules(make_tape(changed, tape.open), settings, RowRange(0, 1_000)) == found
    assert fit_rules(tape, settings, RowRange(0, 1_000), cross=(7, 70)).cross == (7, 70)
    assert not fixed_rules(tape, 0).is_fitted


@every_mode
def test_nothing_earns_more_than_hindsight(settings):
    tape = random_tape(300, 8)
    ceiling = hindsight_run(tape, settings, ROWS)
    best = ceiling.trajectory.log_returns.sum()
    runs = run_baselines(tape, settings, ROWS, 1, 40, random_accounts=5)
    assert runs.trajectories["hindsight"].log_returns.sum() == best
    assert all(run.log_returns.sum() <= best + 1e-12 for run in runs.trajectories.values())
    assert ceiling.is_exact == (settings is MODES["trade"])
    words = "exact" if ceiling.is_exact else "approximate"
    assert runs.labels["hindsight"] == f"Hindsight, {words}"
    assert runs.notes["hindsight"].startswith(words)


def test_regret_and_captured_share():
    assert regret(2.0, 0.5) == 1.5
    assert captured_share(2.0, 0.5) == 0.25
    assert np.isnan(captured_share(0.0, -0.5))
