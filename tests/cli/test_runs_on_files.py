"""A run on files: what changed beside the bars is noticed, and other files give the model its own features."""

import csv
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main
from regimegym.features.synthetic.worlds import random_walk_bars

ADD = "features.add=[volume_surge_10]"
FILES = ("data=file", "data.path=own.csv", "context.others=[other.csv]")
WORDS = (*FILES, "features=cross_asset", "features.missing=omit")
OTHER = ("data=file", "data.path=other.csv")


def write_bars(path: Path, random_seed: int, *, with_volume: bool, hours: int = 1) -> None:
    bars = random_walk_bars(1_600, random_seed, 0.01)
    times = bars.timestamps[0] + hours * (bars.timestamps - bars.timestamps[0])
    stamps = np.datetime_as_string(times.astype("datetime64[ns]").astype("datetime64[s]"))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["datetime", "open", "high", "low", "close", "volume"])
        prices = (bars.open, bars.high, bars.low, bars.close, with_volume * bars.volume)
        writer.writerows(zip(stamps, *(values.tolist() for values in prices), strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    start = tmp_path_factory.mktemp("context")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start)
        write_bars(start / "own.csv", 1, with_volume=False)
        write_bars(start / "other.csv", 2, with_volume=True)
        assert main(["train", *WORDS, *TINY_DQN[1:], "run_dir=run", "trainer.total_steps=200", ADD]) == 0
        yield start / "run"


def test_the_manifest_names_every_part_and_evaluate_notices_the_one_that_changed(run, capsys):
    manifest = read(run / "manifest.json")
    assert list(manifest["context_fingerprints"]) == ["the bars of other"]
    assert main(["evaluate", "run=run"]) == 0
    kept = Path("other.csv").read_text()
    write_bars(Path("other.csv"), 3, with_volume=True)
    try:
        capsys.readouterr()
        assert main(["evaluate", "run=run"]) == 2
        said = capsys.readouterr().err
        assert "error data/changed" in said
        assert f"the bars of other {manifest['context_fingerprints']['the bars of other']}" in said
        manifest_file = run / "manifest.json"
        text = manifest_file.read_text()
        manifest_file.write_text(text.replace('"status": "finished"', '"status": "interrupted"'))
        assert main(["train", "resume=run"]) == 2
        assert "the bars of other" in capsys.readouterr().err
        manifest_file.write_text(text)
    finally:
        Path("other.csv").write_text(kept)


def test_a_model_trained_without_volume_is_evaluated_on_data_that_has_it(run):
    """The data could give more; the model sees what it was trained on, in its order."""
    names = read(run / "model" / "model.json")["feature_names"]
    assert "volume_surge_10" not in names
    assert main(["evaluate", "run=run", *OTHER, "context=default", "context.others=[own.csv]"]) == 0


def test_bars_of_another_length_are_warned_of(run, capsys):
    write_bars(Path("slow.csv"), 4, with_volume=True, hours=4)
    words = ["data=file", "data.path=slow.csv", "context=default", "context.others=[other.csv]"]
    assert main(["evaluate", "run=run", *words]) == 0
    said = capsys.readouterr().err
    assert "warning  the model was trained on bars of 1h and is evaluated on bars of 4h" in said


def test_data_that_lacks_what_a_feature_of_the_model_needs_is_refused_by_name(run, capsys):
    assert main(["evaluate", "run=run", *OTHER]) == 2
    said = capsys.readouterr().err
    assert "error data/missing-inputs" in said
    assert "reference_correlation" in said
    assert "context.others=[FILE]" in said


def test_what_is_left_out_is_told_once_on_stderr(run, capsys):
    assert main(["data", "audit", *WORDS, ADD, "env.episode.length=64", "--cuts", "1"]) == 0
    said = capsys.readouterr().err
    assert said.count("note  own: 1 of 35 features omitted for lack of input: volume_surge_10 (volume)") == 1
