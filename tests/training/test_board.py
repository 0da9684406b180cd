"""TensorBoard events as they are read back from the file."""

import math
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from regimegym.replay.samples import RegimeUse
from regimegym.training.board import MARGIN_TAGS, REGIME_TAGS, Board
from regimegym.training.figure import COLOURS, equity_figure, return_ticks

METRICS = {
    "agent": {"total_return": 0.1, "sharpe_ratio": 0.9, "sortino_ratio": math.nan},
    "buy_and_hold": {"total_return": -0.04},
    "ma_cross": {"total_return": 0.05},
}
N = 5000
TIMES = (np.arange(N) * 3600 + 1_600_000_000) * 10**9


def curves():
    draws = np.random.default_rng(0).normal(scale=0.005, size=(3, N - 1))
    walks = 1e4 * np.exp(np.concatenate([np.zeros((3, 1)), draws.cumsum(axis=1)], axis=1))
    return dict(zip(("agent", "buy_and_hold", "random"), walks, strict=True))


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensorboard")
    board = Board(folder)
    board.layout()
    board.validation(1000, METRICS, (-0.2, 0.3))
    board.scalars(1000, {REGIME_TAGS[0]: 0.3, "train/loss": 0.1, "train/undefined": math.nan})
    board.equity_image(1000, TIMES, curves())
    board.hyper_parameters(
        {"agent.learning_rate": 1e-4, "agent.network": "small", "run_dir": None},
        {"validation/sharpe_ratio": 0.9, "test/sharpe_ratio": 0.4, "test/sortino_ratio": math.nan},
    )
    board.close()
    assert [path.is_file() for path in folder.rglob("*")] == [True], "one event file, no folder of a sub-run"
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def test_the_layout_is_in_the_file_with_margin_baselines_and_regimes(events):
    event = events.Tensors("custom_scalars__config__")[0]
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == ["validation", "regimes", "replay"]
    margin, against = layout.category[0].chart
    series = margin.margin.series[0]
    assert (series.value, series.lower, series.upper) == MARGIN_TAGS
    assert "eval/log_return_buy_and_hold$" in against.multiline.tag
    assert list(layout.category[1].chart[0].multiline.tag) == [f"{tag}$" for tag in REGIME_TAGS]
    assert [chart.title.split()[0] for chart in layout.category[2].chart] == list(RegimeUse._fields)
    assert "replay/fill_uptrend" in layout.category[2].chart[0].multiline.tag


def test_a_validation_is_written_with_its_interval_and_baselines(events):
    values = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    assert values["eval/log_return"] == pytest.approx(math.log(1.1))
    assert (values["eval/log_return_low"], values["eval/log_return_high"]) == pytest.approx((-0.2, 0.3))
    assert values["eval/log_return_ma_cross"] == pytest.approx(math.log(1.05))
    assert values["eval/sharpe_ratio"] == pytest.approx(0.9)


def test_undefined_values_are_left_out(events):
    tags = events.Tags()["scalars"]
    assert not {"eval/sortino_ratio", "train/undefined", "final/test/sortino_ratio"} & set(tags)


def test_eval_stands_first(events):
    tags = events.Tags()["scalars"] + events.Tags()["images"]
    assert sorted(tags)[0].startswith("eval/")


def test_hyper_parameters_stand_in_the_same_run_with_their_metrics(events):
    plugin = events.summary_metadata["_hparams_/session_start_info"].plugin_data
    data = plugin_data_pb2.HParamsPluginData.FromString(plugin.content)
    assert data.session_start_info.hparams["agent.learning_rate"].number_value == 1e-4
    assert data.session_start_info.hparams["run_dir"].string_value == "None"
    assert events.Scalars("final/test/sharpe_ratio")[0].value == pytest.approx(0.4)


def test_the_equity_figure_is_an_image_of_800_by_400(events):
    image = events.Images("eval/equity_validation")[0]
    assert Image.open(BytesIO(image.encoded_image_string)).size == (800, 400)


def test_the_agent_is_blue_and_buy_and_hold_orange():
    pixels = equity_figure(TIMES, curves(), "test").reshape(-1, 3).astype(int)
    for colour in COLOURS.values():
        assert (np.abs(pixels - colour).max(axis=1) <= 2).sum() > 200


def test_a_ruined_account_and_a_flat_market_are_drawn():
    ruined = {"agent": np.linspace(1e4, 0.0, 50), "flat": np.full(50, 1e4)}
    assert equity_figure(TIMES[:50], ruined, "ruin").shape == (400, 800, 3)
    assert equity_figure(TIMES[:2], {"agent": np.array([1.0, 1.0])}, "flat").dtype == np.uint8


def test_ticks_are_round_and_hold_zero():
    assert return_ticks(-0.33, 0.41) == [-0.2, 0.0, 0.2, 0.4]
    assert return_ticks(0.01, 0.032) == [0.01, 0.015, 0.02, 0.025, 0.03]
    assert all(tick > -1.0 for tick in return_ticks(-0.98, 40.0))
