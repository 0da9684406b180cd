"""Run folders: nothing is written over, nothing is half written, every refusal says what to do."""

import errno
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from regimegym.common.errors import MachineError, RunError
from regimegym.common.plain import plain
from regimegym.training import manifest as manifest_module
from regimegym.training.manifest import build_manifest, code_version
from regimegym.training.run_folder import RunFolder

NOW = datetime(2026, 11, 20, 18, 31, 7)


def finished(root: Path, name: str, started: str, status: str = "finished") -> Path:
    folder = RunFolder(root / name)
    folder.write_json("manifest.json", {"status": status, "started": started})
    folder.write_text("config.yaml", "random_seed: 0\n")
    return folder.path


def test_a_run_gets_a_folder_of_its_date_and_time(tmp_path):
    folder = RunFolder.create(None, "quickstart", NOW, root=tmp_path)
    assert folder.path == tmp_path / "2026-11-20" / "18-31-07-quickstart"
    assert folder.path.is_dir()


def test_runs_of_the_same_second_do_not_share_a_folder(tmp_path):
    names = [RunFolder.create(None, "a", NOW, root=tmp_path).path.name for _ in range(3)]
    assert names == ["18-31-07-a", "18-31-07-a-2", "18-31-07-a-3"]


def test_jobs_of_a_sweep_stand_below_one_folder(tmp_path):
    jobs = [RunFolder.create(None, "a", NOW, job, root=tmp_path).path for job in range(2)]
    assert jobs == [tmp_path / "2026-11-20" / "18-31-07-a" / str(job) for job in range(2)]


def test_an_explicit_folder_is_used_as_it_is(tmp_path):
    assert RunFolder.create(str(tmp_path / "first"), "a", NOW).path == tmp_path / "first"
    assert RunFolder.create(str(tmp_path / "sweep"), "a", NOW, job=3).path == tmp_path / "sweep" / "3"


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(tmp_path):
    taken = finished(tmp_path, "first", "2026")
    with pytest.raises(RunError) as caught:
        RunFolder.create(str(taken), "a", NOW)
    assert caught.value.lines() == [
        f"error run/exists '{taken}' already holds a run",
        "  needed    a new or empty folder",
        "  help  choose another folder, for example:",
        f"        run_dir={taken}-2",
        "  nothing was written",
        "  exit code 2",
    ]
    assert (taken / "config.yaml").read_text() == "random_seed: 0\n"


def test_a_folder_with_other_files_and_a_file_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        RunFolder.create(str(tmp_path), "a", NOW)
    with pytest.raises(RunError, match="is a file, not a folder"):
        RunFolder.create(str(tmp_path / "notes.txt"), "a", NOW)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_last_is_the_newest_finished_run(tmp_path):
    finished(tmp_path, "b", "2026-11-20T10:00:00+00:00")
    newest = finished(tmp_path, "a/0", "2026-11-21T10:00:00+00:00")
    finished(tmp_path, "c", "2026-11-22T10:00:00+00:00", status="interrupted")
    assert RunFolder.open("last", root=tmp_path).path == newest


def test_last_without_a_finished_run_is_refused(tmp_path):
    finished(tmp_path, "c", "2026", status="running")
    with pytest.raises(RunError, match="no finished run") as caught:
        RunFolder.open("last", root=tmp_path)
    assert caught.value.found == "1 unfinished runs"


def test_a_folder_that_is_no_run_names_what_was_looked_for_and_the_nearest_run(tmp_path):
    known = finished(tmp_path, "18-31-07-quickstart", "2026")
    wrong = tmp_path / "18-31-07-quikstart"
    with pytest.raises(RunError) as caught:
        RunFolder.open(str(wrong), root=tmp_path)
    assert caught.value.lines() == [
        f"error run/no-run-folder '{wrong}' is no run folder",
        "  needed    a folder with config.yaml, manifest.json, model/",
        "  found     there is no such folder",
        f"  nearest   {known}",
        f"  help  run={known}",
        f"        1 runs below {tmp_path}/; last is the newest finished one",
        "  exit code 2",
    ]
    wrong.mkdir()
    with pytest.raises(RunError) as caught:
        RunFolder.open(str(wrong), root=tmp_path)
    assert caught.value.found == "a folder without config.yaml, manifest.json, model/"


def test_json_is_sorted_and_knows_no_nan(tmp_path):
    data = {"b": np.float64("nan"), "a": np.array([1.0, np.inf]), 3: (np.int64(2), True, None)}
    text = RunFolder(tmp_path).write_json("metrics.json", data).read_text()
    assert json.loads(text) == {"3": [2, True, None], "a": [1.0, None], "b": None}
    assert list(json.loads(text)) == ["3", "a", "b"]
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_plain_data_keeps_paths_and_times_as_text():
    assert plain({"p": Path("a/b"), "t": NOW}) == {"p": "a/b", "t": "2026-11-20T18:31:07"}


@pytest.mark.parametrize(
    ("code", "name", "found"),
    [(errno.ENOSPC, "disk-full", "free on the disk of"), (errno.EACCES, "permission", "Permission denied")],
)
def test_a_refusing_disk_keeps_the_old_file_and_removes_the_half_written_one(tmp_path, monkeypatch, code, name, found):
    folder = RunFolder(tmp_path)
    folder.write_text("a.txt", "old")

    def refuse(handle):
        raise OSError(code, "No space left on device" if code == errno.ENOSPC else "Permission denied")

    monkeypatch.setattr("regimegym.training.run_folder.os.fsync", refuse)
    with pytest.raises(MachineError) as caught:
        folder.write_text("a.txt", "n" * 2_000_000)
    assert caught.value.name == name
    assert caught.value.exit_code == 3
    assert found in caught.value.found
    assert caught.value.kept.endswith("a.txt as it was; the half-written file was removed")
    if code == errno.ENOSPC:
        assert caught.value.needed == "2.0 MB"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def make_manifest(**more):
    return build_manifest(
        data_fingerprint="abc",
        random_seed=3,
        device="cpu",
        execution="next_open",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        **more,
    )


def test_a_manifest_says_what_the_run_was_made_of():
    running = make_manifest()
    assert (running["status"], running["finished"], running["duration_s"]) == ("running", None, None)
    done = make_manifest(status="finished", finished=datetime(2026, 1, 1, 0, 5, 7, tzinfo=UTC), trained_steps=9)
    assert (done["duration_s"], done["trained_steps"], done["random_seed"]) == (307.0, 9, 3)
    assert done["packages"]["numpy"] == np.__version__
    assert set(done["code"]) == {"version", "commit"}
    with pytest.raises(ValueError, match="status must be one of running, finished, interrupted, pruned, got 'done'"):
        make_manifest(status="done")


def test_the_code_version_is_the_commit_with_a_mark_when_changed(tmp_path):
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    package = tmp_path / "package"
    package.mkdir()
    assert code_version(package)["commit"] is None
    git("init", "-q")
    (package / "a.py").write_text("1")
    assert code_version(package)["commit"] is None, "an untracked package is not the checkout's code"
    git("add", ".")
    assert code_version(package)["commit"] is None, "there is no commit yet"
    git("commit", "-qm", "a")
    commit = git("rev-parse", "HEAD")
    assert code_version(package)["commit"] == commit
    (package / "a.py").write_text("2")
    assert code_version(package)["commit"] == f"{commit}+dirty"


def test_without_git_the_commit_is_unknown(monkeypatch):
    monkeypatch.setattr(manifest_module.shutil, "which", lambda name: None)
    assert code_version()["commit"] is None
