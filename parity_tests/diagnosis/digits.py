"""Train a network on real digits beside Keras: the accuracy that a mistake costs, or hides."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from keras_impl.frameworks import FRAMEWORK, floatx
from parity_tests.diagnosis.judge import Architecture, keras_model
from parity_tests.diagnosis.situations import draw_weights
from parity_tests.implementations.adapters import adapt
from parity_tests.implementations.construct import sizes_of
from parity_tests.implementations.conventions import Conventions
from parity_tests.implementations.protocol import CannotRunError
from scratch.batches import batches
from scratch.datasets.mnist import Dataset

SIZES = (784, 50, 10)
SAMPLES, BATCH, EPOCHS, LEARNING_RATE = 20_000, 100, 2, 0.1
Array = np.ndarray


class DigitsResult(NamedTuple):
    """Accuracies on the test digits after two epochs, from the same weights on the same batches."""

    network: float
    keras: float
    samples: int

    def __str__(self) -> str:
        text = f"two epochs of {self.samples:,} digits: accuracy {self.network:.4f}, Keras {self.keras:.4f}"
        return text + (" (accuracy hides bugs: the table above decides)" if self.network >= self.keras - 0.005 else "")


def train_on_digits(
    implementation: Any,
    sizes: Sequence[int] | None,
    conventions: Conventions,
    architecture: Architecture,
    digits: Dataset,
    seed: int = 0,
) -> DigitsResult:
    """Train a fresh network and Keras's for two epochs with learning rate 0.1.

    Args:
        implementation: what ``adapt`` takes.
        sizes: sizes of the network; 784, 50, 10 for a class or function if not given.
        conventions: those of the network.
        architecture: its activations and dtype.
        digits: MNIST, or part of it.
        seed: seed of the initial weights.

    Raises:
        CannotRunError: if the sizes do not fit the digits, or the network offers no ``step``.
    """
    network = network_for_digits(implementation, sizes, conventions)
    sizes, dtype = sizes_of(network), architecture.dtype
    if FRAMEWORK != "tensorflow":
        dtype = "float32"  # Keras on JAX and torch has no float64
    hidden, last = architecture.activations[0], architecture.activations[-1]
    architecture = replace(architecture, dtype=dtype, sizes=sizes, activations=(*[hidden] * (len(sizes) - 2), last))
    weights = [W.astype(dtype) for W in draw_weights(np.random.default_rng(seed), architecture.sizes)]
    weights[1::2] = [np.zeros_like(b) for b in weights[1::2]]
    x, labels = (array[:SAMPLES] for array in digits.train)
    x_test = flat(digits.test[0], dtype)
    model = keras_model(architecture)
    network.set_weights([W.copy() for W in weights])
    model.set_weights(weights)
    model.optimizer.learning_rate = LEARNING_RATE
    with floatx(dtype):
        for rows in chain.from_iterable(batches(len(x), BATCH) for _ in range(EPOCHS)):
            xb, tb = flat(x[rows], dtype), np.eye(10, dtype=dtype)[labels[rows]]
            network.step(xb.copy(), tb.copy(), LEARNING_RATE)
            model.train_on_batch(xb, tb)
        theirs = model.predict(x_test, verbose=0)
    ours = np.asarray(network.outputs(x_test))
    return DigitsResult(accuracy(ours, digits.test[1]), accuracy(theirs, digits.test[1]), len(x))


def network_for_digits(implementation: Any, sizes: Sequence[int] | None, conventions: Conventions) -> Any:
    """Return a fresh network that can be trained on digits; see ``train_on_digits``."""
    if sizes is None and (inspect.isclass(implementation) or inspect.isroutine(implementation)):
        sizes = SIZES
    network = adapt(implementation, sizes, conventions)()
    found = sizes_of(network)
    if (found[0], found[-1]) != (784, 10):
        raise CannotRunError(f"--mnist needs a network with 784 inputs and 10 classes; it has the sizes {found}.")
    if not hasattr(network, "step"):
        raise CannotRunError("--mnist needs a network that offers step(x, t, learning_rate).")
    return network


def flat(x: Array, dtype: str) -> Array:
    """Return images (N, 28, 28) of bytes as rows of numbers from 0 to 1."""
    return (x.reshape(len(x), -1) / 255).astype(dtype)


def accuracy(outputs: Array, labels: Array) -> float:
    """Return the share of samples whose largest output is that of their label."""
    return float((outputs.argmax(axis=1) == labels).mean())
