"""A saved buffer continues as the one that went on; what does not fit is refused."""

import numpy as np
import pytest
import torch
from markets import T, W, feed_rows, make_buffer, number_tape

from regimegym.common.errors import ModelError
from regimegym.common.state_file import read_state, write_state
from regimegym.replay.windows import DeviceWindows, HostWindows, windows_of

TAPE = number_tape()


def live(buffer, rng, steps):
    """Let a buffer live on: accounts that walk and jump, draws, updates; returns what was drawn."""
    seen = []
    for _ in range(steps):
        first = rng.integers(0, 150, buffer.n_envs)
        feed_rows(buffer, (first + np.arange(4)[:, None]).ravel(), rng.normal(size=4 * buffer.n_envs))
        batch = buffer.draw(32)
        buffer.update_priorities(batch.slots, batch.born, rng.normal(size=32))
        seen.append((batch.references, batch.weights.numpy(), batch.reward_n.numpy(), batch.market.numpy().copy()))
    return seen


@pytest.mark.parametrize("kind", ["uniform", "prioritized", "regime"])
def test_a_loaded_buffer_continues_bit_for_bit(tmp_path, kind):
    first = make_buffer([TAPE], 200, n_steps=2, kind=kind)
    live(first, np.random.default_rng(1), 40)
    first.anneal(0.3)
    write_state(tmp_path, first.state())
    second = make_buffer([TAPE], 200, n_steps=2, kind=kind, random_seed=99)
    second.load_state(read_state(tmp_path))
    second.check_valid()
    went_on, continued = (live(buffer, np.random.default_rng(2), 40) for buffer in (first, second))
    assert len(went_on) == 40
    for ours, theirs in zip(went_on, continued, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(first.stored, second.stored, strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_what_is_held_is_saved(tmp_path):
    buffer = make_buffer([TAPE], 1_000_000, kind="regime")
    feed_rows(buffer, np.arange(150))
    write_state(tmp_path, buffer.state())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000


@pytest.mark.parametrize(
    "changes", [{"size": 201}, {"n_steps": 3}, {"n_envs": 4}, {"kind": "prioritized"}], ids=lambda c: next(iter(c))
)
def test_the_state_of_another_buffer_is_refused_and_nothing_changes(tmp_path, changes):
    buffer = make_buffer([TAPE], 200, n_steps=2, kind="regime")
    live(buffer, np.random.default_rng(1), 5)
    write_state(tmp_path, buffer.state())
    other = make_buffer([TAPE], **{"size": 200, "n_steps": 2, "kind": "regime"} | changes)
    with pytest.raises(ModelError, match=r"saved replay|other capacities"):
        other.load_state(read_state(tmp_path))
    assert other.size() == 0


@pytest.mark.parametrize("hold", ["tensor", "view", "array", "graph", "detached"])
def test_what_is_held_of_a_batch_is_not_written_over(hold):
    buffer = make_buffer([TAPE], 200, kind="regime")
    feed_rows(buffer, np.arange(120))
    weight = torch.ones(1, requires_grad=True)
    holds = {
        "tensor": lambda found: found,
        "view": lambda found: found[1:],
        "array": lambda found: found.numpy(),
        "graph": lambda found: weight * found,
        "detached": lambda found: found.detach(),
    }
    for name in ("market", "next_market", "account", "reward_n", "weights"):
        batch = buffer.draw(32)
        before = getattr(batch, name).clone()
        held = holds[hold](getattr(batch, name))
        del batch
        for _ in range(5):
            buffer.draw(32)
        if hold == "graph":
            held.sum().backward()  # multiplies by what was saved
            np.testing.assert_allclose(weight.grad.item(), before.sum().item(), rtol=1e-5)
            weight.grad = None
        else:
            np.testing.assert_array_equal(held, before[1:] if hold == "view" else before)


def test_batches_that_nobody_holds_share_their_memory():
    buffer = make_buffer([TAPE], 200, kind="regime")
    feed_rows(buffer, np.arange(120))
    places = {buffer.draw(32).market.data_ptr() for _ in range(20)}
    assert len(places) == 1


def test_windows_by_index_are_those_copied_by_the_processor():
    tapes, cpu = [number_tape(k) for k in range(3)], torch.device("cpu")
    by_copy, by_index = HostWindows(W, cpu), DeviceWindows(W, cpu)
    for n_tapes in (1, 3):  # tapes come while the buffer lives
        references = np.random.default_rng(0).integers(0, n_tapes * T, 200)
        ours = by_index.gather(tapes[:n_tapes], references)
        assert torch.equal(ours, by_copy.gather(tapes[:n_tapes], references))
        assert (ours[references % T % (T // 2) < W - 1] == 0).any()
    assert isinstance(windows_of("learner", W, cpu), HostWindows)
    assert isinstance(windows_of("cpu", W, torch.device("meta")), HostWindows)
    assert isinstance(windows_of("learner", W, torch.device("meta")), DeviceWindows)
