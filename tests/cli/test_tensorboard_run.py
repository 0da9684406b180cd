"""TensorBoard of a real run: tags in their groups, histograms, figures, and the layout as the server serves it."""

import json
import re
import subprocess
import sys
from urllib.request import urlopen

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import TINY_DQN

from regimegym.cli.main import main
from regimegym.training.board import BASELINES, GROUPS

STARTED = re.compile(r"TensorBoard .* at (http://\S+)")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the network that attends, with regime replay; its folder."""
    folder = tmp_path_factory.mktemp("tensorboard") / "run"
    words = ["network=small", "replay=regime", "features=minimal", "trainer.total_steps=1_200", "env.episode.length=32"]
    assert main(["train", *TINY_DQN, *words, "trainer.validate_every=600", f"run_dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def events(run):
    accumulator = EventAccumulator(str(run / "tensorboard"), {"images": 0})
    accumulator.Reload()
    return accumulator


def test_a_run_is_one_event_file(run):
    assert len(list((run / "tensorboard").iterdir())) == 1


def test_every_scalar_belongs_to_a_group(events):
    scalars = events.Tags()["scalars"]
    found = {tag.split("/")[0] for tag in scalars}
    assert found == {*GROUPS, "final"} - {"curriculum"}
    for tag in ("train/loss", "train/q_mean", "train/epsilon", "env/equity_return", "env/exposure", "eval/log_return"):
        assert events.Scalars(tag), tag
    shares = [events.Scalars(f"time/share_{name}")[0].value for name in ("env", "learn", "validate")]
    assert sum(shares) == pytest.approx(1.0)


def test_choices_by_regime_and_figures_are_filed_at_every_look(events):
    tags = events.Tags()
    names = {tag.split("_", 1)[1] for tag in tags["histograms"] if tag.startswith("regime/q_")}
    assert names
    assert {tag.split("_", 1)[1] for tag in tags["histograms"] if tag.startswith("regime/actions_")} == names
    for tag in ("eval/equity_validation", "eval/exposure_validation", "eval/attention"):
        assert [image.step for image in events.Images(tag)] == [600, 1_200]
    assert "final/equity_test" in tags["images"]


def test_the_server_serves_the_layout_and_the_tags(run):
    server = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", "--logdir", str(run), "--port", "0", "--load_fast=false"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        address = next(found[1] for line in server.stderr if (found := STARTED.search(line)))
        layout = _ask(f"{address}data/plugin/custom_scalars/layout")
        while not layout.get("category"):  # the first reload is still under way
            layout = _ask(f"{address}data/plugin/custom_scalars/layout")
        assert [category["title"] for category in layout["category"]] == [
            "validation",
            "training",
            "regimes",
            "replay",
            "time",
        ]
        (tags,) = _ask(f"{address}data/plugin/scalars/tags").values()
        charts = [chart for category in layout["category"] for chart in category["chart"]]
        shown = [tag for chart in charts for tag in chart.get("multiline", {}).get("tag", [])]
        optional = {f"eval/log_return_{name}$" for name in BASELINES}
        assert [tag for tag in shown if tag not in optional and not any(re.search(tag, one) for one in tags)] == []
    finally:
        server.kill()
        server.communicate()


def _ask(url):
    with urlopen(url) as answer:
        return json.load(answer)
