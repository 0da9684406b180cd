"""Other histories of the same blocks: traded anew, covered intervals, ruin counted."""

from dataclasses import replace

import numpy as np
import pytest
from handmade import WindowPolicy
from scipy.signal import lfilter

from regimegym.common.errors import ConfigError
from regimegym.common.policy import Decision
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings
from regimegym.evaluate.baselines import BuyAndHold, Flat
from regimegym.evaluate.metrics import METRICS, all_metrics
from regimegym.evaluate.monte_carlo import AT_ONCE, TAIL_LEVELS, MonteCarloSettings, monte_carlo
from regimegym.evaluate.rollout import rollout
from regimegym.features.bars import Bars
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.bootstrap import block_bootstrap
from regimegym.features.tape import Segment, price_tape

HOUR_NS = 3_600_000_000_000
FREE = EnvSettings(account=AccountSettings(fee_rate=0.0, half_spread=0.0, slippage=0.0))
RNG = np.random.default_rng


def make_bars(returns):
    close = 100 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[100.0], close[:-1]])
    return Bars(
        timestamps=np.arange(len(close), dtype=np.int64) * HOUR_NS,
        open=opened,
        high=np.maximum(opened, close),
        low=np.minimum(opened, close),
        close=close,
        volume=np.ones(len(close)),
        symbol="A",
        timeframe_ns=HOUR_NS,
        periods_per_year=8766.0,
    )


def featured(bars):
    """A tape with one feature, the last return, and a warm-up of 50 bars."""
    tape = price_tape(bars)
    moves = np.diff(np.log(bars.close), prepend=np.log(bars.close[0]))
    segment = tape.segments[0]
    return replace(
        tape,
        features=(100 * moves).astype(np.float32)[:, None],
        feature_names=("move",),
        segments=(Segment(segment.symbol, 0, len(bars), 50),),
    )


def test_every_path_is_traded_as_it_would_be_alone():
    bars = make_bars(RNG(0).normal(0, 0.01, 400))
    settings, seed = EnvSettings(), 3
    made = []

    def as_tape(path):
        made.append(featured(path))
        return made[-1]

    found = monte_carlo(
        lambda symbol: WindowPolicy(), bars, RowRange(50, 400), as_tape, settings, RNG(seed), MonteCarloSettings(20)
    )
    tapes = made[1:]  # the first one was too short for its warm-up
    assert len(tapes) == 20
    alone = [rollout(WindowPolicy(), tape, settings, RowRange(len(tape) - 350, len(tape)))[0] for tape in tapes]
    assert found.metrics["trades"].sum() > 100
    for name in METRICS:
        np.testing.assert_allclose(found.metrics[name], [all_metrics(t)[name] for t in alone], rtol=1e-12)
    held = [rollout(BuyAndHold(settings), t, settings, RowRange(len(t) - 350, len(t)))[0] for t in tapes]
    np.testing.assert_allclose(found.buy_and_hold, [t.log_returns.sum() for t in held])
    assert found.equity_band.shape == (len(TAIL_LEVELS), 350)


def test_paths_are_made_of_the_rows_that_were_named_and_of_no_others():
    returns = np.concatenate([np.full(100, 0.5), RNG(1).normal(0, 0.01, 200), np.full(100, -0.5)])
    rows, moves = RowRange(100, 300), []

    def as_tape(path):
        moves.append(np.abs(np.diff(np.log(path.close))).max())
        return featured(path)

    monte_carlo(lambda symbol: Flat(FREE), make_bars(returns), rows, as_tape, FREE, RNG(0), MonteCarloSettings(20))
    assert max(moves) < 0.1


def test_decisions_are_made_anew_so_that_a_stop_out_is_not_a_shuffled_return():
    bars = make_bars(RNG(2).normal(0, 0.02, 300))

    class Momentum:
        def act(self, observations, state, episode_starts):
            return Decision(np.where(observations["market"][:, -1, 0] > 0, 2, 1)), state

    found = monte_carlo(
        lambda symbol: Momentum(), bars, RowRange(0, 300), featured, EnvSettings(), RNG(0), MonteCarloSettings(40)
    )
    assert len(np.unique(found.metrics["trades"])) > 5  # another number of trades on every path


def test_a_free_holder_earns_what_the_path_does():
    made, bars = [], make_bars(RNG(4).normal(0, 0.01, 200))

    def as_tape(path):
        made.append(path)
        return price_tape(path)

    found = monte_carlo(
        lambda symbol: BuyAndHold(FREE), bars, RowRange(0, 200), as_tape, FREE, RNG(0), MonteCarloSettings(20)
    )
    moves = [np.log(path.close[-1] / path.open[len(path) - 199]) for path in made]
    np.testing.assert_allclose(found.metrics["log_return"], moves, atol=1e-9)
    assert found.intervals["log_return"][1:] == pytest.approx(np.quantile(moves, [0.025, 0.975]))


@pytest.mark.parametrize("phi", [0.0, 0.3])
def test_intervals_over_paths_cover_the_truth_of_a_known_process(phi):
    rng, n, covered = RNG(4), 600, []
    block = MonteCarloSettings().block(n)
    for _ in range(80):
        noise = lfilter([1.0], [1.0, -phi], rng.normal(0, 0.01, n + 50))[50:]
        bars, rows = make_bars(0.0005 + noise), RowRange(0, n)
        paths = [block_bootstrap(bars, rows, rng, n, block).bars.close for _ in range(60)]
        low, high = np.quantile([np.log(close[-1] / close[0]) for close in paths], [0.025, 0.975])
        covered.append(low <= 0.0005 * (n - 1) <= high)
    assert 0.85 <= np.mean(covered) <= 0.99


def test_ruin_is_a_drawdown_or_a_liquidation_and_its_share_has_an_interval():
    bars = make_bars(RNG(5).normal(-0.01, 0.03, 200))
    account = AccountSettings(max_leverage=3.0, margin_check="close")
    leveraged = EnvSettings(account=account, action=ActionSettings(mode="target", ladder=(0.0, 3.0)))

    class Always:
        def act(self, observations, state, episode_starts):
            return Decision(np.ones(len(episode_starts), np.int64)), None

    ruined = monte_carlo(
        lambda symbol: Always(), bars, RowRange(0, 200), price_tape, leveraged, RNG(0), MonteCarloSettings(20)
    )
    assert ruined.ruin.value == 1.0
    assert 0.8 < ruined.ruin.low < 1.0
    flat = monte_carlo(
        lambda symbol: Flat(FREE), bars, RowRange(0, 200), price_tape, FREE, RNG(0), MonteCarloSettings(20)
    )
    assert flat.ruin.value == 0.0
    assert 0.0 < flat.ruin.high < 0.2
    assert flat.above_buy_and_hold > 0.9
    assert np.isnan(flat.intervals["sharpe_ratio"].value)
    assert flat.intervals["log_return"] == (0.0, 0.0, 0.0)
    assert np.isnan(flat.tails["sharpe_ratio"]).all()


def test_the_same_generator_gives_the_same_paths_whatever_is_held_at_once(monkeypatch):
    bars = make_bars(RNG(6).normal(0, 0.01, 200))
    arguments = (lambda symbol: BuyAndHold(FREE), bars, RowRange(0, 200), price_tape, FREE)
    whole = monte_carlo(*arguments, RNG(1), MonteCarloSettings(30))
    monkeypatch.setattr("regimegym.evaluate.monte_carlo.AT_ONCE", 7)
    parts = monte_carlo(*arguments, RNG(1), MonteCarloSettings(30))
    np.testing.assert_array_equal(whole.metrics["log_return"], parts.metrics["log_return"])
    assert AT_ONCE == 64


def test_tails_are_quantiles_over_paths():
    bars = make_bars(RNG(7).normal(0, 0.01, 200))
    found = monte_carlo(
        lambda symbol: BuyAndHold(FREE), bars, RowRange(0, 200), price_tape, FREE, RNG(1), MonteCarloSettings(100)
    )
    own = found.metrics["log_return"]
    assert found.tails["log_return"] == pytest.approx(np.quantile(own, TAIL_LEVELS))
    assert found.expected_shortfall == pytest.approx(np.sort(own)[:5].mean())
    assert len(block_bootstrap(bars, RowRange(0, 200), RNG(0), 10).bars) == 10


@pytest.mark.parametrize("wrong", [{"n_paths": 5}, {"ruin": 0.0}, {"level": 1.0}, {"block_length": -1.0}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ConfigError, match=f"'{next(iter(wrong))}' must be"):
        MonteCarloSettings(**wrong)


def test_blocks_grow_with_the_history():
    assert MonteCarloSettings().block(1_000) == 20.0
    assert MonteCarloSettings().block(8_000) == pytest.approx(40.0)
    assert MonteCarloSettings(block_length=7.0).block(8_000) == 7.0
    assert MonteCarloSettings().block(40) == 10.0
