"""Activation functions (活性化関数) of arrays, as in ``keras.activations``: ``Dense(10, activation=activations.relu)``.

A layer computes its activation by name, on its backend; ``get`` returns the name for a function.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scratch.checks import check_name
from scratch.ops import numpy_ops
from scratch.utils import Array

Activation = str | Callable[..., Any] | None  # what layers take
# ``ops`` has a _forward and a _backward for each.
ACTIVATIONS = ("linear", "relu", "sigmoid", "softmax", "tanh", "elu", "leaky_relu", "softplus")


def _function(name: str) -> Callable[[ArrayLike], Array]:
    """Return an activation as a function of an array."""
    forward = getattr(numpy_ops, f"{name}_forward")

    def activation(x: ArrayLike) -> Array:
        array = np.asarray(x)
        result: Array = forward(array if array.dtype.kind == "f" else array.astype(np.float32))
        return result

    activation.__name__ = activation.__qualname__ = name
    activation.__doc__ = f"Return the activation {name!r} of an array, element by element; softmax of each row."
    return activation


linear, relu, sigmoid, softmax = (_function(name) for name in ACTIVATIONS[:4])
tanh, elu, leaky_relu, softplus = (_function(name) for name in ACTIVATIONS[4:])


def get(activation: Activation) -> str:
    """Return the name of an activation, for its name, None, or a function of this module, of Keras or of TensorFlow.

    Raises:
        ValueError: if there is no such activation; the message lists the names.
    """
    package = (getattr(activation, "__module__", None) or "").partition(".")[0]
    if callable(activation) and package in ("scratch", "keras", "tensorflow"):  # such as tf.nn.relu
        name = getattr(activation, "__name__", "").removesuffix("_v2")
        activation = name if name in ACTIVATIONS else activation
    return check_name("activation", "linear" if activation is None else activation, ACTIVATIONS)
