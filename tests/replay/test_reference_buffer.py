"""ReferenceReplayBuffer against a slow list of transitions, and windows against the tape."""

import numpy as np
import pytest
from gymnasium import spaces

from regimegym.features.tape import MarketTape, Segment
from regimegym.replay.reference import ReferenceReplayBuffer

T, F, W, K, GAMMA = 200, 3, 6, 2, 0.9


@pytest.fixture(scope="module")
def tape() -> MarketTape:
    rng = np.random.default_rng(1)
    ones, zeros = np.ones(T), np.zeros(T)
    return MarketTape(
        timestamps=np.arange(T),
        open=ones,
        high=ones,
        low=ones,
        close=ones,
        volume=zeros,
        half_spread_open=zeros,
        half_spread_close=zeros,
        features=rng.normal(size=(T, F)).astype(np.float32),
        feature_names=("a", "b", "c"),
        regimes=rng.integers(-1, 4, size=T).astype(np.int8),
        regime_probabilities=np.full((T, 4), 0.25, dtype=np.float32),
        segments=(Segment("X", 0, 100, 0), Segment("Y", 100, T, 100)),
        segment_start=np.repeat([0, 100], 100),
        periods_per_year=252.0,
        timeframe_ns=1,
    )


def make_buffer(tape: MarketTape, size: int = 1000, n_envs: int = 3, n_steps: int = 1, random_seed: int = 0):
    space = spaces.Dict(
        {
            "market": spaces.Box(-np.inf, np.inf, (W, F), np.float32),
            "account": spaces.Box(-1, 1, (K,), np.float32),
        }
    )
    return ReferenceReplayBuffer(
        size,
        space,
        spaces.Discrete(3),
        n_envs=n_envs,
        tape=tape,
        rng=np.random.default_rng(random_seed),
        n_steps=n_steps,
        gamma=GAMMA,
    )


def random_history(n_envs: int, steps: int):
    """Steps of accounts whose episodes end at random: (row, account, action, reward, next, end, cut)."""
    rng = np.random.default_rng(9)
    row = rng.integers(0, 50, size=n_envs)
    account = rng.normal(size=(n_envs, K)).astype(np.float32)
    for _ in range(steps):
        nxt = rng.normal(size=(n_envs, K)).astype(np.float32)
        ended = rng.random(n_envs) < 0.2
        cut = ended & (rng.random(n_envs) < 0.5)
        yield row.copy(), account, rng.integers(3, size=n_envs), rng.normal(size=n_envs), nxt, ended, cut
        row = np.where(ended, rng.integers(0, 50, size=n_envs), row + 1)
        account = np.where(ended[:, None], rng.normal(size=(n_envs, K)), nxt).astype(np.float32)


def feed(buffer: ReferenceReplayBuffer, history) -> None:
    for row, account, action, reward, nxt, ended, cut in history:
        infos = [{"row": int(r), "TimeLimit.truncated": bool(c)} for r, c in zip(row, cut, strict=True)]
        buffer.add({"account": account}, {"account": nxt}, action, reward, ended, infos)


def slow_transitions(history, n_envs: int, n_steps: int) -> list[tuple]:
    """Every finished n-step transition, account by account, the obvious way."""
    out = []
    steps = list(history)
    for i in range(n_envs):
        for t in range(len(steps)):
            total, discount = 0.0, 1.0
            for j in range(t, len(steps)):
                row, _, _, reward, nxt, ended, cut = steps[j]
                total += discount * reward[i]
                discount *= GAMMA
                if ended[i] or j - t + 1 == n_steps:
                    first = steps[t]
                    terminated = bool(ended[i] and not cut[i])
                    out.append(
                        (first[0][i], *first[1][i], first[2][i], total, row[i] + 1, *nxt[i], discount, terminated)
                    )
                    break
    return sorted(out)


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_stored_transitions_equal_a_slow_loop_over_accounts(tape, n_steps):
    buffer = make_buffer(tape, n_steps=n_steps)
    feed(buffer, random_history(3, 60))
    s = buffer.stored
    held = sorted(
        (
            s.row[i],
            *s.account[i],
            s.action[i],
            s.reward_n[i],
            s.next_row[i],
            *s.next_account[i],
            s.discount[i],
            bool(s.terminated[i]),
        )
        for i in range(buffer.size())
    )
    expected = slow_transitions(random_history(3, 60), 3, n_steps)
    assert len(held) == len(expected) > 100
    np.testing.assert_allclose(np.array(held), np.array(expected), rtol=1e-6, atol=1e-6)


def test_an_n_step_return_worked_out_by_hand(tape):
    buffer = make_buffer(tape, n_envs=1, n_steps=3)
    account = [np.full((1, K), k / 10, dtype=np.float32) for k in range(5)]
    ends = [False, False, False, True]
    for k, end in enumerate(ends):
        infos = [{"row": 20 + k, "TimeLimit.truncated": True}] if end else [{"row": 20 + k}]
        buffer.add(
            {"account": account[k]},
            {"account": account[k + 1]},
            np.array([k % 3]),
            np.array([float(k + 1)]),
            np.array([end]),
            infos,
        )
    s = buffer.stored
    assert s.row[:4].tolist() == [20, 21, 22, 23]
    np.testing.assert_allclose(
        s.reward_n[:4], [1 + 0.9 * 2 + 0.81 * 3, 2 + 0.9 * 3 + 0.81 * 4, 3 + 0.9 * 4, 4], rtol=1e-6
    )
    np.testing.assert_allclose(s.discount[:4], [0.729, 0.729, 0.81, 0.9], rtol=1e-6)
    assert s.next_row[:4].tolist() == [23, 24, 24, 24]
    np.testing.assert_allclose(s.next_account[:4, 0], [0.3, 0.4, 0.4, 0.4], rtol=1e-6)
    assert not s.terminated[:4].any()


def test_a_sampled_window_is_the_window_of_the_tape(tape):
    buffer = make_buffer(tape)
    feed(buffer, random_history(3, 40))
    batch = buffer.sample(64)
    s, slots = buffer.stored, batch.slots
    assert batch.market.shape == (64, W, F)
    for b, slot in enumerate(slots):
        row, nxt = s.row[slot], s.next_row[slot]
        first = max(row - W + 1, 0)
        np.testing.assert_array_equal(batch.market[b, W - (row - first + 1) :], tape.features[first : row + 1])
        np.testing.assert_array_equal(batch.next_market[b, -1], tape.features[nxt])
        assert batch.regime[b] == tape.regimes[row]
        assert batch.action[b] == s.action[slot]
    assert batch.weights.tolist() == [1.0] * 64


def test_the_ring_keeps_the_latest_transitions(tape):
    buffer = make_buffer(tape, size=10, n_envs=3)
    feed(buffer, random_history(3, 40))
    assert buffer.size() == 10
    last = [row for row, *_ in random_history(3, 40)][-3:]
    assert set(np.concatenate(last)) <= set(buffer.stored.row.tolist())


def test_every_slot_is_drawn_and_equal_generators_draw_alike(tape):
    a, b = make_buffer(tape, size=30, random_seed=4), make_buffer(tape, size=30, random_seed=4)
    for buffer in (a, b):
        feed(buffer, random_history(3, 40))
    counts = np.bincount(np.concatenate([a.sample(50).slots for _ in range(200)]), minlength=30)
    assert np.abs(counts / counts.sum() - 1 / 30).max() < 0.01
    b_slots = [b.sample(50).slots for _ in range(200)]
    assert (a.sample(50).slots == b.sample(50).slots).all()
    assert len(b_slots) == 200


def test_sampling_from_an_empty_buffer_is_refused(tape):
    with pytest.raises(ValueError, match="empty replay buffer"):
        make_buffer(tape).sample(4)


def test_a_transition_takes_no_more_than_a_hundred_bytes(tape):
    buffer = make_buffer(tape, size=1000)
    assert buffer.nbytes / 1000 < 100
