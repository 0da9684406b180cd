"""Model folders: what is saved comes back exactly, and damage of every kind is named."""

import errno
import json
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from stand_in import TinyVecEnv, sine_tape

from regimegym.agents.build import build_agent
from regimegym.agents.card import ModelCard, card_of
from regimegym.agents.checkpoint import load_policy, load_policy_object, save_model
from regimegym.agents.gate import FlatPolicy
from regimegym.agents.policy import policy_of
from regimegym.agents.settings import EnhancedDQNSettings, PPOSettings
from regimegym.common.errors import ConfigError, MachineError, ModelError


def card_for(model, settings, network) -> ModelCard:
    return card_of(
        model,
        settings,
        network,
        feature_names=("f0", "f1", "f2"),
        scaler={"mean": [0.0, 1.0, 2.0], "scale": [1.0, 1.0, 1.0]},
        regime_settings={"window": 20},
        feature_settings={"names": ["f0", "f1", "f2"]},
        account_fields=("exposure",),
        action_settings={"mode": "trade"},
        random_seed=1,
    )


@pytest.fixture
def saved(tmp_path, env, tiny_network):
    """An EnhancedDQN in tmp_path/model."""
    settings = EnhancedDQNSettings(learning="sampled", learning_starts=16, batch_size=16, buffer_size=500)
    model = build_agent(settings, env, tiny_network, 1).learn(100)
    save_model(tmp_path / "model", model, card_for(model, settings, tiny_network))
    return tmp_path / "model"


def test_every_algorithm_comes_back_with_the_same_scores(tmp_path, env, tiny_network, quick_settings):
    model = build_agent(quick_settings, env, tiny_network, 1).learn(160)
    save_model(tmp_path / "model", model, card_for(model, quick_settings, tiny_network))
    state = torch.get_rng_state()
    policy, card = load_policy(tmp_path / "model")
    assert torch.equal(state, torch.get_rng_state())
    observations = env.reset()
    before, _ = policy_of(model.policy).act(observations, None, np.ones(4, bool))
    after, _ = policy.act(observations, None, np.ones(4, bool))
    np.testing.assert_array_equal(before.scores, after.scores)
    np.testing.assert_array_equal(before.action, after.action)
    assert card.algorithm == quick_settings.name
    assert card.trained_steps == model.num_timesteps
    assert card.feature_names == ("f0", "f1", "f2")
    assert card.settings() == (quick_settings, tiny_network)
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"model.json", "weights.safetensors"}


def test_a_continuous_policy_comes_back(tmp_path, env, tiny_network):
    from gymnasium import spaces

    env.action_space = spaces.Box(0.0, 1.0, (1,), np.float32)
    settings = PPOSettings()
    model = build_agent(settings, env, tiny_network, 1)
    save_model(tmp_path / "model", model, card_for(model, settings, tiny_network))
    policy, card = load_policy(tmp_path / "model")
    assert card.action_bounds == (0.0, 1.0)
    observations = env.reset()
    np.testing.assert_array_equal(
        policy.act(observations, None, np.ones(4, bool))[0].action,
        model.predict(observations, deterministic=True)[0],
    )


def test_saving_again_replaces_the_model_and_leaves_nothing_beside_it(saved, env, tiny_network):
    settings = EnhancedDQNSettings(learning="sampled")
    model = build_agent(settings, env, tiny_network, 2)
    save_model(saved, model, card_for(model, settings, tiny_network))
    loaded, card = load_policy_object(saved)
    assert card.trained_steps == 0
    assert torch.equal(
        loaded.state_dict()["online.heads.value.0.weight"],
        model.policy.state_dict()["online.heads.value.0.weight"],
    )
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def edit(folder, **changes) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def resign(folder, **changes) -> None:
    """Edit the card and make its checksums right again."""
    values = json.loads((folder / "model.json").read_text()) | changes
    values["weights_sha256"] = sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    body = {k: v for k, v in values.items() if k not in ("weights_sha256", "card_sha256")}
    values["card_sha256"] = sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps(values))


def refused(folder) -> str:
    with pytest.raises(ModelError) as caught:
        load_policy(folder)
    return "\n".join(caught.value.lines())


def test_a_folder_without_a_model_is_named(tmp_path):
    assert f"{tmp_path} is no model folder: it has no model.json" in refused(tmp_path)


def test_missing_weights_are_named(saved):
    (saved / "weights.safetensors").unlink()
    assert "it has no weights.safetensors" in refused(saved)


def test_truncated_weights_are_named(saved):
    path = saved / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    assert "weights.safetensors is not the file that was written: its checksum differs" in refused(saved)


def test_weights_that_are_no_safetensors_are_named(saved):
    (saved / "weights.safetensors").write_bytes(b"hello")
    resign(saved)
    assert "is no safetensors file" in refused(saved)


def test_a_truncated_card_is_named(saved):
    path = saved / "model.json"
    path.write_text(path.read_text()[:-20])
    assert "model.json is no JSON" in refused(saved)


def test_an_edited_card_is_named(saved):
    edit(saved, window=9)
    assert "model.json was changed after it was written" in refused(saved)


def test_another_format_is_named(saved):
    edit(saved, format_version=4)
    text = refused(saved)
    assert "format version 1 or 2 or 3" in text
    assert "format version 4" in text


@pytest.mark.parametrize(("version", "unknown"), [(1, ("decision", "gate")), (2, ("gate",))])
def test_a_model_of_an_older_format_still_loads(saved, version, unknown):
    values = json.loads((saved / "model.json").read_text())
    for name in unknown:
        del values[name]
    (saved / "model.json").write_text(json.dumps(values))
    resign(saved, format_version=version)
    _, card = load_policy(saved)
    assert card.decision is None
    assert card.gate is None
    assert card.format_version == 3


def test_a_model_behind_a_closed_gate_comes_back_flat_unless_it_is_asked_bare(saved):
    values = json.loads((saved / "model.json").read_text())
    (saved / "model.json").write_text(json.dumps(values | {"gate": {"threshold": 1.5, "t_statistic": 0.3}}))
    resign(saved)
    assert isinstance(load_policy(saved)[0], FlatPolicy)
    assert not isinstance(load_policy(saved, with_layers=False)[0], FlatPolicy)


def test_a_foreign_json_is_named(saved):
    (saved / "model.json").write_text("[1, 2]")
    assert "no model card of Regime Gym" in refused(saved)


def test_unknown_and_missing_card_fields_are_named(saved):
    resign(saved, colour="red")
    assert "unknown colour" in refused(saved)


def test_an_unknown_algorithm_is_named(saved):
    resign(saved, algorithm="sarsa")
    assert "'sarsa', which this version does not know" in refused(saved)


def test_settings_that_are_none_are_named(saved):
    resign(saved, network={"kind": "conv"})
    assert "'network.kind' must be one of regime, mlp" in refused(saved)
    resign(saved, agent={"gama": 1})
    assert "gama" in refused(saved)


def test_a_tensor_of_another_shape_is_named(saved):
    tensors = load_file(saved / "weights.safetensors")
    tensors["online.heads.value.2.bias"] = torch.zeros(2)
    save_file(tensors, saved / "weights.safetensors")
    resign(saved)
    text = refused(saved)
    assert "tensor 'online.heads.value.2.bias'" in text
    assert "(1,)" in text
    assert "(2,)" in text


def test_missing_and_unknown_tensors_are_named(saved):
    tensors = load_file(saved / "weights.safetensors")
    tensors["extra"] = tensors.pop("reward_scale")
    save_file(tensors, saved / "weights.safetensors")
    resign(saved)
    text = refused(saved)
    assert "reward_scale" in text
    assert "unknown extra" in text


def test_a_card_that_does_not_fit_the_environment_is_refused(tiny_network):
    env = TinyVecEnv(sine_tape(n_features=2))
    settings = EnhancedDQNSettings(learning="sampled")
    model = build_agent(settings, env, tiny_network, 1)
    with pytest.raises(ConfigError, match="2 features and 1 account fields, the card names 3 and 1"):
        card_for(model, settings, tiny_network)


def test_a_folder_that_cannot_be_written_is_the_machines_fault(tmp_path, env, tiny_network):
    settings = EnhancedDQNSettings(learning="sampled")
    model = build_agent(settings, env, tiny_network, 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="could not be written"):
        save_model(tmp_path / "file" / "model", model, card_for(model, settings, tiny_network))


def test_the_feature_hash_follows_names_order_and_scaler(saved):
    _, card = load_policy(saved)
    other = replace(card, feature_names=("f1", "f0", "f2"))
    assert card.feature_hash != other.feature_hash
    assert card.feature_hash != replace(card, scaler={}).feature_hash
    assert len(card.feature_hash) == 16


def test_a_full_disk_keeps_the_older_model_and_leaves_no_rest(monkeypatch, saved, env, tiny_network):
    folder, settings = saved, EnhancedDQNSettings(learning="sampled")
    algorithm = build_agent(settings, env, tiny_network, 2)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(path, content):
        path.write_bytes(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("regimegym.agents.checkpoint.write_file", full)
    with pytest.raises(MachineError, match="No space left on device") as caught:
        save_model(folder, algorithm, card_for(algorithm, settings, tiny_network))
    assert caught.value.exit_code == 3
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
