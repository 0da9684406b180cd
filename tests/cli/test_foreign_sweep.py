"""`train optimised=FOLDER`: the folder of a sweep can come from anybody and chooses no code."""

import pytest

from regimegym.cli.main import main

REWARD = """# @package _global_
defaults:
  - override /reward: custom
reward:
  rule:
    _target_: {name}
"""
FEATURE = """# @package _global_
features:
  own: [{name}]
"""


@pytest.mark.parametrize("text", [REWARD, FEATURE])
def test_best_settings_name_no_code_unless_it_is_trusted(text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s" / "experiment").mkdir(parents=True)
    (tmp_path / "s" / "experiment" / "best.yaml").write_text(text.format(name="no_such_module.part"))
    assert main(["train", "optimised=s", "data.n_bars=1600"]) == 2
    said = capsys.readouterr().err
    assert "config/foreign-target" in said
    assert "regime-gym train optimised=s 'trust=[no_such_module.part]'" in said
    assert main(["train", "optimised=s", "trust=[no_such_module.part]", "data.n_bars=1600"]) == 2
    assert "No module named 'no_such_module'" in capsys.readouterr().err
