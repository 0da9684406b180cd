"""Settings: defaults equal the YAML, every mistake is told in one sentence."""

import math
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import regimegym
from regimegym.common.errors import ConfigError
from regimegym.envs.portfolio_settings import PortfolioSettings
from regimegym.envs.settings import (
    AccountSettings,
    ActionSettings,
    EnvSettings,
    EpisodeSettings,
    OrderSettings,
    RewardSettings,
)
from regimegym.training.wiring import build


class OnlyDrawdown:
    """A reward rule of a user's own."""

    def __repr__(self):
        return "OnlyDrawdown()"  # names of tests hold no address

    def reward(self, step):
        return -step.drawdown


CONF = Path(regimegym.__file__).parent / "conf"


def composed(costs="default", reward="regime_aware", **overrides):
    config = OmegaConf.create(
        {name: OmegaConf.load(CONF / name / f"{option}.yaml")
         for name, option in (("env", "default"), ("costs", costs), ("reward", reward))}
    )  # fmt: skip
    for key, value in overrides.items():
        OmegaConf.update(config, key.replace("__", "."), value)
    return config


def build_env(config):
    return build(config.env)


def test_the_yaml_defaults_are_the_dataclass_defaults():
    assert build_env(composed()) == EnvSettings()


@pytest.mark.parametrize(
    ("kind", "node"),
    [
        (AccountSettings, "account"),
        (RewardSettings, "reward"),
        (OrderSettings, "orders"),
        (ActionSettings, "action"),
        (EpisodeSettings, "episode"),
    ],
)
def test_every_setting_is_written_out_in_the_yaml(kind, node):
    keys = set(composed().env[node]) - {"_target_"}
    assert keys == {field.name for field in fields(kind)}


@pytest.mark.parametrize("name", ["zero", "high"])
def test_every_cost_level_composes_and_names_the_same_settings(name):
    config = composed(costs=name)
    assert set(config.costs) == set(composed().costs)
    assert build_env(config).account.fee_rate == config.costs.fee_rate


def test_the_log_return_reward_composes():
    assert build_env(composed(reward="log_return")).reward == RewardSettings(kind="log_return")


@pytest.mark.parametrize("kind", ["differential_sharpe", "drawdown_penalised"])
def test_every_other_reward_composes_at_its_defaults(kind):
    scale = 1.0 if kind == "differential_sharpe" else 100.0
    assert build_env(composed(reward=kind)).reward == RewardSettings(kind=kind, reward_scale=scale)


def test_a_reward_rule_is_found_by_its_target():
    config = composed(reward="custom")
    OmegaConf.update(config, "reward.rule._target_", f"{__name__}.OnlyDrawdown")
    assert isinstance(build_env(config).reward.rule, OnlyDrawdown)


def test_the_losses_follow_the_uptrend_scale():
    reward = build_env(composed(reward__uptrend_reward_scale=2.0)).reward
    assert min(reward.negative_scales) == 2.0


@pytest.mark.parametrize("key", ["costs__fee_rate", "env__account__fee_rate"])
def test_a_negative_fee_ends_in_one_clear_sentence(key):
    with pytest.raises(ConfigError) as caught:
        build_env(composed(**{key: -0.1}))
    assert str(caught.value) == "'fee_rate' must be ≥ 0, got -0.1"


BAD = [
    (AccountSettings, {"initial_cash": 0.0}, "'initial_cash' must be > 0, got 0.0"),
    (AccountSettings, {"half_spread": 1.0}, "'half_spread' must be < 1 (a fraction), got 1.0"),
    (AccountSettings, {"slippage": float("nan")}, "'slippage' must be ≥ 0, got nan"),
    (AccountSettings, {"execution": "next_opn"}, "'execution' must be one of next_open, same_close"),
    (AccountSettings, {"margin_check": "never"}, "'margin_check' must be one of close, intrabar, none"),
    (AccountSettings, {"maintenance_margin": 1.0}, "'maintenance_margin' must be < 1"),
    (AccountSettings, {"floor_zero": "yes"}, "'floor_zero' must be true or false, got 'yes'"),
    (AccountSettings, {"max_leverage": 100.0, "fee_rate": 0.02}, "or no trade can reach its target"),
    (RewardSettings, {"reward_scale": 0.0}, "'reward_scale' must be > 0, got 0.0"),
    (RewardSettings, {"overtrading_penalty": -1.0}, "'overtrading_penalty' must be ≥ 0, got -1.0"),
    (RewardSettings, {"max_trades_window": 0}, "'max_trades_window' must be a whole number ≥ 1, got 0"),
    (RewardSettings, {"plateau_negative_scale": 1.0}, "smallest negative reward scale 1.0 lies below"),
    (RewardSettings, {"downtrend_negative_scale": 0.5}, "smallest negative reward scale 0.5 lies below"),
    (RewardSettings, {"downtrend_positive_scale": 0.0}, "'downtrend_positive_scale' must be > 0, got 0.0"),
    (RewardSettings, {"size_penalty": -0.1}, "'size_penalty' must be ≥ 0, got -0.1"),
    (RewardSettings, {"sized_target": float("nan")}, "'sized_target' must be a finite exposure, got nan"),
    (RewardSettings, {"sharpe_adaptation": 1.0}, "'sharpe_adaptation' must be in (0, 1), got 1.0"),
    (RewardSettings, {"drawdown_penalty": -1.0}, "'drawdown_penalty' must be ≥ 0, got -1.0"),
    (RewardSettings, {"kind": "custom"}, "'kind' is custom, and 'rule' is None"),
    (RewardSettings, {"kind": "custom", "rule": "mine"}, "'kind' is custom, and 'rule' is 'mine'"),
    (RewardSettings, {"rule": OnlyDrawdown()}, "OnlyDrawdown"),
    (AccountSettings, {"impact": -0.1}, "'impact' must be ≥ 0, got -0.1"),
    (AccountSettings, {"impact": 1.0}, "'half_spread + slippage + impact' must be < 1"),
    (OrderSettings, {"stop_loss": 1.0}, "'stop_loss' must be < 1 (a fraction), got 1.0"),
    (OrderSettings, {"take_profit": -0.1}, "'take_profit' must be ≥ 0, got -0.1"),
    (OrderSettings, {"dead_band": -0.1}, "'dead_band' must be ≥ 0, got -0.1"),
    (OrderSettings, {"minimum_hold": 1.5}, "'minimum_hold' must be a whole number ≥ 0, got 1.5"),
    (OrderSettings, {"turnover_budget": float("inf")}, "'turnover_budget' must be ≥ 0, got inf"),
    (OrderSettings, {"turnover_window": -1}, "'turnover_window' must be a whole number ≥ 0, got -1"),
    (ActionSettings, {"mode": "trades"}, "'mode' must be one of trade, target, continuous, got 'trades'"),
    (ActionSettings, {"ladder": (0.0,)}, "'ladder' needs two or more strictly increasing weights"),
    (ActionSettings, {"ladder": (1.0, 0.0)}, "'ladder' needs two or more strictly increasing weights"),
    (ActionSettings, {"ladder": (0.0, float("inf"))}, "'ladder[1]' must be a finite weight, got inf"),
    (EpisodeSettings, {"window": 0}, "'window' must be a whole number ≥ 1, got 0"),
    (EpisodeSettings, {"start": "anywhere"}, "'start' must be one of random, sequential"),
    (
        EpisodeSettings,
        {"window": 60, "length": 50},
        "a window longer than the episode: 'window' is 60 bars, 'length' 50 decisions",
    ),
]


@pytest.mark.parametrize(("kind", "changes", "text"), BAD, ids=[f"{k.__name__}-{c}" for k, c, _ in BAD])
def test_a_bad_setting_is_named_with_its_rule_and_value(kind, changes, text):
    with pytest.raises(ConfigError) as caught:
        kind(**changes)
    assert text in str(caught.value)


SETTINGS = (
    AccountSettings,
    ActionSettings,
    EnvSettings,
    EpisodeSettings,
    OrderSettings,
    PortfolioSettings,
    RewardSettings,
)
MAY_BE_NONE = {"length", "symbol_weights", "timeframe_weights", "regime_weights", "regimes", "starts", "rule"}
MAY_BE_NEGATIVE = {"sized_target"}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "x", None, True, [1], -1.5], ids=str)
def test_no_setting_takes_a_value_of_another_world_and_each_says_which_it_was(kind, value):
    checked = 0
    for setting in fields(kind):
        name = setting.name
        is_flag = isinstance(setting.default, bool) and isinstance(value, bool)
        if is_flag or (value is None and name in MAY_BE_NONE) or (value == -1.5 and name in MAY_BE_NEGATIVE):
            kind(**{name: value})
            continue
        with pytest.raises(ConfigError) as caught:
            kind(**{name: value})
        assert name in str(caught.value)
        told = str(value[0]) if isinstance(value, list) else str(value)
        assert told in str(caught.value)
        checked += 1
    assert checked >= len(fields(kind)) - len(MAY_BE_NONE)


def test_the_unsafe_downtrend_reward_needs_its_flag_and_frees_the_downtrend_alone():
    RewardSettings(downtrend_negative_scale=0.5, unsafe_downtrend_reward=True)
    with pytest.raises(ConfigError, match="lies below"):
        RewardSettings(plateau_negative_scale=0.5, unsafe_downtrend_reward=True)


def test_a_ladder_beyond_the_leverage_is_refused():
    with pytest.raises(ConfigError, match=r"largest .weight. of 'ladder'.*got 2.0"):
        EnvSettings(action=ActionSettings(mode="target", ladder=(0.0, 2.0)))


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        EnvSettings().account.fee_rate = 0.0
    assert asdict(EnvSettings())["account"]["fee_rate"] == 0.001
