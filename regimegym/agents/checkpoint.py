"""Model folders: weights in safetensors, everything else in JSON; loading one runs no code of it.

model.json            the ModelCard, and SHA-256 of the card and of the weights
weights.safetensors   the policy's tensors by name
predictors/           the predictors whose signals the model sees, where it sees any (supervised.signals)
"""

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from regimegym.agents.build import build_policy
from regimegym.agents.card import FORMAT_VERSION, ModelCard
from regimegym.agents.decision.layers import FittedDecision, layered
from regimegym.agents.gate import gated
from regimegym.agents.policy import policy_of
from regimegym.common.errors import MachineError, ModelError
from regimegym.common.files import replace_folder, write_file
from regimegym.common.policy import Policy
from regimegym.envs.settings import ActionSettings

CARD = "model.json"
WEIGHTS = "weights.safetensors"
PREDICTORS = "predictors"
READABLE = (1, 2, FORMAT_VERSION)


def save_model(folder: Path, algorithm: BaseAlgorithm, card: ModelCard, predictors: Path | None = None) -> None:
    """Write the model folder; an older model there is replaced only once the new one is on disk.

    The card's `trained_steps` are taken from the algorithm. The folder `predictors` is copied into it.

    Raises:
        MachineError: the disk or its permissions refuse.
    """
    tensors = algorithm.policy.state_dict()
    # Shared tensors (an extractor used by actor and critic) are written once for each name.
    weights = save({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()})
    _write(folder, replace(card, trained_steps=algorithm.num_timesteps), weights, predictors)


def _write(folder: Path, card: ModelCard, weights: bytes, predictors: Path | None) -> None:
    text = _card_text(card, weights)

    def write(fresh: Path) -> None:
        write_file(fresh / WEIGHTS, weights)
        write_file(fresh / CARD, text.encode())
        if predictors is not None:
            shutil.copytree(predictors, fresh / PREDICTORS)

    try:
        replace_folder(folder, write)
    except OSError as error:
        raise MachineError(
            "cannot-write-model",
            f"the model could not be written to {folder}: {error.strerror}",
            needed=f"{(len(weights) + len(text)) / 1e6:.1f} MB",
            kept="an older model there is kept; the half-written one was removed",
        ) from error


def save_layers(folder: Path, fitted: FittedDecision) -> ModelCard:
    """Put fitted decision layers into the card of a model folder; weights and predictors stay as they are.

    Returns:
        The card as it stands there now.

    Raises:
        ModelError: no model folder, or a damaged one.
        MachineError: the disk or its permissions refuse.
    """
    card, _ = _read_card(folder)
    weights = _read(folder / WEIGHTS)
    card = replace(card, decision=fitted.to_dict())
    predictors = folder / PREDICTORS
    _write(folder, card, weights, predictors if predictors.is_dir() else None)
    return card


def load_policy(
    folder: Path, device: torch.device | str = "cpu", with_layers: bool = True, symbol: str = ""
) -> tuple[Policy, ModelCard]:
    """The policy of a model folder, with its decision layers around it unless told otherwise, and its card.

    `symbol` is the instrument it will trade; the layers may treat instruments differently.

    Raises:
        ModelError: no model folder, another format, damaged or edited files, or tensors that do
            not fit the card; it says which.
    """
    bare, card = load_policy_object(folder)
    policy = policy_of(bare.to(device))
    return (with_saved_layers(policy, card, symbol) if with_layers else policy), card


def with_saved_layers(policy: Policy, card: ModelCard, symbol: str = "") -> Policy:
    """`policy` with the decision layers of its card, for the instrument `symbol`; itself without any.

    Behind a closed gate it stays flat, whatever the layers say.

    Raises ModelError when the layers or the gate are damaged, or the actions are continuous.
    """
    fitted = card.layers()
    inside = policy if fitted is None else layered(policy, fitted, card.roles(), symbol)
    return behind_gate(inside, card)


def behind_gate(policy: Policy, card: ModelCard) -> Policy:
    """`policy` behind the gate of its card, itself without one. Raises ModelError when the gate is damaged."""
    return gated(policy, card.entrance(), ActionSettings(**card.action_settings))


def load_policy_object(folder: Path) -> tuple[BasePolicy, ModelCard]:
    """The bare stable-baselines3 policy of a model folder, and its card. Raises as load_policy."""
    card, checksum = _read_card(folder)
    weights = _read(folder / WEIGHTS)
    if sha256(weights).hexdigest() != checksum:
        raise ModelError(
            "damaged-weights",
            f"{folder / WEIGHTS} is not the file that was written: its checksum differs",
            needed=f"SHA-256 {checksum}",
            found=f"SHA-256 {sha256(weights).hexdigest()}, {len(weights)} bytes",
        )
    try:
        tensors = load(weights)
    except SafetensorError as error:
        raise ModelError("damaged-weights", f"{folder / WEIGHTS} is no safetensors file: {error}") from error
    settings, network = card.settings()
    policy = build_policy(settings, network, *card.spaces())
    _check_fit(folder, policy.state_dict(), tensors)
    policy.load_state_dict(tensors)
    return policy, card


def _check_fit(folder: Path, wanted: dict[str, Any], got: dict[str, torch.Tensor]) -> None:
    missing, unknown = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    if missing or unknown:
        raise ModelError(
            "tensor-names",
            f"the tensors in {folder / WEIGHTS} are not those of the network in {CARD}",
            needed=f"also {', '.join(missing[:4])} ({len(missing)} missing)" if missing else None,
            found=f"unknown {', '.join(unknown[:4])} ({len(unknown)} unknown)" if unknown else None,
        )
    for name, tensor in wanted.items():
        if got[name].shape != tensor.shape:
            raise ModelError(
                "tensor-shape",
                f"tensor '{name}' in {folder / WEIGHTS} does not fit the network in {CARD}",
                needed=str(tuple(tensor.shape)),
                found=str(tuple(got[name].shape)),
            )


def _card_text(card: ModelCard, weights: bytes) -> str:
    values = card.to_json()
    checksums = {"weights_sha256": sha256(weights).hexdigest(), "card_sha256": _digest(values)}
    return json.dumps(values | checksums, indent=2) + "\n"


def _digest(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _read_card(folder: Path) -> tuple[ModelCard, str]:
    """The card and the checksum its weights must have."""
    path = folder / CARD
    try:
        values = json.loads(_read(path))
    except ValueError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError("damaged-card", f"{path} is no JSON: {error}") from error
    if not isinstance(values, dict) or "format_version" not in values:
        raise ModelError("foreign-model", f"{path} is no model card of Regime Gym")
    if values["format_version"] not in READABLE:
        raise ModelError(
            "format-version",
            f"{path} was written in another format",
            needed=f"format version {' or '.join(map(str, READABLE))}",
            found=f"format version {values['format_version']}",
        )
    checksum, digest = values.pop("weights_sha256", None), values.pop("card_sha256", None)
    if checksum is None or digest != _digest(values):
        raise ModelError("edited-card", f"{path} was changed after it was written: its checksum differs")
    return ModelCard.from_json(_upgraded(values)), checksum


def _upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """A card of an older format in the present one. Version 1 knew no decision layers, 1 and 2 no gate."""
    added: dict[str, Any] = {"decision": None} if values["format_version"] == 1 else {}
    added |= {"gate": None} if values["format_version"] < FORMAT_VERSION else {}
    return added | values | {"format_version": FORMAT_VERSION}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            "missing-file",
            f"{path.parent} is no model folder: it has no {path.name}",
            needed=f"{CARD} and {WEIGHTS}",
        ) from None
    except OSError as error:
        raise MachineError("cannot-read-model", f"{path} could not be read: {error}") from error
