"""What the report says of values and of the regime detector, against the same worked out by hand."""

import numpy as np
import pytest
from handmade import make_tape
from scipy.stats import spearmanr

from regimegym.agents.decision.roles import action_roles
from regimegym.common.policy import Decision
from regimegym.evaluate.report_calibration import balanced_accuracy, calibration_content
from regimegym.features.splits import RowRange

N, ROWS, HORIZON, COST = 300, RowRange(100, 260), 24, 0.001
LABELS = np.where(np.arange(N) % 10 < 7, 3, np.where(np.arange(N) % 10 < 9, 0, 1))
LABELS[100:103] = -1
TAPE = make_tape(100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, N))), regimes=LABELS)


class Told:
    """Values and probabilities by row of the tape."""

    def __init__(self, scores, probabilities):
        self.scores, self.probabilities = scores, probabilities

    def on_tape(self, tape, start, stop):
        return self

    def act(self, observations, state, episode_starts):
        rows = observations["row"].reshape(-1)
        told = [None if part is None else part[rows] for part in (self.scores, self.probabilities)]
        return Decision(np.zeros(len(rows), np.int64), told[0], regime_probabilities=told[1]), state


def content(scores=None, probabilities=None):
    roles = action_roles(np.array([np.nan, -1.0, 1.0]))  # HOLD, SELL, BUY
    return calibration_content(Told(scores, probabilities), TAPE, ROWS, 30, roles, COST, HORIZON)


def test_the_detector_is_counted_against_the_known_labels():
    """It knows oscillations always, uptrends half of the time, downtrends never."""
    stated = LABELS.clip(0)
    stated[(LABELS == 0) & (np.arange(N) % 10 == 7)] = 3
    stated[LABELS == 1] = 3
    found = content(probabilities=np.eye(4)[stated])["regimes"]
    rows = [row for row in range(100, 260 - 1 - HORIZON) if LABELS[row] >= 0]
    truth = [int(LABELS[row]) for row in rows]
    hits = [label for row, label in zip(rows, truth, strict=True) if stated[row] == label]
    assert found["agreement"] == len(hits) / len(truth)
    assert found["majority"] == truth.count(3) / len(truth)
    assert found["n_labels"] == 3
    shares = [hits.count(label) / truth.count(label) for label in (0, 1, 3)]
    assert shares[1:] == [0, 1]
    assert found["balanced"] == pytest.approx(sum(shares) / 3)
    assert {name: sum(one["counts"]) for name, one in found["by_regime"].items()} == dict.fromkeys(
        ("uptrend", "downtrend", "plateau", "oscillating"), len(truth)
    )


def test_saying_always_the_commonest_label_is_balanced_at_chance():
    truth = np.array([3, 3, 3, 3, 3, 0, 1, 2])
    assert balanced_accuracy(np.full(8, 3), truth) == 0.25
    assert balanced_accuracy(truth, truth) == 1.0
    assert balanced_accuracy(np.full(8, 3), np.full(8, 3)) == 1.0  # one label alone: nothing to tell apart


def test_each_action_is_paired_with_what_its_weight_earned_after_costs():
    rows = np.arange(100, 260 - 1 - HORIZON)
    moved = np.log(TAPE.open[rows + 1 + HORIZON] / TAPE.open[rows + 1])
    told = np.random.default_rng(1).normal(size=(N, 3))
    told[rows, 2] += 50 * moved  # BUY knows
    found = content(scores=told)
    assert found["n"] == len(rows)
    assert [one["label"] for one in found["actions"]] == ["short 100 %", "long 100 %"]
    for one, weight, action in zip(found["actions"], (-1.0, 1.0), (1, 2), strict=True):
        earned = weight * moved - 2 * COST
        assert one["rank_correlation"] == pytest.approx(spearmanr(told[rows, action], earned).statistic)
        assert np.mean(one["realised"]) == pytest.approx(earned.mean(), abs=0.002)
    assert found["actions"][1]["rank_correlation"] > 0.5
    assert found["regimes"] is None


def test_who_states_nothing_or_is_asked_too_little_is_left_out():
    assert content() is None
    roles = action_roles(np.array([np.nan, 0.0, 1.0]))
    assert calibration_content(Told(np.zeros((N, 3)), None), TAPE, RowRange(0, 20), 30, roles, COST, HORIZON) is None
