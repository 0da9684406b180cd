"""Sequence models: shapes, the loss and its derivative, the schedule, what stops and goes on, what is learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lessons import accuracy_interval, lesson_with
from small_predictors import SHORT, SMALL
from torch import nn

from regimegym.common.errors import ConfigError, DataError, ModelError
from regimegym.supervised.base import Predictor
from regimegym.supervised.focal import focal_gradient, focal_loss
from regimegym.supervised.registry import get_predictor
from regimegym.supervised.sequence.focal_loss import FocalLoss, class_weights
from regimegym.supervised.sequence.networks import (
    GRUNetwork,
    GRUSettings,
    LSTMNetwork,
    LSTMSettings,
    TCNNetwork,
    TCNSettings,
    TFTNetwork,
    TFTSettings,
    dilations,
)
from regimegym.supervised.sequence.trainer import build_optimizer, cosine_rate
from regimegym.supervised.sequence.windows import Standard, window_rows

NETWORKS = {
    "lstm": (LSTMNetwork, LSTMSettings),
    "gru": (GRUNetwork, GRUSettings),
    "tcn": (TCNNetwork, TCNSettings),
    "tft": (TFTNetwork, TFTSettings),
}


def network_of(name: str, n_features: int = 7, n_classes: int = 3, **settings) -> nn.Module:
    kind, of = NETWORKS[name]
    torch.manual_seed(0)
    return kind(n_features, n_classes, of(**settings))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_default_network_reads_windows_of_120_bars_and_weighs_what_it_reads(name):
    network = network_of(name).eval()
    out = network(torch.randn(4, 120, 7))
    assert out.logits.shape == (4, 3)
    if name != "tcn":
        assert out.attention.shape == (4, 120)
    if name == "tft":
        assert out.variables.shape == (4, 7)
    for weights in (out.attention, out.variables):
        if weights is not None:
            torch.testing.assert_close(weights.sum(dim=-1), torch.ones(4))


def test_the_lstm_narrows_as_it_says_and_projects_what_does_not_fit():
    layers = network_of("lstm").layers
    assert [layer.memory.hidden_size for layer in layers] == [128, 64, 32]
    assert [layer.project.weight.shape for layer in layers] == [(128, 7), (64, 128), (32, 64)]
    assert [layer.dropout.p for layer in layers] == [0.3] * 3
    assert not [module for module in network_of("lstm").modules() if isinstance(module, nn.BatchNorm1d)]


def test_with_fusion_the_indicators_of_the_last_bar_have_an_attention_of_their_own():
    network = network_of("lstm", fusion=True).eval()
    out = network(torch.randn(5, 120, 7))
    torch.testing.assert_close(out.variables.sum(dim=-1), torch.ones(5))
    assert sum(p.numel() for p in network.parameters()) > sum(p.numel() for p in network_of("lstm").parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_in_eval_mode_a_window_has_one_answer_whatever_stands_beside_it(name):
    network, x = network_of(name).eval(), torch.randn(6, 120, 7)
    with torch.no_grad():
        together, again, alone = network(x).logits, network(x).logits, network(x[2:3]).logits
    assert torch.equal(together, again)
    torch.testing.assert_close(alone[0], together[2], atol=1e-6, rtol=1e-5)
    assert not torch.equal(network.train()(x).logits, together)


def test_convolutions_see_the_whole_window_and_no_more_than_they_must():
    for length, kernel in ((2, 2), (96, 3), (120, 3), (168, 5)):
        found = dilations(length, kernel)
        reach = [1 + 2 * (kernel - 1) * sum(found[:k]) for k in (len(found) - 1, len(found))]
        assert reach[0] < length <= reach[1] or (found == [1] and length <= reach[1])
    network = network_of("tcn").eval()
    x = torch.randn(1, 120, 7, requires_grad=True)
    network(x).logits.sum().backward()
    assert (x.grad[0, 0] != 0).any()


def test_focal_loss_is_that_of_the_definitions_and_its_gradient_too():
    z = torch.linspace(-6, 6, 41, dtype=torch.float64, requires_grad=True)
    for y in (0, 1):
        labels = torch.full((41,), y)
        logits = torch.stack([torch.zeros_like(z), z], dim=1)
        loss = FocalLoss(2.0, [0.75, 0.25]).double()
        each = torch.stack([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(41)])
        (gradient,) = torch.autograd.grad(each.sum(), z)
        at = z.detach().numpy()
        np.testing.assert_allclose(each.detach().numpy(), focal_loss(at, np.full(41, y), 2.0, 0.25), atol=1e-12)
        np.testing.assert_allclose(gradient.numpy(), focal_gradient(at, np.full(41, y), 2.0, 0.25), atol=1e-9)


def test_without_gamma_and_alpha_it_is_cross_entropy():
    logits, labels = torch.randn(30, 4), torch.randint(0, 4, (30,))
    torch.testing.assert_close(FocalLoss(0.0)(logits, labels), nn.functional.cross_entropy(logits, labels))


def test_automatic_alpha_is_the_share_of_the_other_classes():
    labels = np.array([0.0] * 6 + [1.0] * 2)
    assert class_weights(labels, 2, "auto") == [0.25, 0.75]
    assert class_weights(labels, 2, 0.3) == [0.7, 0.3]
    assert class_weights(np.array([0.0, 1, 1, 2]), 3, "auto") == [0.75, 0.5, 0.75]
    assert class_weights(labels, 2, None) is None


@pytest.mark.parametrize("name", NETWORKS)
def test_only_matrices_decay(name):
    network = network_of(name)
    optimizer = build_optimizer(network, LSTMSettings(weight_decay=0.1))
    assert type(optimizer) is torch.optim.AdamW
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert len(decay) == len(list(network.parameters()))
    for module in network.modules():
        for part, parameter in module.named_parameters(recurse=False):
            is_vector = isinstance(module, nn.LayerNorm) or part.startswith("bias")
            assert decay[id(parameter)] == (0.0 if is_vector else 0.1)


def test_the_schedule_is_the_formula():
    rates = [cosine_rate(step, 11, 1.0, 0.2) for step in range(11)]
    np.testing.assert_allclose(rates, 0.2 + 0.4 * (1 + np.cos(np.pi * np.arange(11) / 10)))
    assert (rates[0], rates[-1], cosine_rate(0, 1, 1.0, 0.0)) == (1.0, pytest.approx(0.2), 1.0)


def test_windows_hold_usable_rows_only():
    usable = np.array([1, 1, 1, 0, 1, 1, 1, 1], bool)
    assert window_rows(usable, 3).tolist() == [2, 6, 7]
    assert window_rows(usable[:2], 3).tolist() == []


def sequence_lesson(n_rows: int, random_seed: int):
    """Up where the feature fell three rows ago and rose now: no single row tells."""
    rng = np.random.default_rng(random_seed)
    features = rng.normal(size=(n_rows, 3))
    up = features[:, 0] - np.roll(features[:, 0], 3) > 0
    return lesson_with(features, up)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_learns_32_windows_by_heart(name):
    rng = np.random.default_rng(2)
    lesson = lesson_with(rng.normal(size=(60, 4)), rng.integers(0, 2, 60), horizon=0)
    settings = replace(SMALL[name], epochs=150, patience=150, dropout=0.0, weight_decay=0.0, focal_alpha=None)
    settings = replace(settings, learning_rate=0.03, validation_share=0.4, focal_gamma=0.0)
    predictor = get_predictor(name, settings)
    predictor._run = lambda trainer, key: _last(trainer)  # the later rows are noise, and would stop it
    predictor.fit(lesson, np.random.default_rng(0))
    earlier, _ = lesson.split_tail(0.4)
    found = predictor.predict(earlier.features)
    rows = np.flatnonzero(~np.isnan(found))
    assert len(rows) == 32
    assert (found[rows] == earlier.labels[rows]).all()


def _last(trainer):
    """The training without its choice of the best pass."""
    while not trainer.is_done:
        trainer._epoch()
    return trainer.progress


@pytest.mark.parametrize("name", NETWORKS)
def test_what_only_the_window_shows_is_found(name):
    lesson, later = sequence_lesson(600, 3), sequence_lesson(400, 4)
    settings = replace(SMALL[name], epochs=16, patience=16, dropout=0.0, learning_rate=0.02)
    predictor = get_predictor(name, settings).fit(lesson, np.random.default_rng(1))
    assert predictor.validate(later)["auc"] > 0.8
    importance = predictor.feature_importance()
    assert max(importance, key=importance.get) == "x0"


def test_in_noise_nothing_is_found():
    rng = np.random.default_rng(5)
    lesson = lesson_with(rng.normal(size=(500, 3)), rng.integers(0, 2, 500))
    later = lesson_with(rng.normal(size=(800, 3)), rng.integers(0, 2, 800))
    scores = get_predictor("lstm", SMALL["lstm"]).fit(lesson, np.random.default_rng(1)).validate(later)
    low, high = accuracy_interval(scores["accuracy"], 795)
    assert low < 0.5 < high


def test_an_interrupted_training_ends_as_if_it_had_not_been(tmp_path):
    lesson = sequence_lesson(200, 1)
    settings = replace(SMALL["lstm"], epochs=4, patience=4, checkpoint_dir=str(tmp_path / "a"))
    whole = get_predictor("lstm", settings).fit(lesson, np.random.default_rng(3))
    assert len(whole.history) == 4

    class Stopped(Exception):
        pass

    def stopping(trainer, key):
        def told(progress):
            if progress.epoch == 2:
                raise Stopped

        return trainer.run(tmp_path / "b", told)

    broken = get_predictor("lstm", settings)
    broken._run = stopping
    with pytest.raises(Stopped):
        broken.fit(lesson, np.random.default_rng(3))
    again = get_predictor("lstm", settings)
    again._run = lambda trainer, key: trainer.run(tmp_path / "b")
    again.fit(lesson, np.random.default_rng(3))
    assert again.history == whole.history
    np.testing.assert_array_equal(again.predict_proba(lesson.features), whole.predict_proba(lesson.features))
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pt", ".pkl")]


def test_another_training_does_not_go_on_from_this_one(tmp_path):
    settings = replace(SMALL["gru"], checkpoint_dir=str(tmp_path))
    get_predictor("gru", settings).fit(sequence_lesson(120, 1), np.random.default_rng(3))
    get_predictor("gru", settings).fit(sequence_lesson(120, 2), np.random.default_rng(3))
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 2
    for folder in kept:
        (folder / "state.json").write_text("{}")
    with pytest.raises(ModelError, match="no whole checkpoint"):
        get_predictor("gru", settings).fit(sequence_lesson(120, 1), np.random.default_rng(3))


def test_curves_hold_every_pass(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = replace(SMALL["tcn"], tensorboard_dir=str(tmp_path))
    predictor = get_predictor("tcn", settings).fit(sequence_lesson(120, 1), np.random.default_rng(3))
    events = EventAccumulator(str(next(tmp_path.iterdir()))).Reload()
    found = [event.value for event in events.Scalars("predictor/learning_rate")]
    np.testing.assert_allclose(found, [epoch["learning_rate"] for epoch in predictor.history], rtol=1e-6)


def test_attention_is_aligned_and_survives_saving(tmp_path):
    lesson = sequence_lesson(120, 1)
    predictor = get_predictor("gru", SMALL["gru"]).fit(lesson, np.random.default_rng(3))
    weights = predictor.attention(lesson.features)
    assert weights.shape == (120, 5)
    assert np.isnan(weights[:4]).all()
    np.testing.assert_allclose(weights[4:].sum(axis=1), 1.0, atol=1e-6)
    predictor.save(tmp_path / "model")
    np.testing.assert_array_equal(Predictor.load(tmp_path / "model").attention(lesson.features), weights)
    with pytest.raises(ModelError, match="no attention"):
        get_predictor("tcn", SMALL["tcn"]).fit(lesson, np.random.default_rng(3)).attention(lesson.features)


def test_a_row_without_a_value_silences_the_windows_that_hold_it():
    lesson = sequence_lesson(120, 1)
    predictor = get_predictor("lstm", SMALL["lstm"]).fit(lesson, np.random.default_rng(3))
    features = lesson.features.copy()
    features[50, 1] = np.nan
    silent = np.flatnonzero(np.isnan(predictor.predict(features)))
    assert silent.tolist() == [0, 1, 2, 3, 50, 51, 52, 53, 54]


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"heads.*divide"):
        LSTMSettings(widths=(8, 6), heads=4)
    with pytest.raises(ConfigError, match="focal_alpha"):
        GRUSettings(focal_alpha="balanced")
    with pytest.raises(ConfigError, match="least_learning_rate"):
        TCNSettings(learning_rate=1e-4, least_learning_rate=1e-3)
    with pytest.raises(DataError, match="no labelled row has one"):
        get_predictor("tft", TFTSettings(**SHORT | {"sequence_length": 80})).fit(
            sequence_lesson(90, 1), np.random.default_rng(0)
        )


def test_what_stays_constant_stays_finite():
    standard = Standard.of(np.column_stack([np.full(9, 3.0), np.arange(9.0)]))
    assert np.isfinite(standard(np.array([[3.0, 1e9]]))).all()
