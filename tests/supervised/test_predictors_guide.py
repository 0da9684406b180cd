"""docs/predictors.md: its examples run and its table names predictors that are there."""

import re
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from regimegym.supervised.registry import list_predictors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "predictors.md"
BLOCKS = [
    dedent(block) for block in re.findall(r"(?:^    .*\n|^\n)+", PAGE.read_text(), re.M) if "import numpy" in block
]


def test_the_table_names_registered_predictors():
    named = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.M)
    assert len(named) >= 10
    assert set(named) <= set(list_predictors())


def test_the_first_example_fits_saves_and_explains(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[0], str(PAGE), "exec"), {})
    assert "'precision_profit'" in capsys.readouterr().out
    assert (tmp_path / "model" / "predictor.json").is_file()


def test_the_states_match_the_regimes_as_well_as_the_page_says():
    names: dict = {"print": lambda found: scores.append(found)}
    scores: list = []
    exec(compile(BLOCKS[1], str(PAGE), "exec"), names)
    assert [found["accuracy"] for found in scores] == pytest.approx([0.675, 0.569], abs=0.005)
    assert np.isfinite(scores[0]["bic"])
    assert len(names["later"]) == 3_850
