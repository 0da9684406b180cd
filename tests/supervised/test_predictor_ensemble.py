"""The ensemble: who is in it, who is left out, what each strategy makes of the same answers."""

import logging
from dataclasses import dataclass, replace

import numpy as np
import pytest
from lessons import lesson_with, nonlinear_lesson
from small_predictors import SMALL

from regimegym.common.errors import ConfigError, DataError, ModelError
from regimegym.supervised.base import Predictor, State
from regimegym.supervised.checks import RULES, Subject
from regimegym.supervised.cross_validation import ForwardFolds
from regimegym.supervised.ensemble.ensemble import Ensemble
from regimegym.supervised.ensemble.settings import STRATEGIES, EnsembleSettings
from regimegym.supervised.ensemble.stack import fit_stack
from regimegym.supervised.registry import PREDICTORS, get_predictor, register
from regimegym.supervised.signals import all_answers

SMALL_HMM = {"features": ("x2",), "n_states": 2, "n_restarts": 1, "n_iter": 10}
BASE = {
    "xgboost": {"n_estimators": 20, "max_depth": 3, "learning_rate": 0.3, "early_stopping_rounds": 0, "n_threads": 1}
}
BASE |= {"random_forest": {"n_estimators": 10, "min_samples_leaf": 3, "max_features": 1.0}, "hmm": SMALL_HMM}


@dataclass(frozen=True)
class OneColumnSettings:
    """Which column decides, and how sure it is; whether it fails.

    Attributes:
        column: index.
        sure: probability of the class it says.
        fails: in fit, in predict, or never.
    """

    column: int = 0
    sure: float = 0.9
    fails: str = "never"


class OneColumn(Predictor):
    """Up where one column is positive."""

    settings_type = OneColumnSettings

    def _fit(self, lesson, generator):
        if self.settings.fails == "fit":
            raise RuntimeError("this member cannot be fitted")

    def _probabilities(self, features):
        if self.settings.fails == "predict" and len(features) == 7:
            raise RuntimeError("this member cannot answer")
        up = np.where(features[:, self.settings.column] > 0, self.settings.sure, 1 - self.settings.sure)
        return np.column_stack([1 - up, up])

    def _state(self):
        return State()

    def _restore(self, state):
        pass


@pytest.fixture(scope="module", autouse=True)
def _two_members():
    for name in ("first", "second"):
        register(name)(type(name, (OneColumn,), {}))
    yield
    for name in ("first", "second"):
        del PREDICTORS._parts[name]


def settings_of(strategy: str, **more) -> EnsembleSettings:
    base = {"first": {"column": 0}, "second": {"column": 1}} | more.pop("base_settings", {})
    return EnsembleSettings(base_models=("first", "second"), base_settings=base, strategy=strategy, n_splits=3, **more)


def planted(n_rows: int, random_seed: int, right: np.ndarray | None = None):
    """Up where the right one of two columns is positive, in nine of ten rows."""
    rng = np.random.default_rng(random_seed)
    features = rng.normal(size=(n_rows, 3))
    right = np.zeros(n_rows, int) if right is None else right
    up = (features[np.arange(n_rows), right] > 0) ^ (rng.random(n_rows) < 0.1)
    return lesson_with(features, up, horizon=2)


def fitted(settings: EnsembleSettings, lesson) -> Ensemble:
    return Ensemble(settings).fit(lesson, np.random.default_rng(0))


@pytest.mark.parametrize("strategy", ["average", "weighted", "dynamic", "time_aware", "stacking"])
def test_one_who_knows_beats_one_who_does_not_and_parts_sum_to_the_answer(strategy):
    model, later = fitted(settings_of(strategy), planted(400, 1)), planted(300, 2)
    answers = model.predict_proba(later.features)
    np.testing.assert_allclose(sum(model.contributions(later.features).values()), answers, atol=1e-12)
    given = np.stack(list(model.member_shares(later.features).values()))
    np.testing.assert_allclose(given.sum(axis=0), 1.0)
    if strategy == "average":
        each = [all_answers(member, later.features) for member in model.members.values()]
        np.testing.assert_allclose(answers, np.mean(each, axis=0))
    elif strategy != "dynamic":
        assert model.validate(later)["accuracy"] > 0.85
    if strategy in ("weighted", "time_aware"):
        assert given[0].min() > 0.9


def test_a_member_that_cannot_be_fitted_is_left_out_and_told(caplog):
    settings = settings_of("average", base_settings={"second": {"fails": "fit"}})
    with caplog.at_level(logging.WARNING):
        model = fitted(settings, planted(200, 1))
    assert list(model.members) == ["first"]
    assert (
        "'second' is left out of the ensemble, its weight goes to the others: this member cannot be fitted"
        in caplog.text
    )
    later = planted(50, 2)
    np.testing.assert_allclose(model.predict_proba(later.features), all_answers(model.members["first"], later.features))
    both = {"first": {"fails": "fit"}, "second": {"fails": "fit"}}
    with pytest.raises(DataError, match="no member of the ensemble could be fitted"):
        fitted(settings_of("average", base_settings=both), planted(200, 1))


@pytest.mark.parametrize("strategy", ["weighted", "stacking"])
def test_a_member_that_cannot_answer_gives_its_weight_to_the_others(strategy, caplog):
    model = fitted(settings_of(strategy, base_settings={"second": {"fails": "predict"}}), planted(300, 1))
    features = planted(50, 2).features
    with caplog.at_level(logging.WARNING):
        found = model.predict_proba(features[:7])
    assert "'second' of the ensemble cannot answer" in caplog.text
    np.testing.assert_allclose(found, all_answers(model.members["first"], features[:7]))
    assert not np.allclose(model.predict_proba(features[:8])[:7], found) or strategy == "weighted"


def test_weights_by_regime_send_each_row_to_who_knows_it():
    rng = np.random.default_rng(4)
    regime = np.repeat(np.arange(12) % 2, 100)
    features = rng.normal(size=(1200, 3))
    features[:, 2] = np.where(regime == 0, -3.0, 3.0) + rng.normal(size=1200)
    up = (features[np.arange(1200), regime] > 0) ^ (rng.random(1200) < 0.05)
    lesson = lesson_with(features, up)
    lesson, later = lesson.until(900), lesson.take(np.arange(900, 1200))
    base = {"first": {"column": 0}, "second": {"column": 1}, "hmm": SMALL_HMM}
    settings = EnsembleSettings(("first", "second", "hmm"), base, "regime", n_splits=3, min_regime_rows=20)
    accuracy = {}
    for routing in ("soft", "hard"):
        model = fitted(replace(settings, regime_routing=routing), lesson)
        accuracy[routing] = model.validate(later)["accuracy"]
        given = np.stack(list(model.member_shares(later.features).values()))
        np.testing.assert_allclose(given.sum(axis=0), 1.0)
        mixed = later.features[90:110]
        assert (np.ptp(model.member_shares(mixed)["first"]) > 0.8).all()
    accuracy["one weight"] = fitted(replace(settings, strategy="weighted"), lesson).validate(later)["accuracy"]
    assert min(accuracy["soft"], accuracy["hard"]) > 0.9 > 0.85 > accuracy["one weight"]
    # The states as features of the meta learner are another way to the same.
    trees = {"meta_learner": "xgboost", "base_settings": base | {"xgboost": BASE["xgboost"]}}
    assert fitted(replace(settings, strategy="stacking", **trees), lesson).validate(later)["accuracy"] > 0.9


def test_weights_follow_a_planted_switch_once_labels_are_known():
    model = fitted(settings_of("time_aware", forgetting=0.9, learning_rate=0.5), planted(300, 1))
    later = planted(120, 3, right=np.ones(120, int))
    assert model.member_shares(later.features)["first"][0] > 0.9
    before = model.predict_proba(later.features)
    model.update(later)
    assert model.member_shares(later.features)["first"][0] < 0.1
    assert not np.allclose(model.predict_proba(later.features), before)
    with pytest.raises(ModelError, match="do not follow"):
        fitted(settings_of("weighted"), planted(300, 1)).update(later)


def test_rows_one_by_one_are_the_batch_though_a_member_fails(caplog):
    model = fitted(settings_of("weighted"), planted(300, 1))
    features = planted(20, 2).features
    stream = model.stream()
    np.testing.assert_allclose([stream.push(row) for row in features], model.predict_proba(features))
    model.members["second"]._probabilities = lambda rows: 1 / 0
    with caplog.at_level(logging.WARNING):
        found = stream.push(features[0])
    assert "'second' of the ensemble cannot answer" in caplog.text
    np.testing.assert_allclose(found, all_answers(model.members["first"], features[:1])[0])


@pytest.mark.parametrize("strategy", ["regime", "stacking"])
def test_a_filter_among_the_members_is_given_each_row_once(strategy):
    settings = EnsembleSettings(("logistic", "hmm"), {"hmm": SMALL_HMM}, strategy, n_splits=2)
    model, features = fitted(settings, planted(300, 1)), planted(30, 2).features
    answers = model.predict_proba(features)
    stream = model.stream()
    model.sources["hmm"]._probabilities = lambda rows: pytest.fail("the whole history again")
    np.testing.assert_allclose([stream.push(row) for row in features], answers)
    assert np.isnan(stream.push(np.full(3, np.nan))).all()


def test_a_higher_threshold_decides_on_fewer_rows():
    later = planted(300, 2)
    counts = []
    for threshold in (0.0, 0.6, 0.95):
        model = fitted(settings_of("average", confidence_threshold=threshold), planted(300, 1))
        counts.append(int(np.isfinite(model.decide(later.features)).sum()))
    assert counts[0] == 300 > counts[1] > counts[2]
    assert counts[2] == 0


def test_stacking_uses_no_later_row():
    rng = np.random.default_rng(0)
    lesson, columns = planted(160, 1), rng.uniform(size=(160, 2))
    columns[:30] = np.nan
    second = {"forest": lambda: get_predictor("random_forest", SMALL["random_forest"])}

    def out_of_fold(lesson, columns):
        meta = lambda: get_predictor("logistic")  # noqa: E731  # as short as it can be
        return fit_stack(columns, ("a", "b"), lesson, second, meta, ForwardFolds(2), np.random.default_rng(1))[1]

    truth = out_of_fold(lesson, columns)
    assert np.isnan(truth[:30]).all()
    assert np.isfinite(truth[-20:]).all()
    for cut in (100, 125, 140):
        other, labels = columns.copy(), lesson.labels.copy()
        other[cut + 1 :] = rng.uniform(size=(159 - cut, 2))
        later = lesson.is_known & (lesson.ends > cut)
        labels[later] = 1 - labels[later]
        changed = out_of_fold(replace(lesson, labels=labels), other)
        np.testing.assert_array_equal(truth[: cut + 1], changed[: cut + 1])
        assert not np.array_equal(truth, changed, equal_nan=True)


def test_three_levels_learn_what_no_line_sees_and_cover_what_comes(tmp_path):
    settings = EnsembleSettings(
        ("random_forest", "xgboost", "hmm"), BASE, second_level=("xgboost", "random_forest"), n_splits=3
    )
    model, later = fitted(settings, nonlinear_lesson(900, 1)), nonlinear_lesson(600, 2)
    assert model.validate(later)["accuracy"] > 0.8
    known = later.is_known
    inside = model.predict_set(later.features, 0.8)[np.flatnonzero(known), later.labels[known].astype(int)]
    assert inside.mean() == pytest.approx(0.8, abs=0.08)
    parts = model.contributions(later.features[:50])
    assert set(parts) == {"base", "random_forest", "xgboost", "hmm"}
    np.testing.assert_allclose(sum(parts.values()), model.predict_proba(later.features[:50]), atol=1e-12)
    model.save(tmp_path / "ensemble")
    again = Ensemble.load(tmp_path / "ensemble")
    np.testing.assert_array_equal(again.predict_proba(later.features), model.predict_proba(later.features))
    np.testing.assert_array_equal(again.predict_set(later.features, 0.8), model.predict_set(later.features, 0.8))


def test_numbers_are_averaged_and_their_intervals_cover(tmp_path):
    def numbers(n_rows, random_seed):
        rng = np.random.default_rng(random_seed)
        features = rng.normal(size=(n_rows, 3))
        return lesson_with(features, features[:, 0] + 0.5 * rng.normal(size=n_rows), classes=())

    lesson, later = numbers(500, 1), numbers(400, 2)
    base = {name: BASE[name] for name in ("random_forest", "xgboost")}
    settings = EnsembleSettings(("random_forest", "xgboost"), base, "weighted", n_splits=3, task="regression")
    model = fitted(settings, lesson)
    assert model.validate(later)["r2"] > 0.6
    low, high = model.predict_interval(later.features, 0.9).T
    known = later.is_known
    assert ((later.labels >= low) & (later.labels <= high))[known].mean() == pytest.approx(0.9, abs=0.06)
    np.testing.assert_allclose(sum(model.contributions(later.features).values())[:, 0], model.predict(later.features))


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "regime"])
def test_every_strategy_keeps_the_house_rules(strategy):
    settings = replace(SMALL["ensemble"], strategy=strategy, base_models=("logistic", "last_value"), base_settings={})
    subject = Subject(lambda: Ensemble(settings))
    for name in RULES:
        RULES[name](subject)


@pytest.mark.parametrize("strategy", ["weighted", "stacking"])
def test_networks_of_windows_and_models_of_rows_stand_side_by_side(strategy):
    base = {name: {**vars(SMALL[name]), "epochs": 1} for name in ("gru", "tcn")}
    settings = EnsembleSettings(
        ("gru", "tcn", "logistic"), base, strategy, second_level=("sgd",) if strategy == "stacking" else (), n_splits=2
    )
    subject = Subject(lambda: Ensemble(settings))
    assert (subject.fitted.warm_up, subject.fitted.memory) == (4, 4)
    for name in RULES:
        RULES[name](subject)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"base_models": ()}, "is empty"),
        ({"base_models": ("ensemble",)}, "itself"),
        ({"base_settings": {"xgbost": {}}}, "no member"),
        ({"strategy": "votes"}, "strategy"),
        ({"strategy": "weighted", "second_level": ("xgboost",)}, "for stacking"),
        ({"strategy": "dynamic", "task": "regression"}, "how sure a class is"),
    ],
)
def test_settings_that_cannot_be_are_refused(more, what):
    with pytest.raises(ConfigError, match=what):
        EnsembleSettings(**more)


def test_routing_needs_somebody_who_tells_regimes():
    with pytest.raises(ConfigError, match="needs a member that tells regimes"):
        fitted(settings_of("regime"), planted(200, 1))


def test_levels_above_the_first_read_single_rows():
    settings = settings_of("stacking", meta_learner="gru")
    with pytest.raises(ConfigError, match="reads more than one row"):
        fitted(settings, planted(200, 1))
