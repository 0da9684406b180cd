"""regime-gym data audit: exit codes, the table, the JSON, a feature of one's own, mistakes."""

import json
import re
from pathlib import Path

import pytest

from regimegym.cli.main import main

SMALL = ["data.n_bars=1500", "features.names=[rsi,return_5]", "env.episode.length=32", "--cuts", "6"]
MODULE = """
import numpy as np

def momentum(inputs):
    close = inputs.bars.close
    return np.log(close / np.roll(close, 1))

def centred(inputs):
    import pandas as pd
    return pd.Series(inputs.bars.close).rolling(9, center=True).mean()

def failing(inputs):
    return inputs.bars.closes
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_audited_features.py").write_text(MODULE)
    return tmp_path


def test_a_clean_pipeline_ends_with_0(here, capsys):
    assert main(["data", "audit", *SMALL]) == 0
    said = capsys.readouterr()
    assert "clean: 18 columns at 6 cuts of 1,500 bars of SYNTHETIC" in said.out
    assert "replacing the future at 6 cuts" in said.err


def test_a_feature_of_ones_own_that_sees_the_future_ends_with_2_and_is_written(here, capsys):
    words = ["feature=my_audited_features.centred", "data.n_bars=1500", "--json", "new/audit.json"]
    assert main(["data", "audit", *words]) == 2
    said = capsys.readouterr()
    assert "centred" in said.out
    assert "≥ 4 bars" in said.out
    assert "error data/look-ahead 1 column changed when only the future did" in said.err
    record = json.loads((here / "new" / "audit.json").read_text())
    assert record["is_clean"] is False
    assert record["leaks"][0]["column"] == "centred"
    assert record["leaks"][0]["reach"] == 4
    assert len(record["cuts"]) - 2 == record["leaks"][0]["n_cuts"]  # no window is full at the first two
    assert record["n_bars"] == 1500


def test_a_feature_whose_first_row_wraps_round_is_caught(here, capsys):
    # np.roll brings the last bar to row 0.
    assert main(["data", "audit", "feature=my_audited_features.momentum", "data.n_bars=1500"]) == 2
    assert "'momentum' on row 0 changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["feature=my_audited_features.momentun"], "nearest   momentum"),
        (["feature=momentum"], "'feature=momentum' names no module"),
        (["feature=no_such_module_here.x"], "No module named 'no_such_module_here'"),
        (["feature=my_audited_features.failing"], "my_audited_features.failing raised AttributeError"),
        (["--cuts", "0"], "'--cuts' must be a whole number ≥ 1, got 0"),
        (["--bars", "-1"], "'--bars' must be a whole number ≥ 0, got -1"),
        (["--cust", "4"], "data audit: unrecognized arguments: --cust"),
        (["--json", "."], "'--json' must be a file, got the folder ."),
        (["data.n_brs=9"], "'data.n_brs' is not a setting"),
        (["nothing.at_all=9"], "all settings: regime-gym train --cfg job"),
        (["data=file", "data.path=nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_mistake_is_told_in_one_message(here, capsys, words, sentence):
    assert main(["data", "audit", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def test_a_real_file_is_clean(here, capsys, real_data):
    path = real_data("AAPL_lean_1d.parquet")
    assert main(["data", "audit", "data=file", f"data.path={path}", "--cuts", "5", "--bars", "3000"]) == 0
    assert "cuts of 3,000 bars of AAPL" in capsys.readouterr().out


def test_the_guide_shows_what_its_example_prints(here, capsys):
    guide = (Path(__file__).resolve().parents[2] / "docs" / "audit.md").read_text()
    module, script = re.findall(r"```python\n(.*?)```", guide, re.S)
    (shown,) = re.findall(r"```text\n(.*?)```", guide, re.S)
    command, *expected = shown.splitlines()
    (here / "my_module.py").write_text(module)
    assert main(command.removeprefix("$ regime-gym ").split()) == 2
    said = capsys.readouterr()
    assert [line.rstrip() for line in said.out.splitlines()] == expected[:-1]
    assert expected[-1] in said.err
    exec(compile(script, "docs/audit.md", "exec"), {})
    assert capsys.readouterr().out == "False 1\n"
