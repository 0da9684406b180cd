"""The house rules: what holds for every predictor, one's own among them.

check_predictor(MyPredictor)                                # with its default settings
check_predictor(lambda: MyPredictor(MySettings(depth=3)))   # or with others
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from regimegym.common.errors import ModelError, RegimeGymError
from regimegym.supervised.base import CLASSIFICATION, Predictor
from regimegym.supervised.lesson import Lesson

HORIZON = 3
NEAR = 1e-6  # a float32 network may round another way in another batch
RULES: "dict[str, Callable[[Subject], None]]" = {}
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
BAR = 3_600_000_000_000
STREAMED = 40  # rows that are given one by one


class Subject:
    """A predictor under examination, with a lesson and later rows of the same market.

    Args:
        factory: makes new, unfitted predictors, all alike.
        random_seed: of the market and of everything random in the predictor.
        n_rows: of the lesson, and of the later rows.
    """

    def __init__(self, factory: Callable[[], Predictor], random_seed: int = 0, n_rows: int = 160) -> None:
        self.factory = factory
        self.random_seed = random_seed
        self.task = factory().task
        market = planted_lesson(2 * n_rows, random_seed, self.task)
        self.lesson, self.later = market.until(n_rows), market.take(np.arange(n_rows, 2 * n_rows))

    @cached_property
    def fitted(self) -> Predictor:
        """One that has learned the lesson; no rule may change it."""
        return self.learn(self.lesson)

    @cached_property
    def answers(self) -> np.ndarray:
        """What it says about the later rows."""
        return self.ask(self.fitted, self.later.features)

    def learn(self, lesson: Lesson) -> Predictor:
        """A new one that has learned `lesson`; the same every time."""
        return self.factory().fit(lesson, np.random.default_rng(self.random_seed))

    def ask(self, predictor: Predictor, features: np.ndarray, names: tuple[str, ...] | None = None) -> np.ndarray:
        """Its probabilities (N, C), or its values as (N, 1)."""
        if self.task == CLASSIFICATION:
            return predictor.predict_proba(features, names)
        return predictor.predict(features, names)[:, None]

    def tell(self, features: np.ndarray) -> np.ndarray:
        """(N, K) all that an agent may see of the fitted one: its answers, then its further signals."""
        return np.hstack([self.ask(self.fitted, features), self.fitted.further_columns(features)])


def planted_lesson(n_rows: int, random_seed: int, task: str = CLASSIFICATION) -> Lesson:
    """Four features, of which the first two say something about labels that are known three rows later."""
    rng = np.random.default_rng(random_seed)
    features = rng.normal(size=(n_rows, 4))
    signal = features[:, 0] + 0.5 * features[:, 1] + 0.5 * rng.normal(size=n_rows)
    labels = (signal > 0).astype(np.float64) if task == CLASSIFICATION else signal
    labels[-HORIZON:] = np.nan
    ends = np.minimum(np.arange(n_rows) + HORIZON, n_rows - 1)
    classes = ("down", "up") if task == CLASSIFICATION else ()
    return Lesson(features, labels, ends, ("x0", "x1", "x2", "x3"), BAR * np.arange(n_rows), None, classes)


def check_predictor(factory: Callable[[], Predictor], random_seed: int = 0, n_rows: int = 160) -> None:
    """Raise ModelError `house-rule` at the first rule that predictors of `factory` break; arguments as Subject."""
    subject = Subject(factory, random_seed, n_rows)
    for rule in RULES.values():
        rule(subject)


def _rule(check: Callable[[Subject], None]) -> Callable[[Subject], None]:
    RULES[check.__name__] = check
    return check


def _require(is_kept: bool, subject: Subject, what: str) -> None:
    if not is_kept:
        name = type(subject.factory()).__name__
        raise ModelError("house-rule", f"{name} breaks a rule of predictors: {what}")


@contextmanager
def _refused(subject: Subject, what: str) -> Iterator[None]:
    """The block must end with one of our errors."""
    try:
        yield
    except RegimeGymError:
        return
    _require(False, subject, f"{what} must be refused")


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=0.0, atol=NEAR, equal_nan=True)


@_rule
def answers_have_the_rows_of_the_question(subject: Subject) -> None:
    """As many rows as were asked about, NaN in the warm-up and an answer behind it."""
    found, warm_up = subject.answers, subject.fitted.warm_up
    _require(len(found) == len(subject.later), subject, "an answer for every row")
    _require(found.dtype == np.float64, subject, "answers are float64")
    _require(bool(np.isnan(found[:warm_up]).all()), subject, f"NaN on the {warm_up} rows of the warm-up")
    _require(bool(np.isfinite(found[warm_up:]).all()), subject, "an answer on every row behind the warm-up")
    further = subject.fitted.further_columns(subject.later.features)
    expected = (len(subject.later), len(subject.fitted.further_signals))
    _require(further.shape == expected, subject, "a column for every further signal")
    _require(bool(np.isfinite(further[warm_up:]).all()), subject, "a further signal on every row behind the warm-up")


@_rule
def probabilities_lie_on_the_simplex(subject: Subject) -> None:
    """Columns are the declared classes, rows sum to 1, and `predict` is the most probable class."""
    predictor, warm_up = subject.fitted, subject.fitted.warm_up
    if subject.task != CLASSIFICATION:
        return
    found = subject.answers[warm_up:]
    _require(found.shape[1] == len(predictor.classes) >= 2, subject, "a column for every declared class")
    _require(bool((found >= 0).all()), subject, "no negative probability")
    _require(bool(np.allclose(found.sum(axis=1), 1.0, atol=NEAR)), subject, "probabilities sum to 1")
    chosen = predictor.predict(subject.later.features)[warm_up:]
    _require(bool((chosen == found.argmax(axis=1)).all()), subject, "predict is the most probable class")


@_rule
def the_future_changes_no_answer(subject: Subject) -> None:
    """Replacing later rows by noise, or leaving them out, changes nothing before them."""
    features, n_rows = subject.later.features, len(subject.later)
    told = subject.tell(features)
    noise = np.random.default_rng(subject.random_seed + 1).normal(scale=3.0, size=features.shape)
    for cut in (n_rows // 3, 2 * n_rows // 3, n_rows - 1):
        other = np.where(np.arange(n_rows)[:, None] < cut, features, noise)
        kept = subject.tell(other)[:cut]
        _require(_same(kept, told[:cut]), subject, f"rows after {cut} change the answers before them")
        alone = subject.tell(features[:cut])
        _require(_same(alone, told[:cut]), subject, f"the first {cut} rows alone give other answers")


@_rule
def a_stream_is_the_batch(subject: Subject) -> None:
    """Rows that come one by one are answered as all of them at once."""
    if subject.fitted.memory is None and type(subject.fitted).stream is Predictor.stream:
        return
    rows, stream = subject.later.features[:STREAMED], subject.fitted.stream()
    found = np.array([stream.push(row) for row in rows])
    _require(_same(found, subject.answers[:STREAMED]), subject, "rows one by one have other answers")


@_rule
def the_same_generator_gives_the_same_predictor(subject: Subject) -> None:
    """Fitting is repeatable, and leaves the global generators alone."""
    before = _global_states()
    again = subject.ask(subject.learn(subject.lesson), subject.later.features)
    _require(_same(again, subject.answers), subject, "the same generator gives another predictor")
    _require(_global_states() == before, subject, "fitting draws from a global generator")


def _global_states() -> list[bytes]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  # looked at, not drawn from
    states = [str((kind, rest)).encode() + np.asarray(keys).tobytes()]
    torch = sys.modules.get("torch")
    return states if torch is None else [*states, torch.get_rng_state().numpy().tobytes()]


@_rule
def inputs_are_not_changed(subject: Subject) -> None:
    """Features that were handed in stay as they are, and may be read-only."""
    features = subject.later.features.copy()
    subject.ask(subject.fitted, features)
    _require(bool((features == subject.later.features).all()), subject, "predicting changes the features")
    features.flags.writeable = False
    subject.ask(subject.fitted, features)


@_rule
def a_saved_predictor_predicts_the_same(subject: Subject) -> None:
    """Names, classes and predictions come back, and no file is a pickle."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "predictor"
        subject.fitted.save(place)
        for path in place.rglob("*"):
            head = path.read_bytes()[:9] if path.is_file() else b""
            # A safetensors file begins with a length, which may be any number, and then its JSON.
            is_pickle = head.startswith(PICKLES) and head[8:9] != b"{"
            _require(not is_pickle, subject, f"{path.name} is a pickle or a zip")
        again = type(subject.fitted).load(place)
    before = subject.fitted
    same = [getattr(again, name) == getattr(before, name) for name in ("settings", "names", "classes", "horizon")]
    _require(all(same), subject, "settings, names, classes and horizon come back")
    found = subject.ask(again, subject.later.features)
    _require(np.array_equal(found, subject.answers, equal_nan=True), subject, "a loaded predictor predicts the same")
    importance = again.feature_importance() == before.feature_importance()
    _require(importance, subject, "a loaded predictor has the same importance")


@_rule
def names_are_realigned_or_refused(subject: Subject) -> None:
    """Another order is the same question; a missing or extra name is refused, and so is another width."""
    order = [2, 0, 3, 1]
    shuffled = tuple(subject.later.names[i] for i in order)
    found = subject.ask(subject.fitted, subject.later.features[:, order], shuffled)
    _require(_same(found, subject.answers), subject, "features in another order are realigned by name")
    with _refused(subject, "another name"):
        subject.ask(subject.fitted, subject.later.features, ("x0", "x1", "x2", "other"))
    with _refused(subject, "a feature too few"):
        subject.ask(subject.fitted, subject.later.features[:, 1:])


@_rule
def infinite_features_are_refused(subject: Subject) -> None:
    """±∞ is no value, neither to learn from nor to be asked about."""
    features = subject.lesson.features.copy()
    features[5, 1] = np.inf
    with _refused(subject, "an infinite feature in a lesson"):
        subject.learn(replace(subject.lesson, features=features))
    with _refused(subject, "an infinite feature in a question"):
        subject.ask(subject.fitted, features)


@_rule
def a_missing_feature_spoils_its_own_row_alone(subject: Subject) -> None:
    """A NaN row has no answer unless NaN is accepted; no other row of a row-wise predictor changes."""
    predictor, row = subject.fitted, len(subject.later) // 2
    features = subject.later.features.copy()
    features[row, 0] = np.nan
    found = subject.ask(predictor, features)
    _require(_same(found[:row], subject.answers[:row]), subject, "a NaN changes earlier answers")
    if predictor.row_wise:
        _require(_same(found[row + 1 :], subject.answers[row + 1 :]), subject, "a NaN changes other rows")
    answer_expected = predictor.accepts_nan
    _require(bool(np.isfinite(found[row]).all()) == answer_expected, subject, "a NaN is answered iff it is accepted")
    if not predictor.accepts_nan:
        with _refused(subject, "NaN in a lesson"):
            subject.learn(replace(subject.lesson, features=features))


@_rule
def one_class_only_is_always_predicted(subject: Subject) -> None:
    """A lesson with a single class is no error, and the other class keeps its column."""
    if subject.task != CLASSIFICATION or not subject.factory().needs_labels:
        return
    labels = np.where(subject.lesson.is_known, 1.0, np.nan)
    predictor = subject.learn(replace(subject.lesson, labels=labels))
    found = subject.ask(predictor, subject.later.features)[predictor.warm_up :]
    _require(found.shape == (len(found), 2) and bool((found[:, 1] > 0.5).all()), subject, "one class is predicted")


@_rule
def a_constant_column_is_no_error(subject: Subject) -> None:
    """A feature that never moves is learned from like any other."""
    features = subject.lesson.features.copy()
    features[:, 3] = 7.0
    predictor = subject.learn(replace(subject.lesson, features=features))
    found = subject.ask(predictor, subject.later.features)[predictor.warm_up :]
    _require(bool(np.isfinite(found).all()), subject, "a constant column leaves no answer")


@_rule
def a_lesson_without_labels_is_refused(subject: Subject) -> None:
    """Whoever needs labels says so."""
    if subject.factory().needs_labels:
        with _refused(subject, "a lesson without labels"):
            subject.learn(replace(subject.lesson, labels=np.full(len(subject.lesson), np.nan)))


@_rule
def an_unfitted_predictor_says_so(subject: Subject) -> None:
    """No answer, no importance and no folder before fitting."""
    fresh = subject.factory()
    with _refused(subject, "a question before fitting"):
        subject.ask(fresh, subject.later.features)
    with _refused(subject, "saving before fitting"), TemporaryDirectory() as folder:
        fresh.save(Path(folder) / "predictor")


@_rule
def importance_and_explanations_name_the_features(subject: Subject) -> None:
    """Importance is a share of each feature; an explanation has a finite number for each."""
    importance = subject.fitted.feature_importance()
    _require(tuple(importance) == subject.lesson.names, subject, "importance names the features in order")
    total = sum(importance.values())
    _require(min(importance.values()) >= 0 and min(abs(total), abs(total - 1)) < NEAR, subject, "shares sum to 1")
    explained = subject.fitted.explain_prediction(subject.later.features, len(subject.later) - 1)
    _require(tuple(explained) == subject.lesson.names, subject, "an explanation names the features in order")
    _require(bool(np.isfinite(list(explained.values())).all()), subject, "explanations are finite")


@_rule
def both_names_of_a_method_do_the_same(subject: Subject) -> None:
    """train, get_metrics, get_feature_importance, get_hyperparameters, save_checkpoint, load_checkpoint."""
    predictor = subject.factory().train(subject.lesson, np.random.default_rng(subject.random_seed))
    _require(_same(subject.ask(predictor, subject.later.features), subject.answers), subject, "train is fit")
    metrics, validated = predictor.get_metrics(subject.later), predictor.validate(subject.later)
    _require(str(metrics) == str(validated) and len(metrics) > 2, subject, "get_metrics is validate")
    same = predictor.get_feature_importance() == predictor.feature_importance()
    same &= predictor.get_hyperparameters() == predictor.hyperparameters()
    _require(same, subject, "the get_ methods are the methods")
    with TemporaryDirectory() as folder:
        predictor.save_checkpoint(Path(folder) / "predictor")
        again = type(predictor).load_checkpoint(Path(folder) / "predictor")
    _require(_same(subject.ask(again, subject.later.features), subject.answers), subject, "a checkpoint is a save")
