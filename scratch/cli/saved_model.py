"""What ``evaluate`` and ``predict`` share: a saved model, its inputs and its probabilities."""

import argparse

import numpy as np

from scratch.layers import Activation
from scratch.models import Sequential, load_model
from scratch.pixels import Pixels
from scratch.utils import Array


def parser(word: str, description: str) -> argparse.ArgumentParser:
    """Return a parser for a command that takes a saved model."""
    made = argparse.ArgumentParser(prog=f"python -m scratch {word}", description=description)
    made.add_argument("model", metavar="FILE.keras", help="a model that scratch or Keras saved")
    return made


def load(file: str) -> Sequential:
    """The model, giving probabilities, and compiled with the loss that is reported, whatever it was trained with.

    In NumPy: that is quicker than loading compiled kernels for one pass through the digits.
    """
    model = load_model(file, compile=False, backend="numpy")
    if not model.built or model.layers[-1].activation not in ("softmax", "linear"):
        raise ValueError(f"{file} does not end in a softmax or in logits; it tells no classes apart.")
    if model.layers[-1].activation == "linear":
        model.add(Activation("softmax"))
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def inputs(file: str, model: Sequential, images: Array) -> Pixels:
    """Images (N, height, width) as the numbers from 0 to 1, and in the shape, that the model takes."""
    height, width = images.shape[1:]
    shape = tuple(length for length in (model.input_shape or ())[1:] if length is not None)
    if shape not in ((height * width,), (height, width), (height, width, 1)):
        wanted = f"({height * width},) or ({height}, {width})"
        raise ValueError(f"{file} takes samples of shape {shape}; for images of {height}×{width} it must be {wanted}.")
    return Pixels(images.reshape(len(images), *shape))


def probabilities(file: str, model: Sequential, x: Pixels) -> Array:
    """Return the probabilities (N, C) of the inputs x."""
    probabilities = model.predict(x, batch_size=1000, verbose=0)
    if not np.isfinite(probabilities).all():
        raise ValueError(f"{file} gives NaN: its training diverged.")
    return probabilities
