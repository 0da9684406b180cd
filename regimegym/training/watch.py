"""Somebody who follows a training from outside: hears each look at validation, may end it."""

from collections.abc import Callable
from typing import Any, NamedTuple


class GivenUp(Exception):
    """The training is not worth going on with: others were better at this point."""


class Look(NamedTuple):
    """Where a training stands after a look at validation.

    Attributes:
        number: of the look, from 1.
        step: environment steps done.
        best: best validation log return so far, unshaped.
        state: the whole state of the training, for a checkpoint.
    """

    number: int
    step: int
    best: float
    state: Callable[[], dict[str, Any]]


Watch = Callable[[Look], None]  # may raise GivenUp
