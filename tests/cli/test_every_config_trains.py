"""House rule of conf/: every option of every group, and every experiment, trains for 200 steps."""

import pytest
from test_configs import OPTIONS, USERS
from tiny_runs import TINY

from regimegym.training.compose import compose_config
from regimegym.training.preparation import Job
from regimegym.training.trainer import train

SHORT = [word for word in TINY if not word.startswith("trainer.total_steps")] + ["trainer.total_steps=200"]
# What an option cannot do without.
PARTNERS = {
    ("agent", "sac"): ["env.action.mode=continuous", "agent.learning_starts=64"],
}


@pytest.mark.parametrize(("group", "option"), [pair for pair in OPTIONS if pair not in USERS], ids=lambda name: name)
def test_every_option_trains(group, option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [*SHORT, f"{group}={option}", *PARTNERS.get((group, option), [])]
    if group == "network":
        words.remove("network=mlp")
    score = train(compose_config("train", words), words, Job(0, tmp_path))
    assert score == score
