"""Classify images with a saved model, for ``evaluate`` and ``predict``."""

import argparse
from typing import Any

import numpy as np

from scratch.classifiers import check_classifier, image_inputs
from scratch.cli.options import file_name
from scratch.layers import Activation
from scratch.models import load_model
from scratch.pixels import Pixels
from scratch.utils import Array


def saved_model_parser(command: str, description: str) -> argparse.ArgumentParser:
    """Return a parser for a command whose first argument is a saved model."""
    parser = argparse.ArgumentParser(prog=f"python -m scratch {command}", description=description)
    parser.add_argument("model", metavar="FILE.keras", type=file_name, help="a model saved by scratch or Keras")
    return parser


class Classifier:
    """A saved model whose outputs are probabilities.

    The model runs in NumPy: one pass over the data takes less time than loading the compiled kernels.

    Args:
        file: a ``.keras`` file; the loss and the metrics it was trained with are not used.

    Raises:
        ValueError: if the file cannot be read, or its last layer gives neither probabilities nor logits.
    """

    def __init__(self, file: str) -> None:
        model = load_model(file, compile=False, backend="numpy")
        check_classifier(model, file)
        if model.last_layer.activation == "linear":
            model.add(Activation("softmax"))
        model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        self.file, self.model = file, model

    def inputs(self, images: Array) -> Pixels:
        """Return images (N, height, width) in uint8 as inputs from 0 to 1, in the shape that the model expects.

        Raises:
            ValueError: if the model expects samples of another size.
        """
        return image_inputs(self.model, images, self.file)

    def predict(self, images: Array) -> Array:
        """Return the probabilities (N, classes) for images (N, height, width).

        Raises:
            ValueError: if the model expects other images, or its outputs are not finite.
        """
        probabilities = self.model.predict(self.inputs(images), batch_size=1000, verbose=0)
        if not np.isfinite(probabilities).all():
            raise ValueError(f"{self.file} returns NaN: its training diverged.")
        return probabilities

    def evaluate(self, images: Array, labels: Array) -> dict[str, float]:
        """Return the loss (cross-entropy) and the accuracy for images (N, height, width) and labels (N,)."""
        values: Any = self.model.evaluate(self.inputs(images), labels, batch_size=1000, verbose=0, return_dict=True)
        return dict(values)
