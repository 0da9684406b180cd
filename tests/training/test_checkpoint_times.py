"""When a checkpoint is due: by steps, by the clock, never both at once, and at once when somebody wants to stop."""

from types import SimpleNamespace

import pytest

from regimegym.training.checkpoints import CheckpointCallback, Checkpoints, StopRequest, TrainingStopped


class Clock:
    """Seconds that a test sets."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr("regimegym.training.checkpoints.time.monotonic", lambda: Clock.now)
    Clock.now = 1000.0
    return Clock


def callback_of(folder, steps, minutes, keep=9):
    callback = CheckpointCallback(Checkpoints(folder, keep), lambda: {"x": 1}, steps, minutes, StopRequest())
    callback.model = SimpleNamespace(num_timesteps=0)
    return callback


def reach(callback, step):
    callback.model.num_timesteps = step
    callback._on_rollout_start()


def test_by_the_clock_a_checkpoint_comes_when_the_minutes_have_passed_since_the_last(tmp_path, clock):
    callback = callback_of(tmp_path, 0, 10.0)
    for step, minute in ((8, 9.9), (16, 10.0), (24, 19.9), (32, 20.1)):
        clock.now = 1000.0 + 60.0 * minute
        reach(callback, step)
    assert Checkpoints(tmp_path, 9).steps() == [16, 32]


def test_by_steps_the_first_rollout_behind_each_multiple_is_kept_and_the_oldest_are_dropped(tmp_path, clock):
    callback = callback_of(tmp_path, 100, 0.0, keep=2)
    for step in range(0, 400, 16):
        reach(callback, step)
    assert Checkpoints(tmp_path, 2).steps() == [208, 304]


def test_whoever_wants_to_stop_gets_a_checkpoint_at_once(tmp_path, clock):
    callback = callback_of(tmp_path, 0, 0.0)
    reach(callback, 8)
    assert Checkpoints(tmp_path, 9).steps() == []
    callback._stop.by = "SIGTERM"
    with pytest.raises(TrainingStopped) as stopped:
        reach(callback, 16)
    assert (stopped.value.step, stopped.value.path) == (16, tmp_path / "step_16")
    assert Checkpoints(tmp_path, 9).newest() == (16, {"x": 1})
