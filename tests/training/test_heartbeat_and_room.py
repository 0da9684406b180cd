"""What can be known before a training starts, and what tells from outside that it lives."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from regimegym.common.errors import MachineError, RunError
from regimegym.training import room
from regimegym.training.heartbeat import SECONDS, Heartbeat
from regimegym.training.room import check_room, check_writable, checkpoint_bytes
from regimegym.training.run_folder import RunFolder

NOW = datetime(2026, 11, 20, 18, 31, 7, tzinfo=UTC)


def beating(folder, seconds):
    heart = Heartbeat(RunFolder(folder), 1_000, clock=lambda: seconds[0], now=lambda: NOW)
    heart.init_callback(SimpleNamespace(num_timesteps=0, get_env=lambda: None, logger=None))
    return heart


def beat(folder):
    return json.loads((folder / "heartbeat.json").read_text())


def test_a_heartbeat_says_time_step_and_speed(tmp_path):
    seconds = [100.0]
    heart = beating(tmp_path, seconds)
    heart.on_training_start({}, {})
    assert beat(tmp_path) == {
        "time": "2026-11-20T18:31:07+00:00",
        "step": 0,
        "total_steps": 1_000,
        "steps_per_second": None,
    }
    heart.model.num_timesteps, seconds[0] = 40, 100.0 + 0.9 * SECONDS
    heart.on_step()
    assert beat(tmp_path)["step"] == 0
    heart.model.num_timesteps, seconds[0] = 300, 100.0 + SECONDS
    heart.on_step()
    assert beat(tmp_path)["step"] == 300
    assert beat(tmp_path)["steps_per_second"] == pytest.approx(300 / SECONDS)
    heart.num_timesteps = 1_000
    heart.on_training_end()
    assert beat(tmp_path)["step"] == 1_000


def test_a_beat_that_the_disk_refuses_is_said_and_the_training_goes_on(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise MachineError("disk-full", "no space left for heartbeat.json")

    monkeypatch.setattr(RunFolder, "write_json", full)
    heart = beating(tmp_path, [0.0])
    heart.on_training_start({}, {})
    assert heart.on_step()
    assert "the heartbeat could not be written: no space left" in caplog.text


def algorithm(**buffer):
    policy = SimpleNamespace(state_dict=lambda: {"w": torch.zeros(1_000)})
    return SimpleNamespace(policy=policy, **({"replay_buffer": SimpleNamespace(**buffer)} if buffer else {}))


def test_a_checkpoint_is_weights_moments_and_a_full_replay_memory():
    assert checkpoint_bytes(algorithm()) == 3 * 4_000
    assert checkpoint_bytes(algorithm(nbytes=500, tree_nbytes=70)) == 12_570
    assert checkpoint_bytes(algorithm(observations={"a": np.zeros(10)}, rewards=np.zeros(2))) == 12_096


def test_a_disk_that_cannot_hold_the_run_is_known_before(tmp_path, monkeypatch):
    needed = 3 * 12_000 + room.SMALL_FILES
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=needed))
    check_room(tmp_path / "a" / "b", algorithm(), 2)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    with pytest.raises(MachineError, match="would not fit on the disk of") as caught:
        check_room(tmp_path / "a" / "b", algorithm(), 2)
    assert "for 3 checkpoints, model and report" in str(caught.value.needed)
    assert caught.value.kept == "nothing was written"


def test_a_folder_that_may_not_be_written_is_known_before(tmp_path, monkeypatch):
    check_writable(tmp_path / "new" / "run")
    monkeypatch.setattr(os, "access", lambda place, mode: place != tmp_path)  # root may write anywhere
    with pytest.raises(MachineError, match="may not write") as caught:
        check_writable(tmp_path / "new" / "run")
    assert caught.value.needed == f"permission to write below {tmp_path}"
    assert list(tmp_path.iterdir()) == []


def test_of_runs_that_start_at_once_one_gets_the_folder(tmp_path):
    for attempt in range(20):
        barrier = Barrier(4)

        def take(_, place=str(tmp_path / str(attempt)), barrier=barrier):
            barrier.wait()
            try:
                return RunFolder.create(place, "a", NOW)
            except RunError as error:
                return error.name

        with ThreadPoolExecutor(4) as pool:
            taken = list(pool.map(take, range(4)))
        assert sum(isinstance(found, RunFolder) for found in taken) == 1
        assert {found for found in taken if not isinstance(found, RunFolder)} <= {"exists", "not-empty"}
