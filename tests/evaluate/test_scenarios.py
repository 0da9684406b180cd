"""Scenarios are what they say they are, and a policy walks through them as it would alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from grounds import SETTINGS, make_ground
from handmade import TabledWindowPolicy, WindowPolicy, make_tape, random_tape

from regimegym.common.errors import ConfigError, DataError, RunError
from regimegym.common.policy import Decision
from regimegym.envs.settings import AccountSettings, ActionSettings, EnvSettings
from regimegym.evaluate.cost_curve import scaled_costs, scaled_spreads
from regimegym.evaluate.metrics import all_metrics
from regimegym.evaluate.rollout import rollout
from regimegym.evaluate.rules import BuyAndHold
from regimegym.evaluate.scenario_content import suite_content, suite_markdown, suite_weaknesses
from regimegym.evaluate.scenario_figure import suite_figure
from regimegym.evaluate.scenario_rollout import rollout_scenarios
from regimegym.evaluate.scenarios import Blocks, Crises, Drawdowns, Scenario, Worlds, deepest_falls
from regimegym.evaluate.stress import (
    AsMeasured,
    Costs,
    Delays,
    FeatureDropOut,
    Inverted,
    Noise,
    Tilted,
    WiderSpreads,
    inverted_bars,
)
from regimegym.evaluate.suite import SuiteSettings, build_scenarios, median_run, run_suite
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.bars import SYMBOL

FIELDS = ("equity", "exposure", "log_returns", "actions", "regimes", "timestamps", "close", "fills")
SHORTS = EnvSettings(account=AccountSettings(borrow_rate=0.5), action=ActionSettings(allow_short=True))


@pytest.fixture(scope="module")
def ground():
    return make_ground()


@pytest.fixture(scope="module")
def built(ground):
    families = {
        "as_measured": AsMeasured(), "blocks": Blocks(3), "costs": Costs(), "delays": Delays((1, 2)),
        "spreads": WiderSpreads(), "features": FeatureDropOut((0.5,)), "noise": Noise((0.05,)),
        "inverted": Inverted(), "tilted": Tilted(), "worlds": Worlds(("gap", "gbm"), 300, 2),
        "falls": Drawdowns(2),
    }  # fmt: skip
    suite = SuiteSettings("own", families, random_accounts=3)
    scenarios, skipped = build_scenarios(suite, ground)
    assert not skipped
    return suite, scenarios


@pytest.fixture(scope="module")
def suite_run(built):
    suite, scenarios = built
    return run_suite(lambda symbol: TabledWindowPolicy(), scenarios, suite)


class Late:
    """A policy whose decisions are given one call later, as weights."""

    def __init__(self, policy):
        self.policy = policy

    def act(self, observations, state, starts):
        decision, _ = self.policy.act(observations, None, starts)
        targets = np.array([np.nan, 0.0, 1.0])[decision.action]
        return Decision(decision.action, target=np.full(len(targets), np.nan) if state is None else state), targets


def made(tape, rows, settings=SETTINGS, name="", **more):
    return Scenario(name, "hand", "", tape, rows, settings, "new", **more)


def test_scenarios_walk_together_as_each_would_alone():
    """Other tapes, lengths, accounts, spreads and symbols, in one call."""
    wide = random_tape(260, 1, spread=0.004)
    quoted = EnvSettings(account=AccountSettings(spread_source="bars"))
    tapes = [random_tape(260, seed) for seed in range(3)]
    scenarios = [
        made(tapes[0], RowRange(40, 240)),
        made(tapes[1], RowRange(40, 240), SHORTS),
        made(tapes[0], RowRange(3, 203), scaled_costs(SETTINGS, 4.0)),
        made(tapes[2], RowRange(100, 180)),
        made(wide, RowRange(40, 240), quoted),
        made(scaled_spreads(wide, 3.0), RowRange(40, 240), quoted),
    ]
    for policy in (WindowPolicy(), TabledWindowPolicy()):
        found = rollout_scenarios(lambda symbol, policy=policy: policy, scenarios)
        for scenario, run in zip(scenarios, found, strict=True):
            (alone,) = rollout(WindowPolicy(), scenario.tape, scenario.settings, scenario.rows)
            for name in FIELDS:
                np.testing.assert_array_equal(getattr(run, name), getattr(alone, name))
            assert run.first_row == alone.first_row
            assert all_metrics(run) == pytest.approx(all_metrics(alone), nan_ok=True)
    assert found[4].equity[-1] > found[5].equity[-1]


def test_what_is_joined_is_bounded_and_changes_nothing():
    scenarios = [made(random_tape(200, seed), RowRange(30, 200)) for seed in range(5)]
    policy = TabledWindowPolicy()
    few = rollout_scenarios(lambda symbol: policy, scenarios, most_rows=400)
    assert policy.n_bound == 3
    for one, other in zip(few, rollout_scenarios(lambda symbol: TabledWindowPolicy(), scenarios), strict=True):
        np.testing.assert_array_equal(one.equity, other.equity)


def test_other_costs_share_the_encodings():
    tape, policy = random_tape(200, 1), Counting()
    scenarios = [made(tape, RowRange(60, 200), scaled_costs(SETTINGS, m)) for m in (0.0, 1.0, 2.0)]
    rollout_scenarios(lambda symbol: policy, scenarios)
    assert policy.n_rows == [140 + 30]


class Counting(TabledWindowPolicy):
    """Counts the rows it is bound to."""

    def __init__(self):
        super().__init__()
        self.n_rows = []

    def on_tape(self, tape, start, stop):
        self.n_rows.append(stop - start)
        return super().on_tape(tape, start, stop)


def test_a_delay_gives_every_order_one_bar_later():
    tape = random_tape(260, 5)
    (late,) = rollout_scenarios(lambda symbol: WindowPolicy(), [made(tape, RowRange(40, 240), delay=1)])
    (by_hand,) = rollout(Late(WindowPolicy()), tape, SETTINGS, RowRange(40, 240))
    np.testing.assert_array_equal(late.equity, by_hand.equity)
    assert late.n_trades > 10


def test_rows_outside_a_scenarios_tape_are_refused():
    with pytest.raises(RunError, match="two rows or more inside one segment"):
        rollout_scenarios(lambda symbol: WindowPolicy(), [made(random_tape(100, 1), RowRange(50, 120))])


def test_blocks_cover_the_part_once(ground):
    blocks = [plan.build() for plan in Blocks(7).plans(ground)]
    rows = np.concatenate([np.arange(*block.rows) for block in blocks])
    np.testing.assert_array_equal(rows, np.arange(*ground.rows))
    assert {block.seen for block in blocks} == {"test"}


def test_falls_are_found_by_hand():
    close = np.array([100, 120, 90, 95, 130, 65, 80, 78, 100.0])
    found = deepest_falls(close, RowRange(0, 9), 5, 0.02)
    assert [(round(depth, 3), tuple(rows)) for depth, rows in found] == [
        (0.5, (4, 6)),
        (0.25, (1, 3)),
        (0.025, (6, 8)),
    ]
    assert deepest_falls(close, RowRange(0, 9), 1, 0.02) == found[:1]
    assert deepest_falls(np.arange(1.0, 9.0), RowRange(0, 8), 3, 0.01) == []


def test_what_the_model_was_trained_on_is_marked(ground):
    falls = [plan.build() for plan in Drawdowns(6, least_depth=0.02).plans(ground)]
    assert len(falls) == 6
    for fall in falls:
        assert (fall.seen == "train") == (fall.rows.start < 800)
    assert {fall.seen for fall in falls} >= {"train"}
    assert make_ground(spans={}).seen(RowRange(200, 300)) == "new"


def test_nothing_behind_the_judged_part_is_looked_at():
    """A suite on validation opens no test data."""
    ground = make_ground(part="validation")
    plans = [
        *Drawdowns(20, least_depth=0.02).plans(ground),
        *Crises({"all": ("2020-01-10", "2020-02-29")}).plans(ground),
    ]
    assert len(plans) > 3
    assert max(plan.build().rows.stop for plan in plans) <= ground.rows.stop


def test_crises_are_found_by_date_where_the_data_covers_them(ground):
    dates = {"inside": ("2020-01-20", "2020-02-05"), "before": ("2008-09-12", "2008-11-21")}
    dates["mostly outside"] = ("2020-02-25", "2020-08-01")
    (plan,) = Crises(dates).plans(ground)
    scenario = plan.build()
    assert plan.name == "inside"
    first = np.datetime64(int(ground.bars.timestamps[scenario.rows.start]), "ns")
    assert first == np.datetime64("2020-01-20T00:00")
    assert "2020-01-20 … 2020-02-04" in scenario.words
    assert Crises(dates).plans(make_ground(symbol=SYMBOL)) == []
    with pytest.raises(ConfigError, match="'x, first day' must be a date"):
        Crises({"x": ("soon", "2020-01-01")}).plans(ground)


def by_name(scenarios, name):
    return next(one for one in scenarios if one.name == name)


def test_prices_turned_upside_down_twice_are_the_prices(ground):
    bars = ground.bars
    once = inverted_bars(bars)
    np.testing.assert_allclose(np.diff(np.log(once.close)), -np.diff(np.log(bars.close)), atol=1e-12)
    assert (once.low <= np.minimum(once.open, once.close)).all()
    assert (once.high >= np.maximum(once.open, once.close)).all()
    np.testing.assert_allclose(inverted_bars(once).high, bars.high, rtol=1e-12)
    np.testing.assert_allclose(once.volume * once.close, bars.volume * bars.close, rtol=1e-12)


def test_inverted_scenarios_keep_the_rows_of_the_part(ground, built):
    found = by_name(built[1], "prices inverted")
    assert found.rows.count == ground.rows.count
    moves = np.diff(np.log(found.tape.close[slice(*found.rows)]))
    np.testing.assert_allclose(moves, -np.diff(np.log(ground.tape.close[slice(*ground.rows)])), atol=1e-9)
    assert found.seen == "test"


def test_tilted_scenarios_go_where_they_say(built):
    def move(name):
        found = by_name(built[1], name)
        close = found.tape.close[slice(*found.rows)]
        return np.log(close[-1] / close[0]), np.diff(np.log(close)).std()

    assert move("tilted up")[0] > 0.2
    assert move("tilted down")[0] < -0.2
    assert abs(move("made a plateau")[0]) < 0.05
    assert move("made a plateau")[1] < 0.4 * move("made to oscillate")[1]


def test_missing_features_are_missing_where_the_policy_looks_and_nowhere_else(ground, built):
    found = by_name(built[1], "50 % of features missing")
    first = ground.rows.start - SETTINGS.episode.window
    part = found.tape.features[first : ground.rows.stop]
    assert (part == 0).mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(found.tape.features[:first], ground.tape.features[:first])
    blind = by_name(built[1], "100 % of features missing")
    assert not blind.tape.features[first : ground.rows.stop].any()


def test_costs_spreads_and_delays_change_what_they_say(ground, built):
    dear, wide = by_name(built[1], "costs × 5"), by_name(built[1], "spread × 10")
    assert dear.settings.account.fee_rate == pytest.approx(5 * SETTINGS.account.fee_rate)
    assert dear.multiple == 5.0
    assert wide.settings.account.half_spread == pytest.approx(10 * SETTINGS.account.half_spread)
    assert wide.settings.account.fee_rate == SETTINGS.account.fee_rate
    assert by_name(built[1], "2 bars late").delay == 2
    quoted = replace(ground, tape=scaled_spreads(make_tape(ground.tape.close, spread=0.001), 1.0))
    (plan,) = WiderSpreads((3.0,)).plans(quoted)
    assert plan.build().tape.half_spread_open[0] == pytest.approx(0.003)


def test_costs_that_leave_nothing_are_no_scenario(ground):
    dear = replace(ground, settings=replace(SETTINGS, account=AccountSettings(fee_rate=0.3)))
    assert [plan.name for plan in Costs().plans(dear)] == ["costs × 0", "costs × 1", "costs × 2"]


def test_worlds_are_drawn_in_bars_of_the_history_and_differ(ground, built):
    gaps = [by_name(built[1], f"gap {i}") for i in (1, 2)]
    assert [gap.rows.count for gap in gaps] == [300, 300]
    assert gaps[0].tape.segments[0].timeframe_ns == ground.tape.timeframe_ns
    assert gaps[0].tape.symbol == "COIN"
    assert gaps[0].tape.close[-1] != gaps[1].tape.close[-1]
    again = next(plan.build() for plan in Worlds(("gap",), 300, 1).plans(ground))
    np.testing.assert_array_equal(again.tape.close, gaps[0].tape.close)


def test_every_policy_is_measured_in_every_scenario(built, suite_run):
    _, scenarios = built
    assert [result.scenario for result in suite_run.results] == scenarios
    for result in suite_run.results:
        assert list(result.metrics)[:2] == ["agent", "buy_and_hold"]
        assert {"ma_cross", "mean_reversion", "volatility_target", "regime_trader", "random", "flat"} < set(
            result.metrics
        )
        assert result.regret == pytest.approx(result.ceiling - result.log_return)
        assert all(values["log_return"] <= result.ceiling + 1e-9 for values in result.metrics.values()) or (
            not result.ceiling_is_exact or result.scenario.delay > 0
        )


def test_the_results_grow_worse_with_the_costs(suite_run):
    earned = [result.log_return for result in suite_run.results if result.scenario.group == "costs"]
    assert earned == sorted(earned, reverse=True)
    assert len(set(earned)) == 5


def test_a_delayed_holder_has_the_baselines_of_the_prompt_one(ground):
    suite = SuiteSettings("d", {"a": AsMeasured(), "d": Delays((1,))}, random_accounts=3)
    scenarios, _ = build_scenarios(suite, ground)
    prompt, late = run_suite(lambda symbol: BuyAndHold(SETTINGS), scenarios, suite).results
    assert prompt.log_return == prompt.metrics["buy_and_hold"]["log_return"]
    assert late.log_return != prompt.log_return
    assert late.metrics["ma_cross"] == prompt.metrics["ma_cross"]


@pytest.fixture(scope="module")
def content(suite_run):
    return suite_content([suite_run, suite_run], ["runs/a", "runs/b"], [1, 2], {"test_looks_before": 3})


def test_the_content_is_plain_and_complete(suite_run, content):
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["format_version"] == 1
    assert content["runs"] == [{"run": "runs/a", "random_seed": 1}, {"run": "runs/b", "random_seed": 2}]
    assert content["test_looks_before"] == 3
    for one, result in zip(content["scenarios"], suite_run.results, strict=True):
        assert {"name", "group", "words", "seen", "symbol", "timeframe", "start_ms", "end_ms", "n_bars"} < set(one)
        assert one["agent"]["log_return"] == result.log_return
        assert [seed["random_seed"] for seed in one["per_seed"]] == [1, 2]
        assert one["per_seed"][0]["log_return"] == result.log_return
        assert "hindsight" in one["baselines"]
        assert one["n_bars"] == result.scenario.rows.count - 1
    assert sum(group["n"] for group in content["groups"]) == len(content["scenarios"])


def test_groups_say_what_their_scenarios_say(content, suite_run):
    (costs,) = [group for group in content["groups"] if group["group"] == "costs"]
    own = sorted(r.log_return for r in suite_run.results if r.scenario.group == "costs")
    assert costs["median_log_return"] == own[2]
    assert (costs["worst"], costs["worst_log_return"]) == ("costs × 5", own[0])
    assert costs["share_above_flat"] == sum(value > 0 for value in own) / 5


def test_weaknesses_name_regime_month_costs_turnover_exposure_and_actions(suite_run):
    found = {one.key: one for one in suite_weaknesses(suite_run.results)}
    assert set(found) == {
        "worst_regime", "worst_month", "break_even", "turnover", "exposure_concentration", "action_collapse",
        "worst_scenario", "behind_buy_and_hold",
    }  # fmt: skip
    worst = min(suite_run.results, key=lambda result: result.log_return)
    assert worst.scenario.name in found["worst_scenario"].text
    assert found["worst_scenario"].value == worst.log_return


def test_the_shown_run_is_the_median_never_the_best(suite_run):
    first = suite_run.results[0]
    runs = [replace(first, metrics={"agent": {"log_return": value}}) for value in (0.3, -0.1, 0.2, 0.1)]
    assert median_run(runs).log_return == 0.1
    assert median_run(runs[:3]).log_return == 0.2


def test_the_table_and_the_figure_hold_every_scenario(content):
    table, figure = suite_markdown(content), suite_figure(content)
    for one in content["scenarios"]:
        assert f"| {one['name']} |" in table
        assert f">{one['name']}" in figure
    assert figure.count('r="4.6"') == len(content["scenarios"]) + 1  # and the legend
    assert "nan" not in figure.lower().replace("finance", "")
    assert table.count("## Weaknesses") == 1


def test_the_same_suite_twice_is_identical(built, suite_run, content):
    suite, scenarios = built
    again = run_suite(lambda symbol: TabledWindowPolicy(), scenarios, suite)
    assert suite_content([again, again], ["runs/a", "runs/b"], [1, 2], {"test_looks_before": 3}) == content


def test_what_cannot_be_built_is_left_out_with_its_reason(ground):
    def refuse(bars):
        raise DataError("missing-inputs", "a feature lacks its input")

    poor = replace(ground, as_tape=refuse)
    suite = SuiteSettings("s", {"a": AsMeasured(), "i": Inverted(), "b": Blocks(300)}, least_bars=5)
    scenarios, skipped = build_scenarios(suite, poor)
    assert [one.name for one in scenarios] == ["test part"]
    assert skipped[0]._asdict() == {
        "name": "prices inverted",
        "group": "inverted",
        "reason": "a feature lacks its input",
    }
    assert "it has" in skipped[1].reason
    with pytest.raises(DataError, match="none of the 1 scenarios of the suite 's' can be built"):
        build_scenarios(SuiteSettings("s", {"i": Inverted()}), poor)


def test_wrong_suites_are_named(ground):
    with pytest.raises(ConfigError, match="the suite 'none' holds no family"):
        SuiteSettings("none")
    twice = SuiteSettings("twice", {"a": Blocks(2), "b": Blocks(2)})
    with pytest.raises(ConfigError, match="holds the scenario 'block 1 of 2' twice"):
        build_scenarios(twice, ground)
    with pytest.raises(ConfigError, match="'random_accounts' must be a whole number"):
        SuiteSettings("s", {"a": AsMeasured()}, random_accounts=0)
