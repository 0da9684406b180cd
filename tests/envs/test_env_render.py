"""What can be looked at: a line, a picture, a window, a figure."""

import sys
from itertools import pairwise
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from tapes import constant_tape, random_tape

from regimegym.common.errors import ConfigError, MachineError
from regimegym.envs import render
from regimegym.envs.sb3_vec_env import TradingVecEnv
from regimegym.envs.settings import EnvSettings, EpisodeSettings
from regimegym.envs.trading_env import TradingEnv
from regimegym.envs.vector_env import TradingVectorEnv

BUY, SELL, HOLD = 2, 1, 0
SETTINGS = EnvSettings(episode=EpisodeSettings(window=4, length=30))


def watched(tape=None, mode="rgb_array", settings=SETTINGS):
    env = TradingEnv(tape or random_tape(100, 0), settings, render_mode=mode)
    env.reset(seed=0)
    return env


def pixels(frame, colour):
    return int((np.abs(frame.astype(int) - colour).sum(axis=2) < 90).sum())


def test_ansi_is_one_line():
    env = gymnasium.make("RegimeTrading-v0", render_mode="ansi", tape=random_tape(100, 0), settings=SETTINGS)
    env.reset(seed=0)
    for _ in range(3):
        env.step(BUY)
        assert env.render().startswith("row ")
        assert "\n" not in env.render()


def test_frames_keep_their_shape_from_the_first_row_to_the_last():
    env = watched()
    frames = [env.render()]
    for k in range(30):
        env.step((BUY, SELL, HOLD)[k % 3])
        frames.append(env.render())
    assert {(frame.shape, frame.dtype) for frame in frames} == {((480, 640, 3), np.dtype(np.uint8))}
    assert all((a != b).any() for a, b in pairwise(frames))


def test_a_frame_shows_price_trades_equity_and_buy_and_hold():
    env = watched()
    assert pixels(env.render(), render.GREEN) == pixels(env.render(), render.RED) == 0
    for action in (HOLD, HOLD, BUY, HOLD, HOLD, SELL, HOLD, HOLD):
        env.step(action)
    frame = env.render()
    for colour in (render.INK, render.BLUE, render.ORANGE, render.GREEN, render.RED):
        assert pixels(frame, colour) > 10, colour


def test_a_market_that_never_moves_and_a_ruined_account_can_be_drawn():
    assert watched(constant_tape()).render().shape == (480, 640, 3)
    env = watched(random_tape(100, 0, volatility=0.9))
    over = False
    while not over:
        *_, terminated, truncated, _ = env.step(BUY)
        over = terminated or truncated
    assert env.render().shape == (480, 640, 3)


def test_a_long_curve_keeps_its_extremes():
    values = np.random.default_rng(0).standard_normal(50_000)
    shown = render._shown(values)
    assert len(shown) <= render.MAX_POINTS + 2
    assert {0, 49_999, values.argmin(), values.argmax()} <= set(shown)
    assert (np.diff(shown) > 0).all()


def test_the_history_holds_this_episode_alone():
    env = watched()
    marks, trades = [10_000.0], 0
    for k in range(30):
        *_, info = env.step((BUY, SELL, HOLD)[k % 3])
        marks.append(info["equity"])
        trades += info["traded"]
    assert env._history.equity == marks
    assert len(env._history.fills) == trades == info["episode_trades"]
    assert env._history.hold_equity[-1] / 10_000 - 1 == pytest.approx(info["buy_hold_return"])
    assert all(env._history.first_row < row <= env._history.row for row, _, _ in env._history.fills)
    env.reset()
    assert (env._history.equity, env._history.fills) == ([10_000.0], [])


def test_rendering_changes_no_number():
    seen, unseen = watched(), watched(mode=None)
    for k in range(30):
        a, b = seen.step((BUY, SELL, HOLD)[k % 3]), unseen.step((BUY, SELL, HOLD)[k % 3])
        seen.render()
        assert a[1:] == b[1:]
        np.testing.assert_equal(a[0], b[0])
    assert unseen.render() is None


def test_gymnasium_collects_frames():
    env = gymnasium.wrappers.RenderCollection(watched())
    env.reset(seed=0)
    for _ in range(3):
        env.step(HOLD)
    assert len(env.render()) == 4


def test_gymnasium_records_a_video(tmp_path):
    pytest.importorskip("moviepy", reason="gymnasium's RecordVideo needs moviepy")
    env = gymnasium.wrappers.RecordVideo(watched(), str(tmp_path / "videos"), episode_trigger=lambda _: True)
    env.reset(seed=0)
    for _ in range(30):
        env.step(HOLD)
    env.close()
    assert list(tmp_path.glob("videos/*.mp4"))


# --- the window --------------------------------------------------------------------------------------


@pytest.fixture
def headless(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)


def test_without_tkinter_or_display_the_window_says_what_is_missing(headless, monkeypatch):
    tkinter = pytest.importorskip("tkinter")

    def refuse():
        raise tkinter.TclError("no display name")

    monkeypatch.setattr(tkinter, "Tk", refuse)
    with pytest.raises(MachineError, match="needs a window, and none can be opened: no display name") as caught:
        TradingEnv(random_tape(100, 0), SETTINGS, render_mode="human")
    assert caught.value.exit_code == 3
    assert caught.value.help == ("run it where a display is, or use render_mode rgb_array",)
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(MachineError, match="this Python lacks tkinter"):
        TradingEnv(random_tape(100, 0), SETTINGS, render_mode="human")


def test_an_environment_lists_the_window_only_where_there_is_a_display(headless, monkeypatch):
    assert TradingEnv.metadata["render_modes"] == ["ansi", "rgb_array", "human"]
    assert watched().metadata["render_modes"] == ["ansi", "rgb_array"]
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(render, "find_spec", lambda name: SimpleNamespace(name=name))
    assert watched().metadata["render_modes"] == ["ansi", "rgb_array", "human"]


def test_the_window_shows_every_step_and_closes(monkeypatch):
    shown = []

    class Fake:
        def __init__(self, title):
            shown.append(title)

        def show(self, frame, frames_per_second):
            shown.append((frame.shape, frames_per_second))

        def close(self):
            shown.append("closed")

    monkeypatch.setattr("regimegym.envs.trading_env.Window", Fake)
    env = TradingEnv(random_tape(100, 0), SETTINGS, render_mode="human")
    env.reset(seed=0)
    env.step(BUY)
    assert env.render() is None
    env.close()
    env.close()
    assert shown == ["Regime Gym", ((480, 640, 3), 20), ((480, 640, 3), 20), "closed"]


# --- plotly ------------------------------------------------------------------------------------------


def test_the_figure_holds_what_the_picture_shows():
    pytest.importorskip("plotly", reason="episode_figure needs the extra 'plot'")
    env = watched()
    for action in (BUY, HOLD, SELL, HOLD):
        *_, info = env.step(action)
    figure = env.episode_figure()
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces) == ["close", "buy & hold", "equity", "drawdown", "buy", "sell"]
    assert len(traces["equity"].y) == 5
    assert traces["equity"].y[-1] == info["equity"]
    assert len(traces["buy"].x) == len(traces["sell"].x) == 1


def test_without_plotly_the_figure_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(MachineError, match="episode_figure needs plotly") as caught:
        watched().episode_figure()
    assert caught.value.help == ("pip install 'regime-gym[plot]'",)


def test_a_figure_of_nothing_is_refused():
    for env in (watched(mode=None), TradingEnv(random_tape(100, 0), SETTINGS, render_mode="ansi")):
        with pytest.raises(ConfigError, match="there is no recorded episode to plot"):
            env.episode_figure()


# --- many accounts -----------------------------------------------------------------------------------


def test_the_vector_classes_show_the_account_that_is_asked_for():
    tape = random_tape(100, 0)
    envs = TradingVectorEnv(3, tape, SETTINGS, render_mode="rgb_array", render_account=1)
    vec = TradingVecEnv(3, tape, SETTINGS, random_seed=5, render_mode="rgb_array", render_account=1)
    alone = TradingEnv(tape, SETTINGS, render_mode="rgb_array")
    assert envs.render() is None
    envs.reset(seed=5)
    vec.reset()
    alone.reset(seed=6)
    rng = np.random.default_rng(0)
    for step in range(40):  # across the end of an episode of 30
        actions = rng.integers(0, 3, 3)
        envs.step(actions)
        vec.step(actions)
        *_, truncated, _ = alone.step(int(actions[1]))
        if truncated:
            alone.reset()
        if step % 10 in (0, 9):
            (frame,) = envs.render()
            np.testing.assert_array_equal(frame, alone.render())
            np.testing.assert_array_equal(vec.render("rgb_array"), alone.render())
    assert len(envs.batch.watch.history.equity) == 11


def test_a_vector_env_draws_a_figure_of_its_account():
    pytest.importorskip("plotly", reason="episode_figure needs the extra 'plot'")
    envs = TradingVectorEnv(2, random_tape(100, 0), SETTINGS, render_mode="rgb_array")
    with pytest.raises(ConfigError, match="there is no recorded episode to plot"):
        envs.episode_figure()
    envs.reset(seed=0)
    envs.step(np.array([BUY, HOLD]))
    figure = envs.episode_figure()
    assert [len(trace.x) for trace in figure.data if trace.name == "buy"] == [1]
    with pytest.raises(ConfigError, match="there is no recorded episode to plot"):
        TradingVectorEnv(2, random_tape(100, 0), SETTINGS).episode_figure()


def test_vector_classes_refuse_other_modes_and_accounts_they_do_not_have():
    for kind in (TradingVectorEnv, TradingVecEnv):
        with pytest.raises(ConfigError, match="'render_mode' of many accounts must be rgb_array or None, got 'human'"):
            kind(2, random_tape(100, 0), SETTINGS, render_mode="human")
        with pytest.raises(ConfigError, match=r"'render_account' must be a whole number in \[0, 2\), got 2"):
            kind(2, random_tape(100, 0), SETTINGS, render_mode="rgb_array", render_account=2)


def test_make_vec_hands_the_render_mode_on():
    envs = gymnasium.make_vec(
        "regimegym:RegimeTrading-v0", 2, vectorization_mode="vector_entry_point", render_mode="rgb_array"
    )
    envs.reset(seed=0)
    assert envs.render()[0].shape == (480, 640, 3)
