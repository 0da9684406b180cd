"""The hidden Markov model: filtered and never smoothed, states in one order, a planted chain recovered."""

from dataclasses import replace

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score

from regimegym.common.errors import ConfigError, DataError
from regimegym.supervised.checks import BAR
from regimegym.supervised.hidden_markov import FOUR_STATES, HiddenMarkov, HMMSettings, run_lengths, stretches
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.markov_filter import Gaussians, MarkovFilter, filtered, stationary
from regimegym.supervised.scores import state_agreement
from regimegym.supervised.signals import column_names, signal_columns

MEANS = np.array([[-1.2, 2.0], [-0.5, 0.5], [0.5, 0.5], [1.2, 2.0]])
SDS = np.array([[0.5, 0.4], [0.25, 0.2], [0.25, 0.2], [0.5, 0.4]])


def chain(n_rows: int, random_seed: int, means: np.ndarray = MEANS, sds: np.ndarray = SDS) -> Lesson:
    """Rows of a sticky chain, labelled by its true states."""
    rng = np.random.default_rng(random_seed)
    n_states = len(means)
    moves = rng.random(n_rows) < 0.03
    states = np.cumsum(np.where(moves, rng.integers(1, n_states, n_rows), 0)) % n_states
    features = means[states] + sds[states] * rng.normal(size=(n_rows, 2))
    rows = np.arange(n_rows)
    classes = tuple(f"true_{k}" for k in range(n_states))
    return Lesson(features, states.astype(float), rows, ("return", "volatility"), BAR * rows, None, classes)


def settings(**changes) -> HMMSettings:
    return replace(HMMSettings(features=None, n_restarts=3, n_iter=60), **changes)


@pytest.fixture(scope="module")
def fitted() -> HiddenMarkov:
    return HiddenMarkov(settings()).fit(chain(3000, 1), np.random.default_rng(0))


def random_model(rng: np.random.Generator, n_states: int, n_values: int) -> Gaussians:
    roots = rng.normal(size=(n_states, n_values, n_values))
    transition = rng.dirichlet(np.full(n_states, 0.5), n_states)
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(n_values)
    return Gaussians(rng.dirichlet(np.ones(n_states)), transition, rng.normal(size=(n_states, n_values)), covariances)


def theirs(model: Gaussians) -> GaussianHMM:
    other = GaussianHMM(len(model.start), "full", init_params="")
    other.startprob_, other.transmat_ = model.start, model.transition
    other.means_, other.covars_ = model.means, model.covariances
    return other


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 3))
def test_the_filter_is_the_posterior_recomputed_on_every_prefix(random_seed, n_states, n_values):
    rng = np.random.default_rng(random_seed)
    model = random_model(rng, n_states, n_values)
    rows = 2.0 * rng.normal(size=(25, n_values))
    found = filtered(model, rows)
    other = theirs(model)
    prefixes = [other.predict_proba(rows[: t + 1])[-1] for t in range(25)]
    np.testing.assert_allclose(found.probabilities, prefixes, atol=1e-11)
    assert found.log_likelihood == pytest.approx(other.score(rows), rel=1e-10)


@given(st.integers(0, 10_000), st.integers(1, 24))
def test_bars_one_by_one_are_the_batch(random_seed, cut):
    rng = np.random.default_rng(random_seed)
    model = random_model(rng, 3, 2)
    rows = rng.normal(size=(25, 2))
    batch = filtered(model, rows).probabilities
    one = MarkovFilter(model)
    np.testing.assert_array_equal([one.push(row) for row in rows], batch)
    two = MarkovFilter(model)
    np.testing.assert_array_equal(
        np.vstack([two.run(rows[:cut]).probabilities, two.run(rows[cut:]).probabilities]), batch
    )


def test_what_underflows_in_one_bar_counts_in_the_next():
    """A state that all but died out must be able to come back: all in logarithms, beside an all-logarithm oracle."""
    model = Gaussians(
        np.array([0.5, 0.5]), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0], [60.0]]), np.ones((2, 1, 1))
    )
    rows = np.array([[0.0], [5.0], [55.0], [60.0], [30.1]])
    log_belief = np.log(model.start)
    with np.errstate(divide="ignore"):
        log_transition = np.log(model.transition)
    expected = []
    for t, row in enumerate(rows):
        ahead = log_belief if t == 0 else logsumexp(log_belief[:, None] + log_transition, axis=0)
        density = [multivariate_normal(model.means[k], model.covariances[k]).logpdf(row) for k in range(2)]
        log_belief = ahead + density
        log_belief -= logsumexp(log_belief)
        expected.append(np.exp(log_belief))
    found = filtered(model, rows).probabilities
    assert expected[0][1] == 0.0  # e^−1800 is no float64
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[-1, 1] > 0.99


def test_far_observations_leave_probabilities():
    model = random_model(np.random.default_rng(1), 4, 2)
    found = filtered(model, np.array([[1e6, -1e6], [0.0, 0.0], [1e150, 0.0]]))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)


def test_a_missing_bar_is_one_step_of_the_chain():
    model = random_model(np.random.default_rng(2), 3, 2)
    rows = np.array([[0.3, 0.1], [np.nan, 1.0], [np.nan, np.nan]])
    found = filtered(model, rows).probabilities
    np.testing.assert_allclose(found[1], found[0] @ model.transition)
    np.testing.assert_allclose(found[2], found[1] @ model.transition)


def test_a_long_run_comes_to_the_stationary_distribution():
    transition = np.random.default_rng(3).dirichlet(np.ones(4), 4)
    found = stationary(transition)
    np.testing.assert_allclose(found @ transition, found, atol=1e-14)
    np.testing.assert_allclose(stationary(np.array([[0.0, 1.0], [1.0, 0.0]])), [0.5, 0.5])


def test_a_planted_chain_is_recovered_from_filtered_probabilities_of_later_bars(fitted):
    scores = fitted.validate(chain(2000, 2))
    assert scores["accuracy"] >= 0.9
    assert scores["ari"] >= 0.8
    assert fitted.classes == FOUR_STATES


def test_states_have_the_same_names_whatever_the_random_seed(fitted):
    later = chain(500, 3)
    for random_seed in (11, 12, 13):
        other = HiddenMarkov(settings()).fit(chain(3000, 1), np.random.default_rng(random_seed))
        agree = other.predict(later.features) == fitted.predict(later.features)
        assert agree.mean() > 0.98
        np.testing.assert_allclose(other.model.means, fitted.model.means, atol=0.1)


def test_states_are_ordered_by_mean_over_sd(fitted):
    means = fitted.model.means * fitted.scaler.scale + fitted.scaler.mean
    np.testing.assert_allclose(means[np.argsort([-2.4, -2.0, 2.0, 2.4])], MEANS, atol=0.15)


@pytest.mark.parametrize("n_states", [2, 3])
def test_bic_chooses_as_many_states_as_there_are(n_states):
    market = chain(1500, 4, MEANS[:n_states], SDS[:n_states])
    chosen = HiddenMarkov(settings(n_states=None, candidates=(2, 3, 4), n_restarts=2)).fit(
        market, np.random.default_rng(0)
    )
    assert len(chosen.classes) == n_states
    assert min(chosen.criteria, key=chosen.criteria.get) == str(n_states)


def test_full_covariances_see_a_correlation_that_diagonal_ones_miss():
    rng = np.random.default_rng(5)
    states = (np.arange(2000) // 100) % 2
    first, second = rng.normal(size=(2, 2000))
    features = np.column_stack([first, np.where(states == 1, 1, -1) * 0.9 * first + 0.4 * second])
    rows = np.arange(2000)
    market = Lesson(features, states.astype(float), rows, ("a", "b"), BAR * rows, None, ("x", "y"))
    scores = [
        HiddenMarkov(settings(n_states=2, covariance=kind)).fit(market, np.random.default_rng(0)).validate(market)
        for kind in ("full", "diag")
    ]
    assert scores[0]["accuracy"] > 0.9
    assert scores[0]["bic"] < scores[1]["bic"]


def test_features_of_the_states_are_causal_and_what_they_say(fitted):
    market = chain(300, 6)
    whole = fitted.state_features(market.features)
    found = fitted.predict_proba(market.features)
    assert list(whole)[:4] == [f"probability_{name}" for name in FOUR_STATES]
    np.testing.assert_allclose(sum(whole[f"next_{name}"] for name in FOUR_STATES), 1.0)
    stay = (found * np.diagonal(fitted.model.transition)).sum(axis=1)
    np.testing.assert_allclose(whole["leaving"], 1 - stay)
    assert whole["change"][0] == 0.0
    assert ((whole["change"] >= 0) & (whole["change"] <= 1)).all()
    for cut in (1, 57, 299):
        part = fitted.state_features(market.features[:cut])
        for name, column in part.items():
            np.testing.assert_array_equal(column, whole[name][:cut])


def test_an_agent_sees_the_states_signals_that_are_asked_for():
    asked = settings(n_restarts=1, state_signals=("change", "next", "next"))
    model = HiddenMarkov(asked).fit(chain(800, 6), np.random.default_rng(0))
    market = chain(200, 7)
    assert model.further_signals == (*[f"next_{name}" for name in FOUR_STATES], "change")
    told = model.state_features(market.features)
    found = model.further_columns(market.features)
    np.testing.assert_array_equal(found.T, [told[name] for name in model.further_signals])
    assert column_names(model) == (*FOUR_STATES, *model.further_signals)
    columns = signal_columns(model, market.features, market.names)
    np.testing.assert_array_equal(columns, np.hstack([model.predict_proba(market.features), found]))
    with pytest.raises(ConfigError, match=r"'predictor\.state_signals' must be one of"):
        settings(state_signals=("leave",))


def test_a_variance_at_its_floor_ends_the_fit_without_a_word(caplog):
    rng = np.random.default_rng(0)
    steps = np.repeat(rng.normal(size=40), 10)
    features = np.column_stack([steps, 1e-9 * rng.normal(size=400)])
    rows = np.arange(400)
    lesson = Lesson(features, np.full(400, np.nan), rows, ("a", "b"), BAR * rows)
    HiddenMarkov(settings(n_states=3, least_variance=0.5)).fit(lesson, np.random.default_rng(0))
    assert not caplog.records


def test_time_in_state_counts_from_the_last_change():
    np.testing.assert_array_equal(run_lengths(np.array([1.0, 1, 0, 0, 0, 2])), [1, 2, 1, 2, 3, 1])
    assert stretches(np.array([False, True, True, False, True])) == [2, 1]


def test_rows_without_observations_are_left_out_of_the_fit():
    market = chain(1500, 7)
    features = market.features.copy()
    features[700:750] = np.nan
    model = HiddenMarkov(settings(n_restarts=1)).fit(replace(market, features=features), np.random.default_rng(0))
    assert model.validate(chain(500, 8))["accuracy"] > 0.9


def test_a_stream_is_the_batch(fitted):
    market = chain(50, 9)
    stream = fitted.stream()
    found = [stream.push(row) for row in market.features]
    np.testing.assert_array_equal(found, fitted.predict_proba(market.features))


def test_a_feature_that_is_not_there_names_the_nearest():
    with pytest.raises(DataError) as error:
        HiddenMarkov(HMMSettings(features=("retur",))).fit(chain(100, 1), np.random.default_rng(0))
    assert error.value.nearest == "return"
    with pytest.raises(ConfigError, match="may not be empty"):
        HMMSettings(features=())


def test_agreement_is_over_the_best_matching_and_the_rand_index_is_scikit_learns():
    rng = np.random.default_rng(9)
    labels, states = rng.integers(0, 4, 300), rng.integers(0, 5, 300)
    assert state_agreement(labels, states)["ari"] == pytest.approx(adjusted_rand_score(labels, states))
    assert state_agreement(labels, (labels + 2) % 4) == {"accuracy": 1.0, "ari": pytest.approx(1.0)}
