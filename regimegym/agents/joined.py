"""Weights side by side in one vector: a small network's step is bound by its calls, and one call does for all."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-6  # keeps the clipped norm finite, as in torch.nn.utils.clip_grad_norm_


@torch.no_grad()
def join(parameters: Sequence[Tensor]) -> Tensor:
    """One vector that holds all `parameters`, which become views of it; they keep names, shapes and values.

    They stay views until somebody replaces their data, as a move to another device does.
    """
    vector = torch.cat([parameter.detach().flatten() for parameter in parameters])
    for parameter, piece in zip(parameters, _pieces(vector, [p.shape for p in parameters]), strict=True):
        parameter.data = piece
    return vector


class JoinedAdamW(torch.optim.AdamW):
    """AdamW over parameters that lie side by side: to the optimiser they are one tensor, decay apart.

    Element by element it is AdamW over the parameters themselves, and so is what `state_dict` gives and takes.

    Args:
        groups: parameter groups of one learning rate as AdamW takes them; the parameters become views (`join`), and
            so do their gradients.
        lr: learning rate.

    Attributes:
        weights: of all groups, in their order; its `grad` holds their gradients.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], lr: float) -> None:
        parameters = [parameter for group in groups for parameter in group["params"]]
        self._shapes = [[parameter.shape for parameter in group["params"]] for group in groups]
        self.weights = join(parameters)
        self.weights.grad = torch.zeros_like(self.weights)
        shapes = [shape for shapes in self._shapes for shape in shapes]
        for parameter, piece in zip(parameters, _pieces(self.weights.grad, shapes), strict=True):
            parameter.grad = piece
        parts = self.weights.split([sum(shape.numel() for shape in shapes) for shapes in self._shapes])
        self._decays = [group["weight_decay"] for group in groups]
        self._decayed = [(part, decay) for part, decay in zip(parts, self._decays, strict=True) if decay]
        super().__init__([self.weights], lr=lr, weight_decay=0.0, fused=True)
        zeros = {name: torch.zeros_like(self.weights) for name in ("exp_avg", "exp_avg_sq")}
        self.state[self.weights] = {"step": torch.zeros(())} | zeros

    @torch.no_grad()
    def descend(self, max_norm: float) -> None:
        """One step along the gradients, clipped together to the norm `max_norm`."""
        gradients = self.weights.grad
        assert gradients is not None
        norm = float(torch.linalg.vector_norm(gradients))
        if norm > max_norm:
            gradients.mul_(max_norm / (norm + EPSILON))
        (group,) = self.param_groups
        for part, decay in self._decayed:
            part.mul_(1 - group["lr"] * decay)
        moments = self.state[self.weights]
        moments["step"] += 1
        # What AdamW(fused=True) comes down to; its way there takes longer than the arithmetic of a small network.
        torch._fused_adamw_(
            [self.weights], [gradients], [moments["exp_avg"]], [moments["exp_avg_sq"]], [], [moments["step"]],
            lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1], eps=group["eps"],
            weight_decay=0.0, amsgrad=False, maximize=False,
        )  # fmt: skip

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Fill the gradients with zeros; they are never dropped, since they are views."""
        assert self.weights.grad is not None
        self.weights.grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """As AdamW's over the parameters one by one."""
        whole = super().state_dict()
        groups, first = [], 0
        for shapes, decay in zip(self._shapes, self._decays, strict=True):
            members = list(range(first, first + len(shapes)))
            groups.append(whole["param_groups"][0] | {"params": members, "weight_decay": decay})
            first += len(shapes)
        moments = _apart(whole["state"][0], [shape for shapes in self._shapes for shape in shapes])
        return {"state": dict(enumerate(moments)), "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`.

        Raises ValueError where it is that of other parameters.
        """
        moments = [state_dict["state"][i] for i in sorted(state_dict["state"])]
        expected = [tuple(shape) for shapes in self._shapes for shape in shapes]
        if [tuple(one["exp_avg"].shape) for one in moments] != expected:
            raise ValueError("the optimiser's moments are those of other weights")
        group = state_dict["param_groups"][0] | {"params": [0], "weight_decay": 0.0}
        super().load_state_dict({"state": {0: _together(moments)}, "param_groups": [group]})


def _pieces(vector: Tensor, shapes: Iterable[torch.Size]) -> list[Tensor]:
    """Views of `vector` in the `shapes`, one behind the other."""
    shapes = list(shapes)
    parts = vector.split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _apart(moments: dict[str, Tensor], shapes: list[torch.Size]) -> list[dict[str, Tensor]]:
    """The moments of one vector as those of its pieces; of what is one number, everybody has a copy."""
    split = {
        name: _pieces(value, shapes) if value.dim() else [value.clone() for _ in shapes]
        for name, value in moments.items()
    }
    return [{name: pieces[i] for name, pieces in split.items()} for i in range(len(shapes))]


def _together(moments: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The inverse of `_apart`."""
    return {
        name: torch.cat([one[name].flatten() for one in moments]) if value.dim() else value
        for name, value in moments[0].items()
    }
