"""Conventions in which a right network may differ from Keras, and the wrapper that undoes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from parity_tests.implementations.protocol import Array, CannotRunError, NotOffered, offered

CHOICES: dict[str, tuple[str | None, ...]] = {
    "loss": ("mean", "sum"),
    "samples": (None, "rows", "columns"),
    "weights": (None, "inputs,units", "units,inputs"),
    "targets": ("rows", "labels"),
    "dtype": (None, "float32", "float64"),
}


@dataclass(frozen=True)
class Conventions:
    """How the numbers of a network are to be read.

    A declared convention is undone by the adapter before anything is compared: a network that follows it is right, and
    is not reported.  What is None is recognised from the shapes of the weights.

    Attributes:
        loss: ``"mean"``, or ``"sum"`` if the loss is summed over the batch: the loss, its gradients and the learning
            rate of a step are divided by the batch size.
        samples: ``"rows"``, or ``"columns"`` if x is (inputs, N) and targets and outputs are (classes, N).
        weights: the shape of W, ``"inputs,units"`` or ``"units,inputs"``.
        dtype: ``"float32"`` or ``"float64"`` if the network is given all numbers in this dtype, whatever is tested.
        targets: ``"rows"`` (N, classes), or ``"labels"`` if the network takes class numbers (N,).

    Raises:
        CannotRunError: if a value is none of these.
    """

    loss: str = "mean"
    samples: str | None = None
    weights: str | None = None
    dtype: str | None = None
    targets: str = "rows"

    def __post_init__(self) -> None:
        for field in fields(self):
            value, choices = getattr(self, field.name), CHOICES[field.name]
            if value not in choices:
                known = " or ".join(repr(choice) for choice in choices if choice)
                raise CannotRunError(f"The convention {field.name} must be {known}; got {value!r}.")


def recognised(conventions: Conventions, weights: Sequence[Array], layout: str = "inputs,units") -> Conventions:
    """Return conventions with what is None recognised from the weights.

    Args:
        conventions: what was declared.
        weights: W and b of each layer, in the network's own layout.
        layout: that of W if all W are square.
    """
    pairs = list(zip(weights[::2], weights[1::2], strict=True))
    columns = all(b.ndim == 2 and b.shape[1] == 1 for _, b in pairs) and any(b.size > 1 for _, b in pairs)
    for W, b in pairs:
        if W.ndim == 2 and W.shape[0] != W.shape[1] and b.size in W.shape:
            layout = "units,inputs" if b.size == W.shape[0] else "inputs,units"
            break
    return replace(
        conventions,
        samples=conventions.samples or ("columns" if columns else "rows"),
        weights=conventions.weights or layout,
    )


class Converted:
    """A network behind the interface of ``Implementation``, with its conventions undone.

    It has those optional methods that the network has.

    Attributes:
        network: the network in its own conventions.
        conventions: the conventions, all of them known.
    """

    def __init__(self, network: Any, conventions: Conventions):
        weights = [np.asarray(W) for W in network.get_weights()]
        self.network = network
        self.conventions = recognised(conventions, weights, getattr(network, "layout", "inputs,units"))
        self.shapes = [W.shape for W in weights]
        for name in offered(network):
            setattr(self, name, getattr(self, f"_{name}"))

    def get_weights(self) -> list[Array]:
        return [self._in_keras_layout(W, i) for i, W in enumerate(self.network.get_weights())]

    def set_weights(self, weights: Sequence[Array]) -> None:
        transposed = self.conventions.weights == "units,inputs"
        own = [
            np.array(np.transpose(W) if transposed and i % 2 == 0 else W, self.conventions.dtype, order="C")
            for i, W in enumerate(weights)
        ]
        self.network.set_weights([W.reshape(shape) for W, shape in zip(own, self.shapes, strict=True)])

    def outputs(self, x: Array) -> Array:
        """Return probabilities or logits (N, classes); log-probabilities are converted to probabilities."""
        out = np.asarray(self.network.outputs(self._samples(x)))
        out = out.T if self.conventions.samples == "columns" else out
        expected = (len(x), int(np.prod(self.shapes[-1])))
        if out.shape != expected:
            raise CannotRunError(
                f"The outputs of {len(x)} samples must be (N, classes), here {expected}; got {out.shape}."
            )
        with np.errstate(all="ignore"):
            is_logarithm = (out <= 0).all() and np.allclose(np.exp(out).sum(axis=1), 1, atol=1e-4)
        return np.exp(out) if is_logarithm else out

    def _loss(self, x: Array, t: Array) -> Any:
        return np.asarray(self.network.loss(self._samples(x), self._targets(t))) / self._divisor(x)

    def _gradients(self, x: Array, t: Array) -> list[Array]:
        found = list(self.network.gradients(self._samples(x), self._targets(t)))
        if len(found) != len(self.shapes):
            raise ValueError(f"There must be {len(self.shapes)} gradients, one of each weight; got {len(found)}.")
        return [self._checked_gradient(dW, i) / self._divisor(x) for i, dW in enumerate(found)]

    def _step(self, x: Array, t: Array, learning_rate: float) -> None:
        self.network.step(self._samples(x), self._targets(t), learning_rate / self._divisor(x))

    def _backward(self, x: Array, dout: Array) -> list[Array]:
        found = self.network.backward(self._samples(x), self._samples(dout))
        return [self._checked_gradient(dW, i) for i, dW in enumerate(found)]

    def _trace(self, x: Array, t: Array) -> Mapping[str, Array]:
        found: Mapping[str, Array] = self.network.trace(self._samples(x), self._targets(t))
        return found

    def _samples(self, x: Array) -> Array:
        x = np.asarray(x, self.conventions.dtype)  # no copy of its own: what the network does to x must be seen
        return x.T if self.conventions.samples == "columns" else x

    def _targets(self, t: Array) -> Array:
        if self.conventions.targets == "rows":
            return self._samples(t)
        if not ((t == 0) | (t == 1)).all():
            raise NotOffered("the network takes class numbers, not soft labels")
        return t.argmax(axis=1)

    def _divisor(self, x: Array) -> int:
        return len(x) if self.conventions.loss == "sum" else 1

    def _checked_gradient(self, dW: Any, i: int) -> Array:
        """Return a gradient in Keras's layout."""
        name, units = f"{'Wb'[i % 2]}{i // 2 + 1}", int(np.prod(self.shapes[i]))
        if np.shape(dW) != self.shapes[i] and not (i % 2 and np.size(dW) in (1, units)):
            raise ValueError(f"The gradient of {name} must have its shape {self.shapes[i]}; got {np.shape(dW)}.")
        return self._in_keras_layout(dW, i)

    def _in_keras_layout(self, W: Any, i: int) -> Array:
        """Return a copy of W (inputs, units) or b (units,), or of a gradient; one number stands for all units."""
        W, shape = np.array(W), self.shapes[i]
        if i % 2:
            units = int(np.prod(shape))
            return np.full(units, W) if W.size == 1 else W.reshape(-1) if W.size == units else W
        return W.T if self.conventions.weights == "units,inputs" else W
