"""A file beside the bars that changed after the training is noticed by evaluate and by resume."""

import csv
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import TINY_DQN, read

from regimegym.cli.main import main
from regimegym.features.synthetic.worlds import random_walk_bars

WORDS = ("data=file", "data.path=own.csv", "context.others=[other.csv]", "features=cross_asset")


def write_bars(path: Path, random_seed: int) -> None:
    bars = random_walk_bars(1_600, random_seed, 0.01)
    stamps = np.datetime_as_string(bars.timestamps.astype("datetime64[ns]").astype("datetime64[s]"))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["datetime", "open", "high", "low", "close", "volume"])
        prices = (bars.open, bars.high, bars.low, bars.close, bars.volume)
        writer.writerows(zip(stamps, *(values.tolist() for values in prices), strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    start = tmp_path_factory.mktemp("context")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(start)
        write_bars(start / "own.csv", 1)
        write_bars(start / "other.csv", 2)
        assert main(["train", *WORDS, *TINY_DQN[1:], "run_dir=run", "trainer.total_steps=200"]) == 0
        yield start / "run"


def test_the_manifest_names_every_part_and_evaluate_notices_the_one_that_changed(run, capsys):
    manifest = read(run / "manifest.json")
    assert list(manifest["context_fingerprints"]) == ["the bars of other"]
    assert main(["evaluate", "run=run"]) == 0
    kept = Path("other.csv").read_text()
    write_bars(Path("other.csv"), 3)
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
