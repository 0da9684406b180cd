"""DEFINITIONS §7: what is drawn how often, what it is worth, and what updates may do."""

import logging
import warnings

import numpy as np
import pytest
import torch
from markets import feed_rows, make_buffer, number_tape
from scipy.stats import chisquare

from regimegym.common.errors import ConfigError, RegimeGymError
from regimegym.replay.settings import ReplaySettings
from regimegym.replay.store import split_capacity

FILL = (9000, 900, 90, 10)
N_ROWS = 10_000
BY_REGIME = number_tape(n_rows=N_ROWS + 2, regimes=np.append(np.repeat(np.arange(4), FILL), [3, 3]))
VALUES = np.repeat([1.0, 4.0, 15.0, 40.0], FILL)


def filled(rows=None, size=40_000, random_seed=0, **settings):
    """A buffer (regime replay) with one transition of each of `rows`, and those rows by slot."""
    buffer = make_buffer([BY_REGIME], size, n_envs=1, random_seed=random_seed, **{"kind": "regime"} | settings)
    feed_rows(buffer, np.arange(N_ROWS) if rows is None else rows)
    return buffer


def rows_by_slot(buffer) -> np.ndarray:
    """(capacity,) row of each slot; −1 where nothing is held."""
    rows = np.full(len(buffer.probabilities()), -1)
    rows[buffer.probabilities() > 0] = buffer.stored.reference
    return rows


def set_errors(buffer, error_of_row) -> None:
    """Give every transition the TD error of its row."""
    slots = np.flatnonzero(buffer.probabilities() > 0)
    born = buffer._store.words[slots, 1].astype(np.int64)
    buffer.update_priorities(slots, born, error_of_row(rows_by_slot(buffer)[slots]))


def correlated(rows):
    return VALUES[rows] * (0.5 + (rows % 7) / 6) / 10


def drawn(buffer, n_batches=400, batch_size=256):
    """Slots and importance weights of many draws."""
    batches = [buffer.draw(batch_size) for _ in range(n_batches)]
    return np.concatenate([b.slots for b in batches]), np.concatenate([b.weights.numpy() for b in batches])


@pytest.mark.parametrize("kind", ["regime", "prioritized"])
def test_frequencies_are_those_of_the_definition(kind):
    rows = np.concatenate([np.arange(40), 9000 + np.arange(30), 9900 + np.arange(20), 9990 + np.arange(10)])
    buffer = filled(rows, size=200, kind=kind)
    set_errors(buffer, lambda r: correlated(r))
    p = (np.minimum(correlated(rows_by_slot(buffer)), 10.0) + 1e-5) ** 0.6
    regime = np.searchsorted(np.cumsum(FILL), rows_by_slot(buffer), side="right")
    held = rows_by_slot(buffer) >= 0
    expected = np.zeros(200)
    for r in range(4):
        own = held & (regime == r) if kind == "regime" else held
        expected[own] = p[own] / p[own].sum() * (0.25 if kind == "regime" else 1.0)
    np.testing.assert_allclose(buffer.probabilities(), expected, rtol=1e-12)
    slots, _ = drawn(buffer)
    counts = np.bincount(slots, minlength=200)
    assert not counts[~held].any()
    assert chisquare(counts[held], expected[held] * len(slots)).pvalue > 1e-4
    # Within a tree draws are free; between the regimes systematic rounding leaves less than chance.
    if kind == "regime":
        assert np.bincount(regime[slots]).tolist() == [len(slots) // 4] * 4


def target_over_probability(buffer, is_target) -> np.ndarray:
    """(capacity,) q(i)/P(i), with q = 1/N or w_r/N_r; NaN where nothing is held."""
    rows = rows_by_slot(buffer)
    regime = np.searchsorted(np.cumsum(FILL), rows, side="right")
    target = 0.25 / np.array(FILL)[regime] if is_target == "balanced" else np.full(len(rows), 1 / N_ROWS)
    return np.where(rows >= 0, target, np.nan) / np.where(rows >= 0, buffer.probabilities(), 1.0)


@pytest.mark.parametrize("is_target", ["uniform", "balanced"])
def test_weighted_means_are_unbiased_when_values_go_with_priorities(is_target):
    buffer = filled(is_target=is_target)
    set_errors(buffer, correlated)
    buffer.anneal(1.0)
    assert buffer.beta == 1.0
    values = correlated(np.arange(N_ROWS)) + VALUES
    by_regime = np.mean([part.mean() for part in np.split(values, np.cumsum(FILL)[:-1])])
    assert abs(values.mean() - by_regime) > 10  # the two objectives are told apart
    slots, weights = drawn(buffer, 2000)
    constant = np.nanmax(target_over_probability(buffer, is_target))  # what weights were divided by
    found = (constant * weights * values[rows_by_slot(buffer)[slots]]).mean()
    assert found == pytest.approx(by_regime if is_target == "balanced" else values.mean(), rel=0.02)


@pytest.mark.parametrize("is_target", ["uniform", "balanced"])
def test_weights_follow_the_formula_with_the_maximum_of_the_whole_buffer(is_target):
    buffer = filled(is_target=is_target)
    set_errors(buffer, correlated)
    buffer.beta = 0.7
    expected = target_over_probability(buffer, is_target) ** 0.7
    slots, weights = drawn(buffer, 20)
    np.testing.assert_allclose(weights, (expected / np.nanmax(expected))[slots], rtol=1e-5)
    assert weights.max() <= 1.0


def test_a_transition_has_the_same_weight_in_every_batch():
    buffer = filled(rows=np.r_[np.arange(300), 9000:9100, 9900:9990], size=4000)
    set_errors(buffer, correlated)
    slots, weights = drawn(buffer, 50, 64)
    for slot in np.unique(slots):
        assert len(set(weights[slots == slot].tolist())) == 1


@pytest.mark.parametrize(
    "rows",
    [[0], [9995], [0, 9995], [9000, 9900, 9990], [0, 1, 2, 9000], [*range(500), 9000, 9900, 9990]],
)
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_a_batch_has_its_size_whatever_is_filled(rows, batch_size):
    batch = filled(np.array(rows), size=400).draw(batch_size)
    assert batch.slots.shape == (batch_size,)
    assert batch.market.shape[0] == batch_size
    assert set(batch.references[0].tolist()) <= set(rows)


def test_an_allocation_of_ten_has_the_right_means_and_always_adds_up():
    buffer = filled(size=4000)
    counts = np.array([np.bincount(buffer.draw(10).regime, minlength=4) for _ in range(3000)])
    assert (counts.sum(axis=1) == 10).all()
    assert set(np.unique(counts)) == {2, 3}
    np.testing.assert_allclose(counts.mean(axis=0), 2.5, atol=0.04)


def test_regime_weights_are_renormalised_over_what_is_held():
    buffer = filled(np.r_[0:50, 9990:9995], size=400, regime_weights=(0.3, 0.3, 0.3, 0.1))
    counts = np.array([np.bincount(buffer.draw(9).regime, minlength=4) for _ in range(2000)])
    np.testing.assert_allclose(counts.mean(axis=0), [9 * 0.75, 0, 0, 9 * 0.25], atol=0.05)


def test_a_regime_of_weight_zero_is_never_drawn_and_said_to_be_cut(caplog):
    buffer = filled(np.r_[0:50, 9000:9050], size=400, regime_weights=(0.0, 0.5, 0.5, 0.0))
    with caplog.at_level(logging.WARNING):
        regimes = [set(buffer.draw(5).regime.tolist()) for _ in range(200)]
    assert set().union(*regimes) == {1}
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "replay holds transitions of regime UPTREND and never draws them: its weight is 0"
    ]
    only_cut = filled(np.arange(10), size=40, regime_weights=(0.0, 1.0, 0.0, 0.0))
    with pytest.raises(RegimeGymError, match="only regimes whose weight is zero"):
        only_cut.draw(4)


def test_sampling_from_an_empty_buffer_is_refused():
    with pytest.raises(RegimeGymError, match="empty replay buffer"):
        make_buffer([BY_REGIME]).draw(4)


def test_beta_follows_the_training_and_not_the_draws():
    settings = ReplaySettings(kind="prioritized", beta=0.4)
    assert [settings.beta_at(done) for done in (0.0, 0.5, 1.0, 2.0)] == [0.4, 0.7, 1.0, 1.0]
    buffer = filled(np.arange(20), size=40)
    for _ in range(10):
        buffer.draw(8)
    assert buffer.beta == 0.4


# --- updates -------------------------------------------------------------------------------------


def small(**settings):
    """Three transitions in the uptrend of a prioritised buffer, and a batch that holds them all."""
    buffer = filled(np.arange(3), size=8, kind="prioritized", alpha=1.0, **settings)
    return buffer, np.arange(3), buffer._store.words[:3, 1].astype(np.int64)


def priorities(buffer) -> list[float]:
    return buffer._store.leaves[: buffer.size()].tolist()


@pytest.mark.parametrize(
    "errors",
    [
        np.array([1.0, -2.0, 3.0]),
        np.array([[1.0], [-2.0], [3.0]], np.float32),
        torch.tensor([1.0, -2.0, 3.0]),
        torch.tensor([[1.0], [-2.0], [3.0]], requires_grad=True) * 1.0,
        torch.tensor([1.0, -2.0, 3.0], dtype=torch.bfloat16),
    ],
    ids=["negative", "column", "tensor", "with a gradient", "bf16"],
)
def test_priorities_are_absolute_errors_from_any_kind_of_input(errors):
    buffer, slots, born = small()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        buffer.update_priorities(slots, born, errors)
    assert priorities(buffer) == pytest.approx([1.00001, 2.00001, 3.00001])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_error_that_is_no_number_is_refused_and_nothing_changes(wrong):
    buffer, slots, born = small()
    before = priorities(buffer)
    with pytest.raises(RegimeGymError, match="TD error 1 is"):
        buffer.update_priorities(slots, born, np.array([5.0, wrong, 5.0]))
    with pytest.raises(RegimeGymError, match="2 TD errors for"):
        buffer.update_priorities(slots, born, np.array([5.0, 5.0]))
    with pytest.raises(RegimeGymError, match=r"slots must lie in \[0, 8\)"):
        buffer.update_priorities(slots + 6, born, np.ones(3))
    assert priorities(buffer) == before


def test_of_a_transition_drawn_twice_the_larger_error_counts_and_errors_are_clipped():
    buffer, slots, born = small(max_td_error=6.0)
    buffer.update_priorities(slots[[0, 0, 0, 1]], born[[0, 0, 0, 1]], np.array([1.0, 4.0, 2.0, 50.0]))
    assert priorities(buffer) == pytest.approx([4.00001, 6.00001, 1.0])


def test_an_update_that_comes_too_late_does_not_touch_the_new_transition():
    buffer = filled(np.arange(4), size=4, kind="prioritized", alpha=1.0)
    batch = buffer.draw(64)
    feed_rows(buffer, np.arange(100, 102))  # overwrites slots 0 and 1
    buffer.update_priorities(batch.slots, batch.born, np.full(64, 7.0))
    assert priorities(buffer) == pytest.approx([1.0, 1.0, 7.00001, 7.00001])
    buffer.check_valid()


def test_new_transitions_get_the_running_maximum_of_their_regime_else_of_all_else_one():
    buffer = filled(np.array([0]), size=40, alpha=1.0)
    p = buffer._store.leaves
    assert p[0] == 1.0
    buffer.update_priorities([0], [0], [5.0])
    feed_rows(buffer, np.array([1, 9000]))
    assert p[1] == pytest.approx(5.00001)
    assert p[16] == pytest.approx(5.00001)
    buffer.update_priorities([10], [2], [2.0])
    feed_rows(buffer, np.array([9001, 2]))
    assert p[17] == pytest.approx(0.999 * 5.00001)
    assert p[2] == pytest.approx(5.00001)


def test_the_effect_of_an_outlier_ends():
    buffer = filled(np.arange(8), size=8, kind="prioritized", max_td_error=100.0, alpha=1.0)
    batch = buffer.draw(8)
    buffer.update_priorities(batch.slots, batch.born, np.full(8, 100.0))
    for i in range(1500):
        feed_rows(buffer, np.array([i]))
        batch = buffer.draw(8)
        buffer.update_priorities(batch.slots, batch.born, np.full(8, 0.1))
    assert max(priorities(buffer)) < 100.0 * 0.999**1000 / 10
    assert buffer._store.peaks.max() < 40.0


def test_trees_stay_valid_through_wrap_around_and_updates():
    rng = np.random.default_rng(0)
    buffer = filled(np.arange(2), size=30)
    for _ in range(200):
        feed_rows(buffer, rng.integers(0, N_ROWS, 7))
        batch = buffer.draw(16)
        buffer.update_priorities(batch.slots, batch.born, rng.normal(size=16))
    buffer.check_valid()
    assert buffer.size() <= 30
    assert buffer.counts[0] == 8
    use = buffer.regime_use()
    np.testing.assert_allclose(use.fill.sum(), 1.0)
    np.testing.assert_allclose(use.sampled, 0.25, atol=0.15)
    assert np.nanmin(use.age) > 0
    assert (use.priority[~np.isnan(use.priority)] > 0).all()
    assert np.isnan(buffer.regime_use().sampled).all()  # it begins anew


# --- capacity, memory, settings -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capacity", "parts"), [(10, [3, 3, 2, 2]), (4, [1, 1, 1, 1]), (100_001, [25_001, 25_000, 25_000, 25_000])]
)
def test_capacities_add_up_to_the_whole(capacity, parts):
    assert split_capacity(capacity, 4) == parts
    assert sum(parts) == capacity


def test_fewer_slots_than_regimes_are_refused():
    with pytest.raises(ConfigError, match=r"'agent\.buffer_size' is 3"):
        make_buffer([BY_REGIME], 3, kind="regime")


def test_a_rare_regime_keeps_what_a_ring_would_have_forgotten():
    rows = np.r_[9990:10_000, 0:9000]
    ring, split = filled(rows, size=400, kind="prioritized"), filled(rows, size=400)
    assert ring.counts.tolist() == [400, 0, 0, 0]
    assert split.counts.tolist() == [100, 0, 0, 10]


def test_settings_say_what_is_wrong():
    for changes, words in (
        ({"kind": "regimes"}, "replay.kind"),
        ({"alpha": 1.5}, "replay.alpha"),
        ({"regime_weights": (1, 1, 1)}, "needs 4 numbers"),
        ({"regime_weights": (0, 0, 0, 0)}, "sum of replay.regime_weights"),
        ({"regime_weights": (1, 1, 1, -1)}, r"regime_weights\[3\]"),
        ({"is_target": "balanced", "kind": "uniform"}, "is balanced, and 'replay.kind' is uniform"),
    ):
        with pytest.raises(ConfigError, match=words):
            ReplaySettings(**changes)
