"""The article's network, its training set-up, and MNIST as its inputs and targets."""

from collections.abc import Sequence

import numpy as np

from scratch.layers import Activation, Dense
from scratch.models import Sequential
from scratch.optimizers import SGD
from scratch.pixels import Pixels
from scratch.utils import Array, to_categorical

Samples = tuple[Array | Pixels, Array]  # inputs (N, height·width) and one-hot targets (N, classes)


def build_model(
    hidden: Sequence[int] = (256, 100), inputs: int = 784, classes: int = 10, backend: str = "numba"
) -> Sequential:
    """Return the article's network: Dense and ReLU for each hidden layer, then Dense and softmax.

    Args:
        hidden: units of the hidden layers.
        inputs: number of input values per sample.
        classes: units of the output layer.
        backend: ``'numpy'`` or ``'numba'``.
    """
    model = Sequential(backend=backend)
    for i, units in enumerate(hidden):
        model.add(Dense(units, input_shape=(inputs,) if i == 0 else None))
        model.add(Activation("relu"))
    model.add(Dense(classes, input_shape=None if hidden else (inputs,)))
    model.add(Activation("softmax"))
    return model


def compile_model(
    model: Sequential, learning_rate: float = 0.01, momentum: float = 0.0, run_eagerly: bool = False
) -> None:
    """Compile a model as the article does: SGD, categorical cross-entropy, accuracy."""
    optimizer = SGD(learning_rate, momentum)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], run_eagerly=run_eagerly)


def prepare_floats(images: Array, labels: Array, classes: int) -> Samples:
    """Return the article's samples: float32 inputs from 0 to 1 and one-hot targets.

    Args:
        images: uint8 array (N, height, width).
        labels: integer array (N,).
        classes: length of a one-hot row.

    Returns:
        Inputs (N, height·width) in float32 and targets (N, classes) in float64.
    """
    pixels, targets = prepare_bytes(images, labels, classes)
    return np.asarray(pixels), targets


def prepare_bytes(images: Array, labels: Array, classes: int) -> Samples:
    """Return the samples of ``prepare_floats`` with the inputs stored as bytes, in a quarter of the memory.

    Args:
        images: uint8 array (N, height, width).
        labels: integer array (N,).
        classes: length of a one-hot row.

    Returns:
        Inputs (N, height·width) as ``Pixels`` and targets (N, classes) in float64.
    """
    return Pixels(images.reshape(len(images), -1)), to_categorical(labels, classes)
