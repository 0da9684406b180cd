"""Ceilings of the worlds on the real account, and how labels recognise them: what docs/worlds.md says."""

import json

import numpy as np
import pytest

from regimegym.cli.main import main
from regimegym.evaluate.worlds import measure_ceilings, measure_recognition

PUBLISHED = {  # found by an earlier prototype with other draws
    ("sine", "law and phase"): 0.98,
    ("regime", "law"): 0.227,
    ("regime", "law, state and centre"): 0.309,
    ("ou", "law"): 0.155,
    ("gbm", "law"): 0.0,
}


def test_ceilings_are_those_that_another_program_found():
    ceilings = measure_ceilings(n_draws=4, n_bars=10_000)
    assert {(c.world, c.knowledge) for c in ceilings} == set(PUBLISHED)
    for ceiling in ceilings:
        wanted = PUBLISHED[ceiling.world, ceiling.knowledge]
        assert ceiling.shares.mean() == pytest.approx(wanted, abs=max(0.01, 4 * ceiling.standard_error))
        assert (ceiling.shares <= 1.0).all()
        assert (ceiling.hindsight > 0).all()


def test_noiseless_worlds_are_recognised_and_noisy_ones_reported():
    judged = {found.world: found for found in measure_recognition(4_000)}
    for name in ("uptrend", "downtrend", "flat", "oscillation"):
        assert judged[name].accuracy >= 0.95
        assert judged[name].confusion.sum() == 4_000 - 20
        assert f"{name}, noisy" in judged
    assert 0.4 < judged["regime"].accuracy < 0.8
    assert (judged["regime"].confusion.sum(axis=1) > 0).all()


def test_the_command_prints_and_writes_what_was_measured(tmp_path, capsys):
    path = tmp_path / "worlds.json"
    assert main(["data", "worlds", "--draws", "2", "--bars", "1000", "--json", str(path)]) == 0
    said = capsys.readouterr()
    assert "law, state and centre" in said.out
    assert "regime_switches" in said.out
    record = json.loads(path.read_text())
    assert np.shape(record["ceilings"][0]["shares"]) == (2,)
    assert main(["data", "worlds", "--draws", "1"]) == 2
    assert "'--draws' must be a whole number ≥ 2, got 1" in capsys.readouterr().err
