"""Train a network on real digits beside Keras: the accuracy that a mistake costs, or hides."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_impl.frameworks import floatx
from parity_tests.diagnosis.judge import Architecture, keras_model
from parity_tests.diagnosis.situations import draw_weights
from scratch.datasets.mnist import Dataset

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


def train_on_digits(factory: Callable[[], Any], architecture: Architecture, digits: Dataset) -> DigitsResult:
    """Train a fresh network and Keras's for two epochs with learning rate 0.1.

    Args:
        factory: returns a fresh network that offers ``step``.
        architecture: its architecture, with 784 inputs and 10 classes.
        digits: MNIST, or part of it.

    Raises:
        ValueError: if the sizes do not fit the digits, or the network offers no ``step``.
    """
    network, dtype = factory(), architecture.dtype
    if (architecture.sizes[0], architecture.sizes[-1]) != (784, 10):
        raise ValueError(f"--mnist needs a network with 784 inputs and 10 classes; it has {architecture.sizes}.")
    if not hasattr(network, "step"):
        raise ValueError("--mnist needs a network that offers step(x, t, learning_rate).")
    weights = [W.astype(dtype) for W in draw_weights(np.random.default_rng(0), architecture.sizes)]
    weights[1::2] = [np.zeros_like(b) for b in weights[1::2]]
    x, labels = (array[:SAMPLES] for array in digits.train)
    x_test = flat(digits.test[0], dtype)
    model = keras_model(architecture)
    network.set_weights([W.copy() for W in weights])
    model.set_weights(weights)
    model.optimizer.learning_rate = LEARNING_RATE
    with floatx(dtype):
        for rows in batches(len(x)):
            xb, tb = flat(x[rows], dtype), np.eye(10, dtype=dtype)[labels[rows]]
            network.step(xb.copy(), tb.copy(), LEARNING_RATE)
            model.train_on_batch(xb, tb)
        theirs = model.predict(x_test, verbose=0)
    ours = np.asarray(network.outputs(x_test))
    return DigitsResult(accuracy(ours, digits.test[1]), accuracy(theirs, digits.test[1]), len(x))


def batches(samples: int) -> Iterator[slice]:
    """Yield the rows of each batch of all epochs."""
    for _ in range(EPOCHS):
        yield from (slice(start, start + BATCH) for start in range(0, samples, BATCH))


def flat(x: Array, dtype: str) -> Array:
    """Return images (N, 28, 28) of bytes as rows of numbers from 0 to 1."""
    return (x.reshape(len(x), -1) / 255).astype(dtype)


def accuracy(outputs: Array, labels: Array) -> float:
    """Return the share of samples whose largest output is that of their label."""
    return float((outputs.argmax(axis=1) == labels).mean())
