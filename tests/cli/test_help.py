"""`--help` of the commands that are configured: the groups with their options, the settings with their values."""

import os
import subprocess
import sys

import pytest
from test_configs import CONF

from regimegym.cli.main import main


def help_of(command, capsys) -> str:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_help_shows_every_group_with_its_options_and_the_settings(command, capsys):
    said = help_of(command, capsys)
    assert said.startswith(f"regime-gym {command}: GROUP=OPTION")
    for group in ("agent", "data", "search"):
        options = ", ".join(sorted(path.stem for path in (CONF / group).glob("*.yaml")))
        assert f"\n{group}: {options}\n" in said
    assert "regime-gym completion bash" in said


def test_help_shows_values(capsys):
    assert "total_steps: 50000" in help_of("train", capsys)


def test_a_reader_that_leaves_early_gets_no_traceback():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "regimegym.cli.main", "train", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("words", [["fit", "--help"], ["train", "agnt=ppo"]])
def test_help_and_what_does_not_compose_are_answered_before_anything_heavy_is_imported(words):
    code = (
        "import sys\nfrom regimegym.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n"
        "    print(*{'torch', 'numba', 'pandas', 'scipy'} & {*sys.modules}, 'only', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "only"


def test_a_pipe_without_special_letters_ends_no_command():
    done = subprocess.run(
        [sys.executable, "-m", "regimegym.cli.main", "data", "check", "prîces.csv"],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 2
    assert b"pr?ces.csv" in done.stdout
    assert b"data/broken-contract" in done.stderr
