"""Layers one behind the other, called as cheaply as can be."""

from torch import Tensor, nn


class Chain(nn.Sequential):
    """As nn.Sequential, which names the layers too, without the hooks of each layer.

    A small network's layers take microseconds, and asking each for its hooks took a seventh of that.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's output."""
        for layer in self._modules.values():
            x = layer.forward(x)
        return x
