"""A predictor's folder is data: what was edited, damaged or left out is refused, and an older one survives."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from small_predictors import SMALL

from regimegym.common.errors import MachineError, ModelError
from regimegym.supervised.checks import planted_lesson
from regimegym.supervised.floors import LastValue, Majority
from regimegym.supervised.model_folder import CARD, Card, folder_files, write_folder
from regimegym.supervised.registry import get_predictor, list_predictors, load_predictor

LESSON = planted_lesson(100, 1)


@pytest.fixture
def folder(tmp_path):
    get_predictor("last_value").fit(LESSON, np.random.default_rng(0)).save(tmp_path / "model")
    return tmp_path / "model"


def edit(folder, change):
    card = json.loads((folder / CARD).read_text())
    change(card)
    (folder / CARD).write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda card: card["values"].update(column=1), "edited-card"),
        (lambda card: card.update(names=["x1", "x0", "x2", "x3"]), "edited-card"),
        (lambda card: card.update(format_version=9), "format-version"),
        (lambda card: card.pop("predictor"), "foreign-model"),
    ],
)
def test_an_edited_card_is_refused(folder, change, name):
    edit(folder, change)
    with pytest.raises(ModelError) as error:
        load_predictor(folder)
    assert error.value.name == name


def test_a_folder_without_a_card_and_a_file_instead_of_a_folder_are_refused(folder):
    with pytest.raises(ModelError, match="no folder of a predictor"):
        load_predictor(folder / "nothing")
    with pytest.raises(ModelError, match="no folder of a predictor"):
        load_predictor(folder / CARD)


def test_another_class_is_refused(folder):
    with pytest.raises(ModelError, match="holds a 'last_value'"):
        Majority.load(folder)
    assert isinstance(LastValue.load(folder), LastValue)


def write(folder, predictor="majority", files=None, **values):
    card = Card(predictor, {}, "classification", ("a",), ("no", "yes"), 0, 0, None, (0.0,), {"a": 0.0}, values)
    write_folder(folder, folder_files(card, files or {}))


def test_a_card_of_nobody_we_know_names_the_nearest(tmp_path):
    write(tmp_path / "model", "majorityy")
    with pytest.raises(ModelError) as error:
        load_predictor(tmp_path / "model")
    assert error.value.nearest == "majority"


def test_a_card_that_lacks_what_the_predictor_keeps_is_refused(tmp_path):
    write(tmp_path / "model")
    with pytest.raises(ModelError, match="does not describe a 'majority'"):
        load_predictor(tmp_path / "model")


def test_a_damaged_file_is_refused(tmp_path):
    write(tmp_path / "model", files={"arrays.safetensors": b"right"}, shares=[0.5, 0.5])
    load_predictor(tmp_path / "model")
    (tmp_path / "model" / "arrays.safetensors").write_bytes(b"wrong")
    with pytest.raises(ModelError, match="its checksum differs"):
        load_predictor(tmp_path / "model")


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname"])
def test_a_card_reaches_no_file_outside_of_its_folder(tmp_path, name):
    (tmp_path / "secret").write_bytes(b"s")
    card = Card("majority", {}, "classification", ("a",), ("no", "yes"), 0, 0, None, (0.0,), {}, {"shares": [1, 0]})
    content = folder_files(card, {name: b"s"})
    write_folder(tmp_path / "model", {CARD: content[CARD]})
    with pytest.raises(ModelError, match="names a file outside of it"):
        load_predictor(tmp_path / "model")


def test_where_the_disk_refuses_the_older_predictor_is_kept(folder, monkeypatch):
    def refuse(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("regimegym.supervised.model_folder.write_file", refuse)
    with pytest.raises(MachineError, match="No space left"):
        get_predictor("majority").fit(LESSON, np.random.default_rng(0)).save(folder)
    assert isinstance(load_predictor(folder), LastValue)


def test_a_predictor_moves_with_its_folder(folder, tmp_path):
    shutil.move(folder, tmp_path / "elsewhere")
    assert load_predictor(tmp_path / "elsewhere").names == LESSON.names


def test_a_fresh_process_predicts_the_same_with_every_predictor(tmp_path):
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from regimegym.supervised.registry import load_predictor\n"
        "features = np.random.default_rng(5).normal(size=(20, 4))\n"
        "for folder in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    print(folder.name, load_predictor(folder).predict_proba(features).tobytes().hex())"
    )
    features, here = np.random.default_rng(5).normal(size=(20, 4)), {}
    for name in list_predictors():
        predictor = get_predictor(name, SMALL.get(name)).fit(LESSON, np.random.default_rng(0))
        predictor.save(tmp_path / name)
        here[name] = predictor.predict_proba(features).tobytes().hex()
    said = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True).stdout
    there = dict(line.split() for line in said.splitlines())
    assert len(there) >= 10
    assert there == here
