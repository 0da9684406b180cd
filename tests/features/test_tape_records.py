"""A tape holds its prices once: the kernel's records; columns, pieces, copies and environments look into them."""

import copy
import pickle
import tracemalloc
from dataclasses import fields, replace

import numpy as np
import pytest

from regimegym.envs.settings import AccountSettings, EnvSettings
from regimegym.envs.state import bar_records
from regimegym.envs.trading_env import TradingEnv
from regimegym.features.bar_records import BAR, PRICES
from regimegym.features.bars import NS_PER_SECOND
from regimegym.features.tape import MarketTape, Segment, cut_tape, join_tapes, rows_of_tape

N = 40
RNG = np.random.default_rng(0)
COLUMNS = {name: RNG.random(N) + 1 for name in PRICES}
SEGMENTS = (Segment("A", 0, 25, 3, 10, 100.0), Segment("B", 25, N, 27))


def made(n=N, n_features=3, **changes):
    contents = {
        "timestamps": np.cumsum(RNG.integers(1, 9, n)) * NS_PER_SECOND,
        **{name: np.resize(values, n) for name, values in COLUMNS.items()},
        "features": np.zeros((n, n_features), np.float32),
        "feature_names": tuple(f"f{i}" for i in range(n_features)),
        "regimes": (np.arange(n) % 5 - 1).astype(np.int8),
        "regime_probabilities": np.full((n, 4), 0.25, np.float32),
        "segments": SEGMENTS if n == N else (Segment("A", 0, n, 0),),
        "segment_start": np.repeat([0, 25], [25, N - 25]) if n == N else np.zeros(n, np.int64),
        "periods_per_year": 252.0,
        "timeframe_ns": NS_PER_SECOND,
    }
    return MarketTape(**contents | changes)


def assert_same(one, other):
    """All that the two tapes say is equal."""
    for field in fields(MarketTape):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(ours, np.ndarray):
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert ours == theirs


def assert_whole(tape):
    """Every column of prices is a view into the records, which agree with the rest; nothing can be written."""
    assert tape.records.dtype == BAR
    for name in PRICES:
        assert np.shares_memory(getattr(tape, name), tape.records)
        np.testing.assert_array_equal(getattr(tape, name), tape.records[name])
    np.testing.assert_array_equal(tape.records["regime"], tape.regimes)
    for segment in tape.segments:
        assert (tape.records["years"][segment.start : segment.stop] == 1 / segment.periods_per_year).all()
    if tape.funding_rate is None:
        assert not tape.records["funding_rate"].any()
    else:
        assert np.shares_memory(tape.funding_rate, tape.records)
    for field in fields(MarketTape):
        value = getattr(tape, field.name)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable


@pytest.mark.parametrize("funding", [None, np.linspace(-1, 1, N)])
def test_the_columns_are_what_was_given_and_look_into_the_records(funding):
    tape = made(funding_rate=funding)
    assert_whole(tape)
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(getattr(tape, name), values)
    assert [segment.periods_per_year for segment in tape.segments] == [100.0, 252.0]


@pytest.mark.parametrize(
    "change",
    [
        {"close": np.full(N, 7.0)},
        {"regimes": np.zeros(N, np.int8)},
        {"funding_rate": np.full(N, 0.1)},
        {"segments": (Segment("A", 0, N, 0, 0, 365.0),)},
    ],
)
def test_a_replaced_attribute_is_in_the_records_too_and_the_old_tape_keeps_its_own(change):
    tape = made()
    before = tape.records.copy()
    changed = replace(tape, **change)
    assert_whole(changed)
    assert not np.array_equal(changed.records, before)
    np.testing.assert_array_equal(tape.records, before)


@pytest.mark.parametrize("funding", [None, np.linspace(-1, 1, N)])
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda tape: pickle.loads(pickle.dumps(tape))])
def test_a_copy_is_a_whole_tape_of_the_same_size(again, funding):
    tape = made(funding_rate=funding)
    twin = again(tape)
    assert_whole(twin)
    assert_same(tape, twin)


def test_a_pickle_holds_the_prices_once():
    tape = made(4_000, n_features=1)
    own = sum(getattr(tape, name).nbytes for name in ("timestamps", "features", "regimes", "regime_probabilities"))
    assert len(pickle.dumps(tape)) < tape.records.nbytes + own + tape.segment_start.nbytes + 2_000


@pytest.mark.parametrize("funding", [None, np.linspace(-1, 1, N)])
def test_a_piece_looks_into_the_records_of_the_whole(funding):
    tape = made(funding_rate=funding)
    piece = cut_tape(tape, 5, 20)
    assert_whole(piece)
    assert np.shares_memory(piece.records, tape.records)
    np.testing.assert_array_equal(piece.close, tape.close[5:20])


def test_joined_tapes_keep_every_bar_and_somebody_pays_where_one_tape_is_funded():
    one, other = made(), made(funding_rate=np.linspace(-1, 1, N))
    joined = join_tapes([one, other])
    assert_whole(joined)
    np.testing.assert_array_equal(joined.records, np.concatenate([one.records, other.records]))
    np.testing.assert_array_equal(joined.funding_rate, np.concatenate([np.zeros(N), other.funding_rate]))
    assert join_tapes([one, one]).funding_rate is None


def test_chosen_rows_are_a_whole_tape():
    tape, rows = made(), np.array([1, 4, 6, 30])
    chosen = rows_of_tape(tape, rows, segments=(Segment("A", 0, 4, 0),), segment_start=np.zeros(4, np.int64))
    assert_whole(chosen)
    np.testing.assert_array_equal(chosen.volume, tape.volume[rows])


def test_the_kernel_reads_the_records_of_the_tape_and_a_copy_only_for_elapsed_time():
    tape = made()
    assert bar_records(tape, "per_bar") is tape.records
    elapsed = bar_records(tape, "elapsed")
    assert not np.shares_memory(elapsed, tape.records)
    seconds = np.diff(tape.timestamps)[:24] / NS_PER_SECOND
    np.testing.assert_allclose(elapsed["years"][1:25], seconds / 31_557_600, rtol=1e-15)
    assert np.isnan(elapsed["years"][[0, 25]]).all()
    env = TradingEnv(made(600), EnvSettings(AccountSettings(carry_clock="elapsed")))
    assert not np.shares_memory(env.batch.bars, env.tape.records)


def test_a_tape_and_an_environment_on_it_take_at_most_a_fifth_more_than_their_columns():
    n, n_features = 100_000, 64
    TradingEnv(made(600, n_features)).reset(seed=0)  # loads the kernels
    tracemalloc.start()
    try:
        tape = made(n, n_features)
        env = TradingEnv(tape)
        env.reset(seed=0)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    values = [getattr(tape, field.name) for field in fields(MarketTape) if field.init]
    columns = sum(value.nbytes for value in values if isinstance(value, np.ndarray))
    assert columns > n * 300
    assert held <= 1.12 * columns
    assert np.shares_memory(env.batch.bars, tape.records)
