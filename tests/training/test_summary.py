"""The summary: a table that fits, warnings that are never empty, commands to paste."""

import math
from io import StringIO

import pytest
from rich.console import Console

from regimegym.training.formatting import count, duration, number, percent, size, with_error
from regimegym.training.summary import (
    Block,
    RunSummary,
    next_commands,
    render_summary,
    summary_lines,
    warnings,
)

POLICIES = {
    "agent": {"total_return": 0.134, "sharpe_ratio": 0.94, "max_drawdown": 0.142, "trades": 88},
    "buy_and_hold": {"total_return": -0.04, "sharpe_ratio": 0.12, "max_drawdown": 0.418, "trades": 1},
    "ma_cross": {"total_return": 0.107, "sharpe_ratio": 0.81, "max_drawdown": 0.195, "trades": 41},
    "random": {"total_return": -0.098, "sharpe_ratio": -0.41, "max_drawdown": 0.277, "trades": 88},
    "flat": {"total_return": 0.0, "sharpe_ratio": math.nan, "max_drawdown": 0.0, "trades": 0},
    "hindsight_ceiling": {"total_return": 19.4, "sharpe_ratio": 14.1, "max_drawdown": 0.026, "trades": 88},
}
INTERVALS = {"agent": (-0.221, 0.64), "buy_and_hold": (-0.489, 0.713), "flat": (math.nan, math.nan)}
SUMMARY = RunSummary(
    headline="Training finished · early stop, 8 validations without a new best",
    steps=1_040_000,
    duration_s=307.0,
    best_step=720_000,
    random_seed=0,
    blocks=[Block("Validation", "2021-02-01 … 2021-06-30", POLICIES, INTERVALS)],
    action_shares={"HOLD": 0.8, "BUY": 0.19, "SELL": 0.01},
    folder="runs/2026-11-20/18-31-07-quickstart",
    overrides=["data=file", "data.path=my prices.csv", "random_seed=0"],
    labels={"ma_cross": "MA cross 36/168"},
)
AT_80 = """\
Training finished · early stop, 8 validations without a new best ───────────────
1,040,000 steps in 5:07 (3,388 steps/s) · best checkpoint at 720,000 · seed 0

Validation, 2021-02-01 … 2021-06-30, after costs
policy                 return       95 % interval   Sharpe   drawdown   trades
──────────────────────────────────────────────────────────────────────────────
agent, best           +13.4 %    −22.1 to +64.0 %     0.94     14.2 %       88
buy & hold             −4.0 %    −48.9 to +71.3 %     0.12     41.8 %        1
MA cross 36/168       +10.7 %                   –     0.81     19.5 %       41
random, same trades    −9.8 %                   –    −0.41     27.7 %       88
flat                    0.0 %                   –        –      0.0 %        0
hindsight ceiling    +1,940 %                   –    14.10      2.6 %       88

! One seed, one market: the interval includes zero. Nothing is shown yet.
! SELL is 1 % of all actions: watch for action collapse.

model   runs/2026-11-20/18-31-07-quickstart/model
config  runs/2026-11-20/18-31-07-quickstart/config.yaml (3 values changed)
report  runs/2026-11-20/18-31-07-quickstart/report.html
next    regime-gym evaluate run=last  baselines, intervals, report
        regime-gym train -m random_seed=0,1,2,3,4 data=file 'data.path=my prices.csv'
        tensorboard --logdir runs/2026-11-20/18-31-07-quickstart/tensorboard"""


def test_the_summary_at_80_columns():
    assert "\n".join(line.plain.rstrip() for line in summary_lines(SUMMARY)) == AT_80


def test_commands_are_not_wrapped_and_carry_no_colours_outside_a_terminal():
    out = StringIO()
    render_summary(SUMMARY, Console(file=out, width=80))
    assert [line.rstrip() for line in out.getvalue().splitlines()] == AT_80.splitlines()


def test_a_narrow_table_drops_columns_and_cuts_no_number():
    table = [line.plain for line in summary_lines(SUMMARY, 60)][4:12]
    assert max(map(len, table)) <= 60
    assert table[0].split() == ["policy", "return", "95", "%", "interval", "Sharpe"]
    assert table[2].split() == ["agent,", "best", "+13.4", "%", "−22.1", "to", "+64.0", "%", "0.94"]


def of_agent(interval, **metrics):
    agent = POLICIES["agent"] | metrics
    block = Block("Test", "", {"agent": agent, "buy_and_hold": POLICIES["buy_and_hold"]}, {"agent": interval})
    return warnings(SUMMARY._replace(blocks=[block], action_shares={}))


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((-0.1, 0.2), "One seed, one market: the interval includes zero. Nothing is shown yet."),
        ((-0.2, -0.1), "One seed, one market: the whole interval lies below zero."),
        ((math.nan, math.nan), "One seed, one market, no interval. Nothing is shown yet."),
        (
            (0.1, 0.2),
            "One seed, one market: the interval excludes zero, other seeds may not. Train more of them.",
        ),
    ],
)
def test_every_single_run_is_told_what_it_does_not_show(interval, said):
    assert of_agent(interval) == [said]


def test_an_agent_below_buy_and_hold_and_one_that_never_traded_are_told():
    assert of_agent((-0.2, 0.1), total_return=-0.1, trades=0)[1:] == [
        "The agent ended below buy & hold on the test part.",
        "The agent never traded on the test part.",
    ]


def test_one_action_for_everything_is_called_a_collapse():
    said = warnings(SUMMARY._replace(blocks=[], action_shares={"HOLD": 0.97, "BUY": 0.02, "SELL": 0.01}))
    assert said == ["HOLD is 97 % of all actions: watch for action collapse."]
    assert warnings(SUMMARY._replace(blocks=[], action_shares={"HOLD": 0.6, "BUY": 0.2, "SELL": 0.2})) == []


def test_an_interrupted_run_is_named_by_its_folder_because_last_means_finished():
    command, _ = next_commands(SUMMARY._replace(finished=False))[0]
    assert command == "regime-gym evaluate run=runs/2026-11-20/18-31-07-quickstart"


def test_undefined_is_a_dash_and_minus_is_a_true_minus():
    assert [number(math.nan), number(None), percent(math.inf)] == ["–", "–", "–"]
    assert [number(-0.4), number(-0.001, signed=True), percent(-0.0004, signed=True)] == [
        "−0.40",
        "0.00",
        "0.0 %",
    ]
    assert [with_error(0.61, 0.07), with_error(-0.048, 0.006, scale_percent=True)] == [
        "+0.61 ± 0.07",
        "−4.8 ± 0.6 %",
    ]
    assert with_error(0.1, math.nan) == "+0.10 ± –"


def test_steps_times_and_sizes_are_short():
    assert [count(697), count(697_000), count(1_200_000)] == ["697", "697k", "1.20M"]
    assert [duration(204), duration(3804), duration(math.nan)] == ["3:24", "1:03:24", "–"]
    assert [size(12), size(38e6), size(3.4e6), size(182e9)] == ["12 bytes", "38 MB", "3.4 MB", "182 GB"]
