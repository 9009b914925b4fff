"""What the commands and the lab need of a model that classifies images."""

import numpy as np

from scratch.network import Network
from scratch.pixels import Pixels
from scratch.utils import Array


def check_classifier(model: Network, name: str) -> None:
    """Raise a ``ValueError``, which calls the model ``name``, unless it gives probabilities or logits."""
    if not model.built or model.last_layer.activation not in ("softmax", "linear"):
        raise ValueError(f"{name} is not a classifier: its last layer must give a softmax or logits.")


def image_inputs(model: Network, images: Array, name: str = "The model") -> Pixels:
    """Return images (N, height, width) in uint8 as inputs from 0 to 1, in the shape that the model expects.

    Raises:
        ValueError: if the model, which the message calls ``name``, expects samples of another size.
    """
    height, width = images.shape[1:]
    shape = tuple(length for length in (model.input_shape or ())[1:] if length is not None)
    if shape not in ((height * width,), (height, width), (height, width, 1)):
        raise ValueError(
            f"{name} expects inputs of shape {shape}; images of {height}×{width} need a model with inputs of shape "
            f"({height * width},) or ({height}, {width})."
        )
    return Pixels(np.ascontiguousarray(images).reshape(len(images), *shape))
