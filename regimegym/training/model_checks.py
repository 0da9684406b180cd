"""What a model does where the right answer is known, and where its inputs are not what they were."""

from typing import Any

import numpy as np

from regimegym.agents.decision.fit import ask
from regimegym.common.errors import DataError
from regimegym.common.seeding import generator
from regimegym.evaluate.prediction_stress import stress_predictions
from regimegym.evaluate.regime_detection import detection
from regimegym.features.splits import RowRange
from regimegym.features.synthetic.catalogue import draw_world
from regimegym.training.subject import Subject

WORLDS = ("regime_switches", "regime")  # whose regimes are planted
WORLD_BARS = 2_000
MOST_ROWS = 2_000  # of the judged part that are shocked, the last ones


def model_checks(subject: Subject) -> dict[str, Any]:
    """`shocks`: decisions under shocked features. `detection`: regimes against the truth of worlds.

    A world that the model cannot see (a feature needs another market) is left out.
    """
    return {"shocks": _shocks(subject), "detection": [row for name in WORLDS for row in _detection(subject, name)]}


def _shocks(subject: Subject) -> list[dict[str, Any]]:
    rows = RowRange(max(subject.rows.start, subject.rows.stop - MOST_ROWS), subject.rows.stop)
    if rows.count < 3:
        return []
    policy = subject.trader.policy(subject.market.bars.symbol)
    return [one._asdict() for one in stress_predictions(policy, subject.tape, rows, subject.card.window)]


def _detection(subject: Subject, name: str) -> list[dict[str, Any]]:
    """The labels, and where the policy states regimes its detector, against the truth of a fresh draw of a world."""
    world = draw_world(name, WORLD_BARS, generator(subject.card.random_seed, f"known-{name}"))
    truth = world.truth.regimes
    if truth is None:
        return []
    try:
        tape = subject.trader.tape(world.bars)
        rows = RowRange(tape.segments[-1].first_row, len(tape))
        stated = ask(subject.trader.policy(world.bars.symbol), tape, rows, subject.card.window, 1).decision
    except DataError:
        return []  # these bars lack what a feature needs
    found = {"labels": (tape.regimes, truth)}
    if stated.regime_probabilities is not None:
        named = np.asarray(stated.regime_probabilities).argmax(axis=1)
        found["detector"] = (named, truth[rows.start : rows.start + len(named)])
    return [{"world": name, "who": who} | _judged(*pair) for who, pair in found.items()]


def _judged(labels: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    one = detection(labels, truth)
    return {
        "n": one.n_bars,
        "adjusted_rand": one.adjusted_rand,
        "accuracy": one.accuracy,
        "plain_accuracy": one.plain_accuracy,
        "median_delay": one.median_delay,
        "missed": one.missed,
    }
