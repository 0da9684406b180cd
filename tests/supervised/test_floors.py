"""The floors of numbers: the mean of the lesson, and the mean behind moves of the same sign."""

import numpy as np
import pytest

from regimegym.common.errors import ConfigError
from regimegym.supervised.lesson import Lesson
from regimegym.supervised.registry import get_predictor, load_predictor

ROWS = np.arange(6)
FEATURES = np.array([[1.0], [2.0], [-1.0], [-3.0], [4.0], [-2.0]])
LESSON = Lesson(FEATURES, np.array([0.1, 0.3, -0.2, -0.4, np.nan, 0.0]), ROWS, ("x",), ROWS)


def fitted(name):
    return get_predictor(name, {"task": "regression"}).fit(LESSON, np.random.default_rng(0))


def test_the_majority_of_numbers_is_their_mean(tmp_path):
    model = fitted("majority")
    np.testing.assert_allclose(model.predict(FEATURES), np.full(6, -0.04))
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(load_predictor(tmp_path / "m").predict(FEATURES), model.predict(FEATURES))


def test_the_last_value_answers_with_the_mean_behind_moves_of_its_sign(tmp_path):
    model = fitted("last_value")
    # A stillness never came: it says what all rows say.
    np.testing.assert_allclose(model.predict(np.array([[9.0], [-9.0], [0.0]])), [0.2, -0.2, -0.04])
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(load_predictor(tmp_path / "m").predict(FEATURES), model.predict(FEATURES))


@pytest.mark.parametrize("name", ["majority", "last_value"])
def test_an_unknown_task_is_refused(name):
    with pytest.raises(ConfigError, match=r"predictor\.task"):
        get_predictor(name, {"task": "guessing"})
