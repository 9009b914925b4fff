"""The article's program: its network, and MNIST as its inputs and targets."""

import numpy as np

from scratch.layers import Activation, Dense
from scratch.models import Sequential
from scratch.pixels import Pixels
from scratch.utils import Array, to_categorical

Samples = tuple[Array | Pixels, Array]


def build_model(hidden: list[int], inputs: int = 784, classes: int = 10, backend: str = "numba") -> Sequential:
    """The article's network: Dense and ReLU for each hidden layer, then Dense and softmax."""
    model = Sequential(backend=backend)
    for i, units in enumerate(hidden):
        model.add(Dense(units, input_shape=(inputs,) if i == 0 else None))
        model.add(Activation("relu"))
    model.add(Dense(classes, input_shape=None if hidden else (inputs,)))
    model.add(Activation("softmax"))
    return model


def prepare(images: Array, labels: Array, classes: int) -> Samples:
    """Rows of numbers from 0 to 1 for the images, one-hot rows for the labels: the article's, in float32."""
    pixels, targets = prepare_bytes(images, labels, classes)
    return np.asarray(pixels), targets


def prepare_bytes(images: Array, labels: Array, classes: int) -> Samples:
    """The same numbers, of which the images stay bytes until they are computed with."""
    return Pixels(images.reshape(len(images), -1)), to_categorical(labels, classes)
