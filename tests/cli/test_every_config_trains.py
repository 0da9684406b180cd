"""House rule of conf/: every option of every group, and every experiment, trains for 200 steps.

Options of different groups stand together in one training, so that all of them need a dozen.
"""

from itertools import cycle, islice

import pytest
from test_configs import OPTIONS
from tiny_runs import TINY

from regimegym.training.compose import compose_config
from regimegym.training.preparation import Job
from regimegym.training.trainer import train

CHANGED = ("trainer.total_steps", "data.n_bars", "env.episode.length", "network=")
SHORT = [word for word in TINY if not word.startswith(CHANGED)]
SHORT += ["trainer.total_steps=200", "data.n_bars=2000", "env.episode.length=32"]
# What needs something of the user's, such as a file, quotes or other markets; or minutes. Each has tests of its own.
ELSEWHERE = {
    ("data", "file"),
    ("reward", "custom"),
    ("split", "dates"),
    ("features", "alternative"),
    ("features", "cross_asset"),
    ("features", "lstm"),
    ("features", "order_book"),
    ("features", "quotes"),
    *(pair for pair in OPTIONS if pair[0] in ("target", "suite")),
    *(("predictors", name) for name in ("lstm", "lstm_hybrid", "gru", "tcn", "tft", "ensemble", "multi_target")),
    ("experiment", "three_roles"),
}
OWN_ACTIONS = {"sac": ["env.action.mode=continuous", "agent.learning_starts=64"]}
READY = [pair for pair in OPTIONS if pair not in ELSEWHERE]
APART = {"agent", "experiment", "curriculum"}  # no company for each of the others
GROUPS = sorted({group for group, _ in READY} - APART)
CHOICES = {group: [option for name, option in READY if name == group] for group in GROUPS}
ROWS = list(
    zip(*(islice(cycle(options), max(map(len, CHOICES.values()))) for options in CHOICES.values()), strict=True)
)


def run_as_job(words, folder):
    return train(compose_config("train", words), words, Job(0, folder))


def test_the_rows_hold_every_option():
    assert {pair for row in ROWS for pair in zip(GROUPS, row, strict=True)} == {
        pair for pair in READY if pair[0] in GROUPS
    }


@pytest.mark.parametrize("row", ROWS, ids="-".join)
def test_every_option_trains_with_the_default_agent(row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = [f"{group}={option}" for group, option in zip(GROUPS, row, strict=True)]
    score = run_as_job([*SHORT, *chosen, "agent.learning_starts=64"], tmp_path)
    assert score == score


@pytest.mark.parametrize("agent", [option for group, option in READY if group == "agent"])
def test_every_agent_trains(agent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    score = run_as_job([*SHORT, "network=mlp", f"agent={agent}", *OWN_ACTIONS.get(agent, [])], tmp_path)
    assert score == score


@pytest.mark.parametrize("curriculum", [option for group, option in READY if group == "curriculum"])
def test_every_curriculum_trains(curriculum, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    score = run_as_job([*SHORT, "network=mlp", f"curriculum={curriculum}", "agent.learning_starts=64"], tmp_path)
    assert score == score


@pytest.mark.parametrize("experiment", [option for group, option in READY if group == "experiment"])
def test_every_experiment_trains(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    score = run_as_job([*SHORT, f"experiment={experiment}"], tmp_path)
    assert score == score
