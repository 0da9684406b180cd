"""Search spaces: what a parameter may be, what it sets, and that every shipped one keeps the rules."""

from itertools import product
from pathlib import Path

import numpy as np
import optuna
import pytest
from scipy.stats import kstest

import regimegym.conf
from regimegym.common.errors import ConfigError
from regimegym.envs.reward_settings import RewardSettings
from regimegym.supervised.registry import predictor_of
from regimegym.training.compose import compose_config, flat_values
from regimegym.training.sweeps.best import best_file, experiment_text, optimised_words
from regimegym.training.sweeps.settings import SearchSettings
from regimegym.training.sweeps.space import Parameter, Space, override_text
from regimegym.training.sweeps.train_objective import check_space
from regimegym.training.wiring import build

CONF = Path(regimegym.conf.__file__).parent
SEARCHES = sorted(path.stem for path in (CONF / "search").glob("*.yaml"))

REFERENCE_GRID = {
    "lr": [1e-4, 5e-4, 1e-3],
    "gamma": [0.95, 0.97, 0.99],
    "buffer": [10_000, 50_000, 100_000],
    "batch": [32, 64, 128],
    "update_frequency": [1, 4, 8],
    "tau": [0.001, 0.005, 0.01],
    "alpha": [0.4, 0.6, 0.8],
    "beta_start": [0.4, 0.5, 0.6],
    "uptrend_reward_scale": [1.0, 1.5, 2.0],
    "downtrend_reward_scale": [0.5, 0.8, 1.0],
}


def search_of(name: str, *words: str) -> SearchSettings:
    return build(compose_config("sweep", [f"search={name}", *words]).search)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_composes_and_builds(name):
    assert search_of(name).space().names


@pytest.mark.parametrize("name", SEARCHES)
def test_every_parameter_of_a_search_is_a_setting(name):
    search = search_of(name)
    check_space(search.space(), search.overrides)


PREDICTORS = [name for name in SEARCHES if (CONF / "predictor" / f"{name}.yaml").exists()]


def test_every_predictor_worth_searching_has_a_space():
    nets = {"lstm", "gru", "tcn", "tft"}
    assert set(PREDICTORS) == nets | {"random_forest", "xgboost", "logistic", "lorentzian", "sgd", "hmm"}


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_predictors_space_holds_what_its_settings_accept(name):
    """Every listed value and both ends of every range, as words of `fit`, make the predictor."""
    search = search_of(name)
    space = search.space()
    check_space(space, search.overrides, "fit")
    assert {p.sets.rpartition(".")[0] for p in space.parameters} == {f"predictors.{name}"}
    choices = [list(p.values) if p.values is not None else [p.low, p.high] for p in space.parameters]
    for k in range(max(map(len, choices))):
        values = {p.name: among[k % len(among)] for p, among in zip(space.parameters, choices, strict=True)}
        config = compose_config("fit", [*search.overrides, *space.overrides(values)])
        predictor = predictor_of(build(config.predictors[name]))
        for parameter in space.parameters:
            found = getattr(predictor.settings, parameter.sets.rpartition(".")[2])
            wanted = parameter.setting(values[parameter.name])
            assert found == (tuple(wanted) if isinstance(wanted, list) else wanted)


def test_the_ten_parameter_grid_holds_exactly_the_reference_values():
    search = search_of("grid")
    assert {p.name: list(p.values) for p in search.space().parameters} == REFERENCE_GRID
    assert search.space().grid_size() == 59_049
    assert search.seeds_per_trial == 3


def test_every_combination_of_reward_scales_in_the_grid_obeys_the_loss_scale_rule():
    space = search_of("grid").space()
    reward = [p for p in space.parameters if p.sets.startswith("reward.")]
    assert len(reward) == 2
    for values in product(*(p.values for p in reward)):
        words = [f"{p.sets}={value}" for p, value in zip(reward, values, strict=True)]
        settings: RewardSettings = build(compose_config("train", words).reward)
        scales = [getattr(settings, f"{name}_positive_scale") for name in ("downtrend", "plateau", "oscillating")]
        losses = [getattr(settings, f"{name}_negative_scale") for name in ("downtrend", "plateau", "oscillating")]
        assert min(settings.uptrend_reward_scale, *losses) >= max(settings.uptrend_reward_scale, *scales)


def test_a_grid_point_is_every_combination_once():
    space = Space.of({"a": {"sets": "x.a", "values": [1, 2]}, "b": {"sets": "x.b", "low": 0, "high": 2}})
    points = [tuple(space.grid_point(k).values()) for k in range(space.grid_size())]
    assert points == list(product([1, 2], [0, 1, 2]))


def test_a_value_can_stand_for_another_setting():
    space = Space.of({"every": {"sets": "agent.updates_per_bar", "values": [1, 4], "given": [1.0, 0.25]}})
    assert space.overrides({"every": 4}) == ["agent.updates_per_bar=0.25"]


def test_fixed_parameters_keep_the_configured_value():
    assert "gamma" not in search_of("smoke", "search.fixed=[gamma]").space().names
    with pytest.raises(ConfigError, match="gama") as mistake:
        search_of("smoke", "search.fixed=[gama]").space()
    assert mistake.value.nearest == "gamma"


def test_samples_of_the_xgboost_space_stay_in_range_and_the_learning_rate_is_log_uniform():
    ends = {"max_depth": (3, 10), "n_estimators": (50, 500), "min_child_weight": (1, 10)}
    ends |= {"learning_rate": (0.01, 0.3), "subsample": (0.6, 1.0), "colsample_bytree": (0.6, 1.0)}
    space = search_of("xgboost").space()
    assert {p.name: (p.low, p.high) for p in space.parameters} == ends
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    drawn: dict[str, list] = {name: [] for name in ends}
    for _ in range(1000):
        trial = study.ask()
        for parameter in space.parameters:
            drawn[parameter.name].append(parameter.suggest(trial))
    for name, (low, high) in ends.items():
        assert low <= min(drawn[name]) <= max(drawn[name]) <= high
    assert set(drawn["max_depth"]) == set(range(3, 11))
    rate = np.array(drawn["learning_rate"])
    assert kstest(np.log(rate / 0.01) / np.log(30), "uniform").pvalue > 0.01
    assert kstest((rate - 0.01) / 0.29, "uniform").pvalue < 1e-6


def test_the_best_settings_of_a_space_with_groups_compose_to_the_same_configuration(tmp_path):
    search = search_of("xgboost")
    values = {"max_depth": 4, "learning_rate": 0.05, "n_estimators": 60, "subsample": 0.7, "colsample_bytree": 0.8}
    words = [*search.overrides, "network=mlp", *search.space().overrides({**values, "min_child_weight": 2})]
    path = best_file(tmp_path)
    path.parent.mkdir()
    path.write_text(experiment_text(words, tmp_path, "found"))
    again = compose_config("train", optimised_words(str(tmp_path), ["optimised=x"]))
    assert flat_values(again) == flat_values(compose_config("train", words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"low": 1}, "neither a range nor values"),
        ({"low": 1, "high": 2, "values": [1]}, "or both"),
        ({"low": 2, "high": 1}, "> low"),
        ({"low": 0, "high": 1, "log": True}, "> 0 where log"),
        ({"values": [1, 1]}, "different values"),
        ({"values": [1, 2], "given": [1]}, "one entry for each"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        Parameter("p", "a.p", **words)


def test_an_unknown_word_of_a_parameter_names_the_nearest():
    with pytest.raises(ConfigError, match="lowest") as mistake:
        Space.of({"p": {"sets": "a.p", "lowest": 1, "high": 2}})
    assert mistake.value.nearest == "low"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (3, "3"), (1e-05, "1e-05"), ("mlp", "mlp"), ("a b", '"a b"'), ([1, "x"], "[1,x]")],
)
def test_values_become_words_that_hydra_reads_back(value, text):
    assert override_text(value) == text
    assert compose_config("train", [f"name={text}"]).name == value
