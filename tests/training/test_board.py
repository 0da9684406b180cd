"""TensorBoard events as they are read back from the file."""

import math
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from stable_baselines3.common.logger import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from regimegym.replay.samples import RegimeUse
from regimegym.training.board import GROUPS, MARGIN_TAGS, REGIME_TAGS, Board
from regimegym.training.board_output import BoardOutput
from regimegym.training.compared import compared_settings
from regimegym.training.figure import AREA, COLOURS, equity_figure, exposure_figure, return_ticks
from regimegym.training.heat_map import attention_figure
from regimegym.training.insight import Insight, show_insight

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
    board.layout(curriculum=True, replay=True)
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
    titles = ["validation", "training", "regimes", "curriculum", "replay", "time"]
    assert [category.title for category in layout.category] == titles
    margin, against = layout.category[0].chart
    series = margin.margin.series[0]
    assert (series.value, series.lower, series.upper) == MARGIN_TAGS
    assert "eval/log_return_buy_and_hold$" in against.multiline.tag
    assert list(layout.category[2].chart[0].multiline.tag) == [f"{tag}$" for tag in REGIME_TAGS]
    assert [chart.title.split()[0] for chart in layout.category[4].chart] == list(RegimeUse._fields)
    assert "replay/fill_uptrend" in layout.category[4].chart[0].multiline.tag
    tags = [tag for category in layout.category for chart in category.chart for tag in chart.multiline.tag]
    assert {tag.split("/")[0] for tag in tags} == set(GROUPS)


def test_a_validation_is_written_with_its_interval_and_baselines(events):
    values = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    assert values["eval/log_return"] == pytest.approx(math.log(1.1))
    assert (values["eval/log_return_low"], values["eval/log_return_high"]) == pytest.approx((-0.2, 0.3))
    assert values["eval/log_return_ma_cross"] == pytest.approx(math.log(1.05))
    assert values["eval/sharpe_ratio"] == pytest.approx(0.9)


def test_undefined_values_are_left_out(events):
    tags = events.Tags()["scalars"]
    assert not {"eval/sortino_ratio", "train/undefined", "final/test/sortino_ratio"} & set(tags)


def test_a_run_without_curriculum_and_regime_replay_has_no_empty_charts(tmp_path):
    board = Board(tmp_path)
    board.layout()
    board.close()
    accumulator = EventAccumulator(str(tmp_path))
    accumulator.Reload()
    layout = layout_pb2.Layout.FromString(accumulator.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == ["validation", "training", "regimes", "time"]


def test_what_sb3_logs_goes_into_our_groups_and_nothing_twice(tmp_path):
    board = Board(tmp_path)
    logger = Logger(None, [BoardOutput(board)])
    for key in ("rollout/ep_rew_mean", "rollout/epsilon", "rollout/ep_len_mean", "time/fps", "train/loss"):
        logger.record(key, np.float32(0.5))
    logger.record("train/n_updates", 3, exclude="tensorboard")
    logger.record("train/words", "none")
    logger.dump(100)
    logger.close()
    board.close()
    accumulator = EventAccumulator(str(tmp_path))
    accumulator.Reload()
    assert set(accumulator.Tags()["scalars"]) == {"train/epsilon", "env/episode_length", "train/loss"}
    assert accumulator.Scalars("train/loss")[0].step == 100


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


def test_exposure_is_an_area_from_zero_and_says_its_mean():
    exposure = np.where(np.arange(N) < N // 4, 1.0, 0.0)
    pixels = exposure_figure(TIMES, exposure, "test").astype(int)
    assert pixels.shape == (400, 800, 3)
    is_area = np.abs(pixels - AREA).max(axis=-1) <= 2
    columns = np.flatnonzero(is_area.sum(axis=0) > 100)
    assert len(columns) == pytest.approx((800 - 84 - 196) / 4, abs=6)
    short = exposure_figure(TIMES, -exposure, "test").astype(int)
    assert (np.abs(short - AREA).max(axis=-1) <= 2).sum() > 1_000


def test_attention_is_darkest_where_it_is_greatest():
    weights = np.tril(np.full((4, 4), 0.01))
    weights[3, 0] = 0.9
    pixels = attention_figure(weights, "test").astype(int)
    assert pixels.shape == (484, 480, 3)
    cells = pixels[40 + 50 : 440 : 100, 64 + 50 : 464 : 100].sum(axis=-1)
    assert cells.shape == (4, 4)
    assert np.unravel_index(cells.argmin(), cells.shape) == (3, 0)
    assert (cells[np.triu_indices(4, 1)] > cells[2, 0]).all()


def insight(n=40):
    agent = SimpleNamespace(
        timestamps=TIMES[: n + 1],
        equity=np.linspace(1e4, 1.1e4, n + 1),
        exposure=np.ones(n + 1),
        regimes=np.repeat([0, 3], n // 2).astype(np.int8),
        actions=np.repeat([2, 1], n // 2),
    )
    scores = np.stack([np.zeros(n), np.full(n, -1.0), agent.regimes.astype(float)], axis=1)
    return Insight(agent, scores, {"buy_and_hold": agent.equity}, np.full((5, 5), 0.2))


def test_a_look_files_choices_and_values_by_regime_and_three_figures(tmp_path):
    board = Board(tmp_path)
    show_insight(board, 500, insight())
    board.close()
    accumulator = EventAccumulator(str(tmp_path))
    accumulator.Reload()
    tags = accumulator.Tags()
    names = ("uptrend", "oscillating")  # the other two did not occur
    assert set(tags["histograms"]) == {f"regime/{kind}_{name}" for kind in ("q", "actions") for name in names}
    assert set(tags["images"]) == {"eval/equity_validation", "eval/exposure_validation", "eval/attention"}
    bought = accumulator.Histograms("regime/actions_uptrend")[0].histogram_value
    assert (bought.num, bought.min, bought.max) == (20, 2.0, 2.0)
    values = accumulator.Histograms("regime/q_oscillating")[0].histogram_value
    assert (values.num, values.min, values.max) == (60, -1.0, 3.0)


def test_an_agent_without_scores_and_attention_shows_what_it_has(tmp_path):
    board = Board(tmp_path)
    show_insight(board, 500, insight()._replace(scores=None, attention=None))
    board.close()
    accumulator = EventAccumulator(str(tmp_path))
    accumulator.Reload()
    assert all(tag.startswith("regime/actions_") for tag in accumulator.Tags()["histograms"])
    assert "eval/attention" not in accumulator.Tags()["images"]


def test_runs_are_compared_by_a_few_settings_and_what_was_asked_for():
    config = OmegaConf.create(
        {"random_seed": 3, "agent": {"gamma": 0.9, "tau": 0.1, "_target_": "x.Y"}, "run_dir": "a"}
    )
    words = ["agent=ppo", "agent.tau=0.2", "run_dir=a", "+trainer.new=1"]
    found = compared_settings(config, words)
    assert found == {"random_seed": 3, "agent": "ppo", "agent.tau": 0.1, "trainer.new": "1"}
