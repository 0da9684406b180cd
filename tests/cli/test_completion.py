"""Tab completion: what the shell is offered, and that bash really asks for it."""

import shutil
import subprocess
import sys

import pytest

from regimegym.cli.completion import completions
from regimegym.cli.main import COMMANDS, main


def test_the_first_word_is_a_command():
    assert completions("regime-gym ") == sorted(f"{name} " for name in COMMANDS)
    assert completions("regime-gym sw") == ["sweep "]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("regime-gym train agent=p", ["agent=ppo"]),
        ("regime-gym train agent=ppo agent.n_", ["agent.n_epochs=", "agent.n_steps="]),
        ("regime-gym sweep search=smo", ["search=smoke"]),
        ("regime-gym sweep n_", ["n_jobs=", "n_trials="]),
        ("regime-gym train -m hydra/launcher=", [f"hydra/launcher={name}" for name in ("basic", "joblib", "ray")]),
        ("regime-gym train --h", ["--help"]),
        ("regime-gym data check ", []),
    ],
)
def test_groups_options_and_settings_are_offered(line, offered):
    assert completions(line) == offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(tmp_path, capsys):
    assert main(["completion", "bash"]) == 0
    command = tmp_path / "regime-gym"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m regimegym.cli.main "$@"\n')
    command.chmod(0o755)
    script = f"""PATH={tmp_path}:$PATH
{capsys.readouterr().out}
COMP_LINE="regime-gym train replay=re" COMP_POINT=26 COMP_WORDS=(regime-gym train replay=re) COMP_CWORD=2
_regime_gym
echo "${{COMPREPLY[@]}}"
"""
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert ended.stdout.strip() == "replay=regime", ended.stderr


def test_another_shell_is_a_mistake(capsys):
    assert main(["completion", "fishh"]) == 2
    assert "'shell' must be one of bash, zsh" in capsys.readouterr().err
