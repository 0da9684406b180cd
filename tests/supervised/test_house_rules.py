"""Every registered predictor keeps every house rule, and one that breaks a rule is found out."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
from small_predictors import SMALL

from regimegym.common.errors import ConfigError, ModelError
from regimegym.supervised.base import Predictor, State
from regimegym.supervised.checks import RULES, Subject, check_predictor
from regimegym.supervised.floors import Majority
from regimegym.supervised.registry import PREDICTORS, get_predictor, list_predictors, predictor_of, register


@lru_cache
def subject(name: str) -> Subject:
    return Subject(lambda: get_predictor(name, SMALL.get(name)))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", list_predictors())
def test_every_predictor_keeps_the_rule(name, rule):
    RULES[rule](subject(name))


def test_there_are_rules_and_predictors():
    assert len(RULES) >= 14
    assert {"majority", "last_value"} <= set(list_predictors())


@dataclass(frozen=True)
class NoSettings:
    pass


class Peeking(Predictor):
    """Says what the next row's first feature says."""

    settings_type = NoSettings
    row_wise = False

    def _fit(self, lesson, generator):
        self.seen = generator.normal()

    def _probabilities(self, features):
        up = (np.roll(features[:, 0], -1) > 0) * 0.8 + 0.1
        return np.column_stack([1 - up, up])

    def _state(self):
        return State()

    def _restore(self, state):
        pass


class PeekingBeside(Majority):
    """Answers like the majority, and tells what the next row's first feature will be."""

    further_signals = ("ahead",)

    def _further_columns(self, features):
        return np.roll(features[:, :1], -1, axis=0)


class GloballyRandom(Majority):
    def _fit(self, lesson, generator):
        super()._fit(lesson, generator)
        np.random.random()  # noqa: NPY002  # what it is found out for


class Overwriting(Majority):
    def _probabilities(self, features):
        features[0, 0] = 1.0
        return super()._probabilities(features)


class OffTheSimplex(Majority):
    def _probabilities(self, features):
        return 1.1 * super()._probabilities(features)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (Peeking, "change the answers before them"),
        (PeekingBeside, "change the answers before them"),
        (GloballyRandom, "draws from a global generator"),
        (OffTheSimplex, "probabilities sum to 1"),
    ],
)
def test_a_predictor_that_breaks_a_rule_is_found_out(kind, what):
    with pytest.raises(ModelError, match=what):
        check_predictor(kind)


def test_a_predictor_that_writes_into_its_inputs_is_found_out():
    with pytest.raises(ModelError, match="changes the features"):
        RULES["inputs_are_not_changed"](Subject(Overwriting))


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="'majority' is registered twice"):
        register("majority")(Peeking)
    assert PREDICTORS.get("majority") is Majority


def test_an_unknown_name_or_setting_knows_the_nearest():
    with pytest.raises(ConfigError) as name:
        get_predictor("majorit")
    assert name.value.nearest == "majority"
    with pytest.raises(ConfigError) as setting:
        get_predictor("last_value", {"featur": "x0"})
    assert setting.value.nearest == "feature"


def test_settings_of_another_predictor_are_refused():
    with pytest.raises(ConfigError, match="takes MajoritySettings, got NoSettings"):
        Majority(NoSettings())
    with pytest.raises(ConfigError, match="settings of no registered predictor"):
        predictor_of(NoSettings())
