"""What a network must offer to be tested: the first three methods; the others are tested if they are there."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

Array = np.ndarray
REQUIRED = ("get_weights", "set_weights", "outputs")
OPTIONAL = ("loss", "gradients", "step", "backward", "trace")


class NotOffered(Exception):  # noqa: N818 (it is an answer, not an error)
    """A network does not offer something, for example soft labels; the message says what."""


class CannotRunError(ValueError):
    """A network cannot be tested at all: the command line prints the message, one sentence, and exits with status 2."""


class Implementation(Protocol):
    """A network under test: Dense layers, softmax (or logits) and cross-entropy.

    Weights are in Keras's order and layout: W (inputs, units) and b (units,) of each layer.  x is (N, inputs), and the
    targets t are rows (N, classes), one-hot or soft.  A method may raise ``NotOffered``.
    """

    def get_weights(self) -> list[Array]:
        """Return copies of the weights."""

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Replace the weights; the network computes in their dtype if it can."""

    def outputs(self, x: Array) -> Array:
        """Return probabilities, or logits, (N, classes)."""


class Trainable(Implementation, Protocol):
    """The optional methods."""

    def loss(self, x: Array, t: Array) -> float:
        """Return the loss of a batch."""

    def gradients(self, x: Array, t: Array) -> list[Array]:
        """Return the gradient of the loss with respect to each of the weights."""

    def step(self, x: Array, t: Array, learning_rate: float) -> None:
        """Update the weights by one step of SGD."""

    def backward(self, x: Array, dout: Array) -> list[Array]:
        """Return the gradients of Σ outputs·dout with respect to each of the weights: for a network without a loss."""

    def trace(self, x: Array, t: Array) -> Mapping[str, Array]:
        """Return any of the tensors that scratch's ``model.trace`` returns, with layers named dense_0, dense_1, …."""


def offered(network: object) -> tuple[str, ...]:
    """Return the names of the optional methods that a network has."""
    return tuple(name for name in OPTIONAL if callable(getattr(network, name, None)))
