"""What is stored, against a slow list of transitions; what is drawn, against the tape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import GAMMA, K, T, W, feed, feed_rows, make_buffer, number_tape

TAPE = number_tape()


def random_history(n_envs: int, steps: int, random_seed: int = 9):
    """Steps of accounts whose episodes end at random: (row, account, action, reward, next, end, cut)."""
    rng = np.random.default_rng(random_seed)
    row = rng.integers(0, 50, size=n_envs)
    account = rng.normal(size=(n_envs, K)).astype(np.float32)
    for _ in range(steps):
        nxt = rng.normal(size=(n_envs, K)).astype(np.float32)
        ended = rng.random(n_envs) < 0.2
        cut = ended & (rng.random(n_envs) < 0.5)
        yield row.copy(), account, rng.integers(3, size=n_envs), rng.normal(size=n_envs), nxt, ended, cut
        row = np.where(ended, rng.integers(0, 50, size=n_envs), row + 1)
        account = np.where(ended[:, None], rng.normal(size=(n_envs, K)), nxt).astype(np.float32)


def slow_transitions(history, n_envs: int, n_steps: int) -> list[tuple]:
    """Every finished n-step transition of a known regime, account by account, the obvious way."""
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
                    regime = TAPE.regimes[first[0][i]]
                    terminated = bool(ended[i] and not cut[i])
                    if regime >= 0:
                        out.append(
                            (first[0][i], *first[1][i], first[2][i], total, row[i] + 1, *nxt[i], terminated, regime)
                        )
                    break
    return sorted(out)


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("kind", ["uniform", "regime"])
def test_stored_transitions_equal_a_slow_loop_over_accounts(n_steps, kind):
    buffer = make_buffer([TAPE], n_steps=n_steps, kind=kind)
    feed(buffer, random_history(3, 60))
    s = buffer.stored
    columns = (s.reference, s.account, s.action, s.reward_n, s.next_reference, s.next_account, s.terminated, s.regime)
    held = sorted(zip(*(c for x in columns for c in np.atleast_2d(x.T).tolist()), strict=True))
    expected = slow_transitions(random_history(3, 60), 3, n_steps)
    assert len(held) == len(expected) > 100
    np.testing.assert_allclose(np.array(held), np.array(expected), rtol=1e-6, atol=1e-6)
    buffer.check_valid()


def test_an_n_step_return_worked_out_by_hand():
    tape = number_tape(regimes=np.zeros(T))
    buffer = make_buffer([tape], n_envs=1, n_steps=3)
    account = [np.full((1, K), k / 10, np.float32) for k in range(5)]
    yes, no = np.array([True]), np.array([False])
    feed(
        buffer,
        [
            (np.array([20 + k]), account[k], np.array([k % 3]), np.array([k + 1.0]), account[k + 1], end, end)
            for k, end in enumerate([no, no, no, yes])
        ],
    )
    s = buffer.stored
    assert s.reference.tolist() == [20, 21, 22, 23]
    np.testing.assert_allclose(s.reward_n, [1 + 0.9 * 2 + 0.81 * 3, 2 + 0.9 * 3 + 0.81 * 4, 3 + 0.9 * 4, 4], rtol=1e-6)
    assert s.next_reference.tolist() == [23, 24, 24, 24]
    np.testing.assert_allclose(s.next_account[:, 0], [0.3, 0.4, 0.4, 0.4], rtol=1e-6)
    assert not s.terminated.any()
    batch = buffer.draw(50)
    by_slot = dict(zip(batch.slots.tolist(), batch.discount.tolist(), strict=True))
    assert [by_slot[k] for k in range(4)] == pytest.approx([0.729, 0.729, 0.81, 0.9])


def test_an_episode_that_is_broken_off_leaves_no_return_across_the_gap():
    buffer = make_buffer([number_tape(regimes=np.zeros(T))], n_envs=1, n_steps=2)
    feed_rows(buffer, np.array([10, 11, 50, 51]), np.array([1.0, 2.0, 4.0, 8.0]))
    assert buffer.stored.reference.tolist() == [10, 50]
    np.testing.assert_allclose(buffer.stored.reward_n, [1 + 0.9 * 2, 4 + 0.9 * 8], rtol=1e-6)


@pytest.mark.parametrize("n_tapes", [1, 3])
def test_a_drawn_window_is_the_window_of_its_tape(n_tapes):
    tapes = [number_tape(k) for k in range(n_tapes)]
    buffer = make_buffer(tapes)
    rng = np.random.default_rng(0)
    feed_rows(buffer, rng.integers(0, n_tapes * T - 1, 300))
    batch = buffer.draw(64)
    assert batch.market.shape == batch.next_market.shape == (64, W, 3)
    for windows, references in zip((batch.market, batch.next_market), batch.references, strict=True):
        for window, reference in zip(windows.numpy(), references, strict=True):
            tape, row = tapes[reference // T], reference % T
            np.testing.assert_array_equal(window, tape.windows(np.array([row]), W)[0])
    own = [tapes[r // T].regimes[r % T] for r in batch.references[0]]
    assert batch.regime.tolist() == own
    assert min(own) >= 0
    assert batch.weights.tolist() == [1.0] * 64


@settings(max_examples=30, deadline=None)
@given(
    n_steps=st.integers(1, 5),
    n_tapes=st.integers(1, 3),
    size=st.sampled_from([12, 1000]),
    kind=st.sampled_from(["uniform", "prioritized", "regime"]),
    random_seed=st.integers(0, 99),
)
def test_both_windows_are_those_of_the_tape_whatever_the_steps_between(n_steps, n_tapes, size, kind, random_seed):
    tapes = [number_tape(k) for k in range(n_tapes)]
    buffer = make_buffer(tapes, size, 4, n_steps, random_seed, kind=kind)
    offsets = np.array([0, T // 2, 0, T // 2]) + T * (np.arange(4) % n_tapes)  # at the start of both segments
    history = random_history(4, 40, random_seed)
    feed(buffer, ((row + offsets, *rest) for row, *rest in history))
    for batch_size in (1, 40):  # one transition, and mostly several of different lengths
        batch = buffer.draw(batch_size)
        for windows, references in zip((batch.market, batch.next_market), batch.references, strict=True):
            naive = [tapes[r // T].windows(np.array([r % T]), W)[0] for r in references]
            np.testing.assert_array_equal(windows.numpy(), naive)
        steps = batch.references[1] - batch.references[0]
        assert ((steps >= 1) & (steps <= n_steps)).all()
        np.testing.assert_allclose(batch.discount.numpy(), GAMMA**steps, rtol=1e-6)


def test_the_ring_keeps_the_latest_transitions():
    buffer = make_buffer([number_tape(regimes=np.ones(T))], size=10, n_envs=3)
    feed_rows(buffer, np.arange(120))
    assert buffer.size() == 10
    assert sorted(buffer.stored.reference.tolist()) == list(range(110, 120))
    buffer.check_valid()


def test_every_slot_is_drawn_and_equal_generators_draw_alike():
    tape = number_tape(regimes=np.ones(T))
    a, b = make_buffer([tape], size=30, random_seed=4), make_buffer([tape], size=30, random_seed=4)
    for buffer in (a, b):
        feed_rows(buffer, np.arange(120))
    drawn = [a.draw(50).slots for _ in range(400)]
    counts = np.bincount(np.concatenate(drawn), minlength=30)
    assert np.abs(counts / counts.sum() - 1 / 30).max() < 0.005
    np.testing.assert_array_equal(drawn, [b.draw(50).slots for _ in range(400)])


def test_transitions_of_unknown_regime_are_never_stored():
    regimes = np.full(T, -1)
    regimes[50:] = 2
    for kind in ("uniform", "prioritized", "regime"):
        buffer = make_buffer([number_tape(regimes=regimes)], kind=kind)
        feed_rows(buffer, np.arange(20, 80))
        assert buffer.stored.reference.tolist() == list(range(50, 80))
        assert buffer.counts.tolist() == [0, 0, 30, 0]


def test_a_batch_that_is_kept_is_not_written_over_by_later_ones():
    buffer = make_buffer([TAPE])
    feed_rows(buffer, np.random.default_rng(0).integers(0, T // 2 - 1, 300))  # no decision on the last row of a segment
    kept = [buffer.draw(64) for _ in range(4)]
    copies = [batch.market.clone() for batch in kept]
    for _ in range(20):
        buffer.draw(64)
    for batch, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(batch.market.numpy(), copy.numpy())
        np.testing.assert_array_equal(batch.market.numpy(), TAPE.windows(batch.references[0], W))
