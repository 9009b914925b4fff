"""A small trained model, and helpers to write archives with given entries."""

import zipfile
from pathlib import Path

import numpy as np

from scratch.layers import Activation, Dense, Flatten, Input, ReLU, Softmax
from scratch.losses import SparseCategoricalCrossentropy
from scratch.models import Sequential
from scratch.optimizers import SGD

X = np.random.default_rng(1).normal(size=(30, 4, 2)).astype("float32")
Y = np.arange(30) % 3


def trained_model(backend: str = "numpy", dtype: str = "float32", momentum: float = 0.9) -> Sequential:
    """Return a model with most layers, dtypes and settings, after one epoch of training."""
    layers = [
        Input((4, 2)),
        Flatten(),
        Dense(6, "tanh", kernel_initializer="he_normal"),
        ReLU(),
        Dense(5, use_bias=False, dtype="float64"),
        Activation("sigmoid"),
        Dense(3),
        Softmax(),
    ]
    model = Sequential(layers, name="digits", backend=backend, dtype=dtype)
    loss = SparseCategoricalCrossentropy(reduction="sum")
    model.compile(SGD(0.1, momentum, clipnorm=1.0), loss, metrics=["accuracy"])
    model.fit(X, Y, batch_size=7, verbose=0)
    return model


def state(model: Sequential) -> list[bytes]:
    """Return the bits of all weights and optimizer variables."""
    assert model.optimizer is not None
    return [array.tobytes() for array in (*model.get_weights(), *model.optimizer.variables)]


def write_zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """Write a zip archive with these entries and return its path."""
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path
