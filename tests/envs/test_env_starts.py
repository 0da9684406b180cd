"""Where episodes begin: by weight, by regime, from a list, by the options of reset; never across a seam."""

from dataclasses import replace

import numpy as np
import pytest
from tapes import HOUR_NS, random_tape

from regimegym.common.errors import ConfigError, DataError
from regimegym.common.regimes import REGIMES, Regime
from regimegym.envs.episodes import EpisodeStarts, RowRuns, dominant_regimes
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings, EpisodeSettings
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv
from regimegym.evaluate.metrics import all_metrics
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.rules import BuyAndHold
from regimegym.features.splits import RowRange
from regimegym.features.tape import Segment, join_tapes

BUY, SELL, HOLD = 2, 1, 0


def named(symbol, n, seed, first_row=2, **changes):
    return random_tape(n, seed, segments=(Segment(symbol, 0, n, first_row),), **changes)


@pytest.fixture(scope="module")
def tape():
    return join_tapes([named("BTC", 60, 0), named("ETH", 90, 1), named("SOL", 45, 2)])


def episodes(**changes):
    return EnvSettings(episode=EpisodeSettings(**{"window": 4, "length": 10, **changes}))


def starts_of(tape, n=400, **changes):
    env = TradingEnv(tape, episodes(**changes))
    return np.array([env.reset(seed=seed)[1]["row"] for seed in range(n)])


def symbol_at(tape, rows):
    return np.array([tape.segment_of(int(row)).symbol for row in rows])


def walked_rows(env, options=None, seed=None):
    """Rows of all decisions of one episode, and the last info."""
    _, info = env.reset(seed=seed, options=options)
    rows, over = [], False
    while not over:
        *_, terminated, truncated, info = env.step(HOLD)
        rows.append(info["row"])
        over = terminated or truncated
    return rows, info


# --- the set of starts -----------------------------------------------------------------------------


def test_runs_hold_the_rows_they_were_made_of():
    for rows in ([], [4], [4, 5, 6], [9, 3, 4, 5, 5, 20]):
        runs = RowRuns.of(np.array(rows, np.int64))
        assert len(runs) == len(rows)
        assert runs.rows().tolist() == rows
        assert [runs.nth(k) for k in range(len(rows))] == rows
    assert len(RowRuns.of(np.arange(1_000_000)).firsts) == 1


def test_every_start_row_of_every_symbol_is_equally_likely_by_default(tape):
    rows = EpisodeStarts(tape, RowRange(0, len(tape)), EpisodeSettings(window=4, length=10)).rows()
    assert rows.tolist() == [*range(2, 50), *range(62, 140), *range(152, 185)]
    assert set(starts_of(tape, 1_500)) == set(rows)


def test_symbols_are_drawn_by_weight_and_their_starts_evenly(tape):
    rows = starts_of(tape, 2_000, symbol_weights={"BTC": 3, "SOL": 1})
    symbols = symbol_at(tape, rows)
    assert set(symbols) == {"BTC", "SOL"}
    assert np.mean(symbols == "BTC") == pytest.approx(0.75, abs=0.03)
    assert set(rows[symbols == "SOL"]) == set(range(152, 185))


def test_the_dominant_regime_is_the_mode_of_the_labels_of_the_decisions():
    regimes = np.array([-1, -1, 0, 0, 1, 1, 1, 2, 3, 3], np.int8)
    starts, ends = np.array([2, 2, 3, 6, 0]), np.array([6, 7, 9, 10, 3])
    codes, shares = dominant_regimes(regimes, starts, ends)
    by_hand = [np.bincount(regimes[a:b][regimes[a:b] >= 0], minlength=4) for a, b in zip(starts, ends, strict=True)]
    assert codes.tolist() == [int(counts.argmax()) for counts in by_hand] == [0, 1, 1, 3, 0]
    np.testing.assert_allclose(
        shares, [counts.max() / (b - a) for counts, a, b in zip(by_hand, starts, ends, strict=True)]
    )


@pytest.mark.parametrize("length", [10, None])
def test_episodes_of_the_wanted_regimes_only(length):
    # Blocks of 15 bars, so that episodes have a regime of their own.
    tape = named("A", 300, 0, regimes=np.arange(300) // 15 % 4)
    every, some = (EpisodeSettings(window=4, length=length, regimes=r) for r in (None, ["uptrend", "plateau"]))
    everything, chosen = (EpisodeStarts(tape, RowRange(0, 300), settings).rows() for settings in (every, some))
    ends = everything + 10 if length else np.full(len(everything), 299)
    codes = [np.bincount(tape.regimes[a:b], minlength=4).argmax() for a, b in zip(everything, ends, strict=True)]
    wanted = everything[np.isin(codes, [Regime.UPTREND, Regime.PLATEAU])]
    assert 0 < len(wanted) < len(everything)
    np.testing.assert_array_equal(chosen, wanted)
    assert set(starts_of(tape, 100, regimes=["uptrend", "plateau"], length=length)) <= set(wanted)


def test_no_episode_of_a_regime_says_which_there_are():
    tape = named("A", 60, 0, regimes=np.ones(60))
    with pytest.raises(DataError, match="no episode's dominant regime is uptrend or plateau") as caught:
        TradingEnv(tape, episodes(regimes=("uptrend", "plateau")))
    assert caught.value.found == "uptrend 0, downtrend 48, plateau 0, oscillating 0 episodes"


def test_a_list_of_starts_is_walked_in_order_or_drawn_from(tape):
    listed = [["ETH", 5], ["BTC", 20], ["ETH", "1970-01-02T10:00"]]
    env = TradingEnv(tape, episodes(starts=listed, start="sequential"))
    assert [env.reset()[1]["row"] for _ in range(4)] == [65, 20, 60 + 34, 65]
    assert set(starts_of(tape, 100, starts=listed)) == {65, 20, 94}
    drawn = starts_of(tape, 300, starts=listed, symbol_weights={"ETH": 1, "BTC": 2})
    assert np.mean(drawn == 20) == pytest.approx(2 / 3, abs=0.08)


def test_sequential_episodes_tile_every_symbol(tape):
    env = TradingEnv(tape, episodes(start="sequential", length=20))
    assert [env.reset()[1]["row"] for _ in range(9)] == [2, 22, 62, 82, 102, 122, 152, 172, 2]


# --- to the end of the segment ---------------------------------------------------------------------


def test_without_a_length_an_episode_goes_to_the_end_of_its_segment(tape):
    env = TradingEnv(tape, episodes(length=None))
    seen = set()
    for seed in range(30):
        rows, info = walked_rows(env, seed=seed)
        segment = tape.segment_of(rows[0])
        assert rows == list(range(rows[0], segment.stop - 1))
        assert info["episode_length"] == len(rows) >= 4
        seen.add(segment.symbol)
    assert seen == {"BTC", "ETH", "SOL"}
    env = TradingEnv(tape, episodes(length=None, start="sequential"), RowRange(10, 170))
    starts_and_ends = [(rows[0], rows[-1]) for rows, _ in (walked_rows(env) for _ in range(4))]
    assert starts_and_ends == [(10, 58), (62, 148), (152, 168), (10, 58)]


def test_accounts_with_episodes_of_different_lengths_restart_by_themselves(tape):
    envs = TradingVectorEnv(16, tape, episodes(length=None))
    _, infos = envs.reset(seed=0)
    begun, lengths = infos["row"], np.zeros(16, int)
    finished = 0
    for _ in range(150):
        *_, truncated, infos = envs.step(np.zeros(16, int))
        lengths += 1
        for i in np.flatnonzero(truncated):
            stop = tape.segment_of(int(begun[i])).stop
            assert infos["final_info"]["episode_length"][i] == lengths[i] == stop - 1 - begun[i]
            begun[i], lengths[i] = infos["row"][i], 0
            finished += 1
    assert finished > 30


# --- several timeframes --------------------------------------------------------------------------


def of_days(symbol, n, seed, first_row=2):
    days = named(symbol, n, seed, first_row, periods_per_year=365.0, timestamps=np.arange(n) * 24 * HOUR_NS)
    return replace(days, timeframe_ns=24 * HOUR_NS, segments=(Segment(symbol, 0, n, first_row),))


@pytest.fixture(scope="module")
def mixed():
    """BTC by the hour (rows 0 … 59) and by the day (60 … 99), ETH by the hour (100 … 139)."""
    return join_tapes([named("BTC", 60, 0), of_days("BTC", 40, 1), named("ETH", 40, 2)])


@pytest.mark.parametrize(
    ("weights", "shares"),
    [
        ({"timeframe_weights": {"1h": 1, "1d": 3}}, (48 / 76 / 4, 28 / 76 / 4, 3 / 4)),
        ({"timeframe_weights": {"1h": 1, "24h": 1}, "symbol_weights": {"BTC": 2, "ETH": 2}}, (1 / 3, 1 / 3, 1 / 3)),
        ({"symbol_weights": {"BTC": 1}, "timeframe_weights": {"1d": 1}}, (0, 0, 1)),
    ],
)  # fmt: skip
def test_symbols_and_timeframes_are_drawn_by_the_product_of_their_weights(mixed, weights, shares):
    segments = [mixed.segment_of(int(row)) for row in starts_of(mixed, 2_000, **weights)]
    drawn = [(segment.symbol, segment.timeframe) for segment in segments]
    markets = [("BTC", "1h"), ("ETH", "1h"), ("BTC", "1d")]
    assert set(drawn) == {market for market, share in zip(markets, shares, strict=True) if share}
    for market, share in zip(markets, shares, strict=True):
        assert drawn.count(market) / len(drawn) == pytest.approx(share, abs=0.035)


def test_dominant_regimes_are_drawn_by_weight():
    tape = random_tape(400, 0, regimes=np.arange(400) // 20 % 3)
    weights = {"uptrend": 5, "plateau": 1}
    rows = starts_of(tape, 1_500, regime_weights=weights)
    dominant, _ = dominant_regimes(tape.regimes, rows, rows + 10)
    assert set(dominant) == {Regime.UPTREND, Regime.PLATEAU}
    assert np.mean(dominant == Regime.UPTREND) == pytest.approx(5 / 6, abs=0.03)
    with pytest.raises(DataError, match="no episode of oscillating fits into the rows"):
        TradingEnv(tape, episodes(regime_weights={"oscillating": 1}))


def test_combinations_of_weights_without_any_episode_are_refused(mixed):
    with pytest.raises(DataError, match="no episode is of a weighted symbol and timeframe at once"):
        TradingEnv(mixed, episodes(symbol_weights={"ETH": 1}, timeframe_weights={"1d": 1}))


def test_starts_and_options_name_the_timeframe_and_infos_say_it(mixed):
    env = TradingEnv(mixed, episodes(start="sequential", starts=[("BTC", "1d", 5), ("BTC", "1h", 7), ("ETH", 4)]))
    begun = [env.reset()[1] for _ in range(3)]
    assert [info["row"] for info in begun] == [65, 7, 104]
    assert [(info["symbol"], info["timeframe"]) for info in begun] == [("BTC", "1d"), ("BTC", "1h"), ("ETH", "1h")]
    day = {"symbol": "BTC", "timeframe": "1d"}
    assert env.reset(options=day | {"start": "1970-01-06"})[1]["row"] == 65
    assert env.reset(options={"timeframe": "24h", "start": 3})[1]["row"] == 63
    assert {env.reset(seed=seed, options=day)[1]["row"] for seed in range(200)} == {65}  # the only start of its list
    for options, error, text in (
        ({"symbol": "BTC", "start": 3}, ConfigError, "'start' needs a 'timeframe': the tape holds 2"),
        ({"timeframe": "1d", "symbol": "ETH"}, ConfigError, "the tape holds no timeframe '1d'"),
        ({"timeframe": "noon"}, ConfigError, "'noon' is no timeframe"),
    ):
        with pytest.raises(error, match=text):
            env.reset(options=options)


def test_the_vector_classes_say_symbol_and_timeframe_of_new_and_finished_episodes(mixed):
    settings = episodes(start="sequential", starts=[("BTC", "1d", 5), ("ETH", 4)])
    envs, vec = TradingVectorEnv(2, mixed, settings), TradingVecEnv(2, mixed, settings)
    _, infos = envs.reset(seed=0)
    vec.reset()
    markets = [("BTC", "1d"), ("ETH", "1h")]
    assert list(zip(infos["symbol"], infos["timeframe"], strict=True)) == markets
    assert [(info["symbol"], info["timeframe"]) for info in vec.reset_infos] == markets
    for _ in range(10):
        *_, truncated, infos = envs.step(np.zeros(2, int))
        *_, ended = vec.step(np.zeros(2, int))
    assert truncated.all()
    final = infos["final_info"]
    assert list(zip(final["symbol"], final["timeframe"], strict=True)) == markets
    assert list(zip(infos["symbol"], infos["timeframe"], strict=True)) == markets
    assert [(info["symbol"], info["timeframe"]) for info in ended] == markets


def test_carry_is_that_of_the_segments_own_calendar(mixed):
    settings = replace(episodes(), account=AccountSettings(borrow_rate=0.5, debit_rate=0.3, max_leverage=2.0))
    settings = replace(settings, action=ActionSettings(mode="target", ladder=(-1.0, 0.0, 2.0)))
    for options, alone in (
        ({"symbol": "BTC", "timeframe": "1d", "start": 4}, of_days("BTC", 40, 1)),
        ({"symbol": "BTC", "timeframe": "1h", "start": 4}, named("BTC", 60, 0)),
    ):
        env, other = TradingEnv(mixed, settings), TradingEnv(alone, settings)
        env.reset(options=options)
        other.reset(options={"start": 4})
        for action in (0, 0, 2, 2, 0, 2, 1, 0, 0, 2):
            first, second = env.step(action), other.step(action)
            assert (first[1], first[4]["equity"]) == (second[1], second[4]["equity"])


def test_a_trajectory_knows_the_calendar_of_its_segment(mixed):
    (run,) = rollout(BuyAndHold(episodes()), mixed, episodes(), RowRange(62, 100))
    assert (run.timeframe_ns, run.periods_per_year) == (24 * HOUR_NS, 365.0)
    alone = rollout(BuyAndHold(episodes()), of_days("BTC", 40, 1), episodes(), RowRange(2, 40))[0]
    np.testing.assert_array_equal(run.equity, alone.equity)
    np.testing.assert_equal(all_metrics(run), all_metrics(alone))


# --- nothing crosses a seam ------------------------------------------------------------------------


def test_what_another_symbol_did_changes_nothing(tape):
    noise = join_tapes([named("BTC", 60, 7, volatility=0.3), named("ETH", 90, 1), named("SOL", 45, 9, volatility=0.3)])
    settings = replace(episodes(length=None), account=AccountSettings(borrow_rate=0.2, margin_check="intrabar"))
    options = {"symbol": "ETH", "start": 2}
    one, other = (TradingEnv(market, settings) for market in (tape, noise))
    first, second = one.reset(options=options), other.reset(options=options)
    rng = np.random.default_rng(0)
    for _ in range(87):
        np.testing.assert_array_equal(first[0]["market"], second[0]["market"])
        np.testing.assert_array_equal(first[0]["account"], second[0]["account"])
        assert first[-1] == second[-1]
        action = int(rng.integers(3))
        first, second = one.step(action), other.step(action)
        assert first[1:] == second[1:]
    assert first[3]


# --- options of reset --------------------------------------------------------------------------------


def test_reset_begins_where_its_options_say(tape):
    env = TradingEnv(tape, episodes())
    assert env.reset(options={"symbol": "ETH", "start": 20})[1]["row"] == 80
    assert env.reset(options={"symbol": "SOL", "start": np.int64(2)})[1]["row"] == 152
    assert env.reset(options={"symbol": "ETH", "start": "1970-01-01T20:00:00Z"})[1]["row"] == 80
    assert env.reset(options={"symbol": "ETH", "start": "1970-01-01T21:30:00+02:00"})[1]["row"] == 80
    drawn = {env.reset(seed=seed, options={"symbol": "BTC"})[1]["row"] for seed in range(400)}
    assert drawn == set(range(2, 50))
    alone = TradingEnv(named("BTC", 60, 0), episodes())
    assert alone.reset(options={"start": 30})[1]["row"] == 30


def test_options_hold_for_one_reset_and_keep_the_place_of_sequential_episodes(tape):
    env = TradingEnv(tape, episodes(start="sequential"))
    assert [env.reset(seed=1)[1]["row"], env.reset(options={"symbol": "SOL", "start": 5})[1]["row"]] == [2, 155]
    assert env.reset()[1]["row"] == 12


def test_the_vector_classes_know_the_options_too(tape):
    envs = TradingVectorEnv(3, tape, episodes())
    assert envs.reset(seed=0, options={"symbol": "ETH", "start": 7})[1]["row"].tolist() == [67] * 3
    vec = TradingVecEnv(2, tape, episodes())
    vec.set_options([{"symbol": "BTC", "start": 4}, {"symbol": "SOL", "start": 3}])
    vec.reset()
    assert [info["row"] for info in vec.reset_infos] == [4, 153]
    vec.reset()
    assert [info["row"] for info in vec.reset_infos] != [4, 153]


def test_a_symbol_of_several_segments_counts_its_rows_through():
    segments = (Segment("A", 0, 30, 2), Segment("B", 30, 60, 30), Segment("A", 60, 100, 62))
    env = TradingEnv(random_tape(100, 0, segments=segments), episodes())
    assert env.reset(options={"symbol": "A", "start": 35})[1]["row"] == 65
    # Row 48 is B's, so the first bar of A at that hour or later is row 60, in its warm-up.
    with pytest.raises(DataError, match="row 60 of the tape"):
        env.reset(options={"symbol": "A", "start": "1970-01-03T00:00"})
    rows = {env.reset(seed=seed, options={"symbol": "A"})[1]["row"] for seed in range(500)}
    assert rows == set(range(2, 20)) | set(range(62, 90))


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"symbol": "ETC"}, ConfigError, "the tape holds no symbol 'ETC'"),
        ({"start": 3}, ConfigError, "'start' needs a 'symbol': the tape holds 3"),
        ({"symbol": "BTC", "start": 60}, DataError, "BTC has no row 60"),
        ({"symbol": "BTC", "start": -1}, DataError, "BTC has no row -1"),
        ({"symbol": "BTC", "start": 1}, DataError, "no episode of 10 decisions can begin on start 1 of BTC"),
        ({"symbol": "BTC", "start": 50}, DataError, "no episode of 10 decisions can begin on start 50 of BTC"),
        ({"symbol": "BTC", "start": "tomorrow"}, ConfigError, "'tomorrow' is no time"),
        ({"symbol": "BTC", "start": "2031-01-01"}, DataError, "no bar of BTC begins at 2031-01-01 or later"),
        ({"symbol": "BTC", "start": 2.5}, ConfigError, "'start' must be a row of the symbol or a time .*, got 2.5"),
        ({"symbol": "BTC", "start": True}, ConfigError, "got True"),
    ],
)  # fmt: skip
def test_impossible_options_are_refused_and_leave_the_episode_as_it_was(tape, options, kind, text):
    env = TradingEnv(tape, episodes())
    env.reset(seed=3)
    env.step(BUY)
    row, values = int(env.batch.references[0]), env.batch.accounts.values.copy()
    with pytest.raises(kind, match=text):
        env.reset(options=options)
    assert int(env.batch.references[0]) == row
    np.testing.assert_array_equal(env.batch.accounts.values, values)


def test_the_refusals_name_what_is_possible(tape):
    env = TradingEnv(tape, episodes())
    with pytest.raises(ConfigError) as caught:
        env.reset(options={"symbol": "ETC"})
    assert (caught.value.needed, caught.value.nearest) == ("one of BTC, ETH, SOL", "ETH")
    with pytest.raises(DataError) as caught:
        env.reset(options={"symbol": "SOL", "start": 44})
    assert caught.value.needed == "tape rows 2 … 49, 62 … 139, 152 … 184"


# --- settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"length": 1}, "'length' must be a whole number ≥ 2, got 1"),
        ({"symbol_weights": {}}, "'symbol_weights' is empty"),
        ({"symbol_weights": {"BTC": 0}}, "'symbol_weights.BTC' must be > 0, got 0"),
        ({"symbol_weights": {"BTC": 1}, "start": "sequential"}, "'symbol_weights' are for random starts"),
        ({"timeframe_weights": {"1h": 1}, "start": "sequential"}, "'timeframe_weights' are for random starts"),
        ({"timeframe_weights": {"hourly": 1}}, "'hourly' is no timeframe"),
        ({"regime_weights": {"sideways": 1}}, "'regime_weights' must be one of uptrend, .* got 'sideways'"),
        ({"regime_weights": {"uptrend": -1}}, "'regime_weights.uptrend' must be > 0, got -1"),
        ({"regimes": ["sideways"]}, "'regimes' must be one of uptrend, .* oscillating, got 'sideways'"),
        ({"regimes": ()}, "'regimes' is empty"),
        ({"starts": []}, "'starts' is empty"),
        ({"starts": ["BTC"]}, r"each of 'starts' is a symbol, a timeframe .* and a row or time, got 'BTC'"),
        ({"starts": [("BTC", "day", 1)]}, "'day' is no timeframe"),
        ({"starts": [("BTC", 1.5)]}, r"got \('BTC', 1.5\)"),
    ],
)  # fmt: skip
def test_mistakes_in_the_settings_are_told_at_once(changes, text):
    with pytest.raises(ConfigError, match=text):
        EpisodeSettings(**{"window": 2, "length": 10, **changes})


def test_regime_names_are_those_of_the_enum():
    names = [regime.name for regime in REGIMES]
    assert EpisodeSettings(regimes=names).regimes == tuple(name.lower() for name in names)


def test_weights_of_an_unknown_symbol_are_refused_with_the_nearest(tape):
    with pytest.raises(ConfigError, match="the tape holds no symbol 'BTCC'") as caught:
        TradingEnv(tape, episodes(symbol_weights={"BTCC": 1}))
    assert caught.value.nearest == "BTC"


def test_a_weighted_symbol_without_room_is_refused(tape):
    with pytest.raises(DataError, match="no episode of SOL fits into the rows"):
        TradingEnv(tape, episodes(symbol_weights={"BTC": 1, "SOL": 1}), RowRange(0, 155))


def test_timestamps_of_the_hand_made_tapes_are_hours():
    assert named("A", 3, 0, 0).timestamps.tolist() == [0, HOUR_NS, 2 * HOUR_NS]
