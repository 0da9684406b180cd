"""The display: at most 18 lines, no number cut, four redraws a second, log lines without a terminal."""

import re
from datetime import datetime
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from regimegym.training import display as display_module
from regimegym.training import panel
from regimegym.training.display import RunHeader, Snapshot, TrainingDisplay, ValidationLine
from regimegym.training.episodes import EpisodeStats, EpisodeSummary
from regimegym.training.progress import History

HEADER = RunHeader(
    "regime-gym train experiment=quickstart",
    "runs/2026-11-20/18-31-07-quickstart",
    "BTC-EUR 1 h · train 2018-05-01 … 2021-01-31 · validation … 2021-06-30",
    "fills next_open · costs 0.15 % per trade · 16 accounts · reward shaped",
    "EnhancedDQN small · 86,213 parameters · seed 0 · cpu, 2 threads",
)
EPISODES = EpisodeSummary(100, 0.84, 0.61, 0.07, 0.062, 0.048, 0.006, 0.019, 0.026, 0.005, 0.63, 0.58, 11.0)
BEST = ValidationLine(640_000, 0.118, -0.041, 0.102, 0.14, 88, True, "checkpoints/best", 680_000, 0, 8)
LAST = ValidationLine(680_000, 0.097, -0.041, 0.102, 0.14, 80, False, None, 720_000, 2, 8)
AT_80 = """\
regime-gym train experiment=quickstart → runs/2026-11-20/18-31-07-quickstart
data  BTC-EUR 1 h · train 2018-05-01 … 2021-01-31 · validation … 2021-06-30
env   fills next_open · costs 0.15 % per trade · 16 accounts · reward shaped
agent EnhancedDQN small · 86,213 parameters · seed 0 · cpu, 2 threads

train ━━━━━━━━━━━━━━━━━━━━━━━  58 % 697k/1.20M 3,417 steps/s 3:24 gone 2:27 left
                     latest         last 100 episodes  since start
reward, shaped        +0.84              +0.61 ± 0.07  ▁▁▂▂▂▂▃▃▃▄▄▄▅▅▅▅▆▆▆▇▇▇▇██
equity               +6.2 %              +4.8 ± 0.6 %  ▁▁▂▂▂▂▃▃▃▄▄▄▅▅▅▅▆▆▆▇▇▇▇██
buy & hold           +1.9 %              +2.6 ± 0.5 %  same episodes
exposure · trades      63 %  58 % · 11 per 1,000 bars  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
loss · Q · ε         0.0131      0.0140 · 0.42 · 0.11  ██▇▇▇▇▆▆▆▅▅▅▄▄▄▄▃▃▃▂▂▂▂▁▁
regimes in replay  U ███████ 31 % D ██████ 27 % P █████ 22 % O █████ 20 %

validation  best +0.118 log return at 640k · buy & hold −0.041 · MA +0.102
            last +0.097 at 680k · next at 720k · no new best 2 of 8 times
time        env 31 %, learn 58 %, validate 9 % · saved at 640k · 182 GB free
Ctrl-C saves and stops. TensorBoard: tensorboard --logdir runs"""


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture(autouse=True)
def _free_disk(monkeypatch):
    usage = type("Usage", (), {"free": 182_000_000_000})
    monkeypatch.setattr(display_module.shutil, "disk_usage", lambda path: usage)


def snapshot(step, **more):
    shares = {"share_env": 0.31, "share_learn": 0.58, "share_validate": 0.09}
    return Snapshot(step, EPISODES, 0.0131, 0.014, 0.42, 0.11, (0.31, 0.27, 0.22, 0.2), **shares)._replace(**more)


def run(width, terminal, seconds=204, every=1.0):
    """A training of 3,417 steps/s; returns the console's output."""
    clock, out = Clock(), StringIO()
    console = Console(file=out, width=width, height=40, force_terminal=terminal, no_color=True)
    stamps = lambda: datetime(2026, 11, 20, 18, 34, 31)  # noqa: E731
    with TrainingDisplay(HEADER, 1_200_000, console=console, clock=clock, now=stamps) as display:
        for i in range(1, round(seconds / every) + 1):
            clock.seconds = i * every
            share = clock.seconds / 204
            episodes = EPISODES._replace(reward_mean=0.61 * share, equity_mean=0.048 * share)
            step = round(697_000 * share)
            display.update(snapshot(step, episodes=episodes, loss_mean=0.024 - 0.01 * share))
            if i == 190:
                display.validation(BEST)
            if i == 200:
                display.validation(LAST)
    return out.getvalue()


def last_frame(output):
    frame = re.split(r"\x1b\[2K", output)[-1]
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame).replace("\r", "").splitlines()]


def test_the_panel_at_80_columns():
    assert "\n".join(last_frame(run(80, True))) == AT_80


@pytest.mark.parametrize("width", [45, 60, 80, 100, 120, 200])
def test_the_panel_fits_every_width(width):
    frame = last_frame(run(width, True))
    assert len("\n".join(frame).strip().splitlines()) == 18
    assert max(map(len, frame)) <= width
    assert sum("+4.8 ± 0.6 %" in line for line in frame) == 1
    assert any("58 % · 11 per 1,000 bars" in line for line in frame)


def test_a_narrow_terminal_drops_the_series_first_and_then_the_latest_values():
    at_60, at_45 = last_frame(run(60, True)), last_frame(run(45, True))
    assert "reward, shaped        +0.84              +0.61 ± 0.07" in at_60
    assert "reward, shaped                 +0.61 ± 0.07" in at_45


def test_a_terminal_is_redrawn_at_most_four_times_a_second():
    frames = run(80, True, seconds=10, every=0.01).count("last 100 episodes")
    assert 38 <= frames <= 45, "41 redraws, the last state, and those of opening and closing"


def test_without_a_terminal_there_is_one_line_every_ten_seconds_and_per_validation():
    lines = run(80, False).splitlines()
    assert lines[1].startswith("data  BTC-EUR 1 h")
    body = lines[4:]
    assert len(body) == 24
    assert all(re.match(r"18:34:31 (train|valid) (\S+=\S+ ?)+", line) for line in body)
    assert body[-1] == (
        "18:34:31 train step=697,000/1,200,000 done=58% sps=3417 eta=2:27 reward_shaped100=+0.61 "
        "equity100=+4.8% bh100=+2.6% expo=0.58 loss=0.014 val_best=+0.118@640k"
    )
    best, last = [line for line in body if "valid" in line]
    assert best == (
        "18:34:31 valid step=640,000 log_return=+0.118 buy_hold=-0.041 ma_cross=+0.102 drawdown=0.14 "
        "trades=88 NEW BEST checkpoints/best"
    )
    assert last.endswith("drawdown=0.14 trades=80")


def test_nothing_known_yet_is_drawn_with_dashes():
    clock, out = Clock(), StringIO()
    console = Console(file=out, width=80, force_terminal=True)
    with TrainingDisplay(HEADER, 1000, console=console, clock=clock) as display:
        display.update(Snapshot(0))
    text = "\n".join(last_frame(out.getvalue()))
    assert "nan" not in text
    assert "validation  none yet" in text


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=True)
    with TrainingDisplay(HEADER, 1000, console=console, clock=Clock()) as display:
        display.update(snapshot(10))
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", out.getvalue())


def test_a_resumed_training_counts_its_pace_from_where_it_goes_on():
    clock, out = Clock(), StringIO()
    console = Console(file=out, width=80)
    with TrainingDisplay(HEADER, 2000, start_step=1000, console=console, clock=clock) as display:
        clock.seconds = 10.0
        display.update(snapshot(1100))
    assert "sps=10 eta=1:30" in out.getvalue()


def test_the_display_says_when_it_is_due_and_closes_once():
    clock, out = Clock(), StringIO()
    display = TrainingDisplay(HEADER, 2000, console=Console(file=out, width=80), clock=clock)
    with display:
        assert display.due()
        display.update(snapshot(1))
        assert not display.due()
        clock.seconds = 10.0
        assert display.due()
    before = out.getvalue()
    display.close()
    assert out.getvalue() == before


def test_a_series_of_any_length_keeps_its_course_in_few_points():
    history = History(limit=16)
    for value in range(1000):
        history.add(float(value))
    history.add(float("nan"))
    assert 8 <= len(history.points) < 16
    assert history.points == sorted(history.points)
    assert panel.sparkline([0.0, 1.0, 2.0, 3.0], 2) == "▁█"
    assert panel.sparkline([1.0, 1.0], 8) == "▁▁"
    assert panel.sparkline([], 8) == ""


def info(i):
    return {
        "episode": {"r": float(i), "l": 500},
        "episode_return": 0.01 * i,
        "buy_hold_return": 0.02,
        "episode_trades": 5,
        "exposure": -0.5,
    }


def test_episode_statistics_are_those_of_the_last_hundred():
    stats = EpisodeStats(100)
    for i in range(150):
        stats.add(info(i))
    kept, summary = np.arange(50.0, 150.0), stats.summary()
    assert (summary.n, summary.reward_now, summary.exposure_mean) == (100, 149.0, 0.5)
    assert summary.reward_mean == pytest.approx(kept.mean())
    assert summary.reward_se == pytest.approx(kept.std(ddof=1) / 10)
    assert summary.equity_mean == pytest.approx(0.01 * kept.mean())
    assert summary.buy_hold_se == pytest.approx(0.0)
    assert summary.trades_per_1000 == pytest.approx(10.0)


def test_before_the_second_episode_no_standard_error_is_claimed():
    stats = EpisodeStats()
    assert np.isnan(stats.summary().reward_mean)
    stats.add(info(1))
    assert stats.summary().reward_mean == 1.0
    assert np.isnan(stats.summary().reward_se)
    stats.add({"episode": {"r": 3.0, "l": 10}})
    assert stats.summary().reward_mean == 2.0
    assert stats.summary().equity_mean == pytest.approx(0.01)
