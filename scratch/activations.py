"""Activation functions (活性化関数) of arrays, as in ``keras.activations``: ``Dense(10, activation=activations.relu)``.

A layer computes its activation by name, on its backend; ``get`` returns the name for a function.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scratch.checks import check_name, check_numeric
from scratch.ops import numpy_ops
from scratch.utils import Array

ActivationLike = str | Callable[..., Any] | None  # what layers take
# ``ops`` has a _forward and a _backward for each.
ACTIVATIONS = ("linear", "relu", "sigmoid", "softmax", "tanh", "elu", "leaky_relu", "softplus")
MODULES = (("scratch", "activations"), ("keras", "activations"), ("tensorflow", "nn"))  # whose functions layers know


def _result(forward: Callable[..., Array], x: ArrayLike, *settings: float) -> Array:
    """Return an operation of an array of any shape, in its dtype; in float32 for integers."""
    array = check_numeric("x", x)
    return forward(array if array.dtype.kind == "f" else array.astype(np.float32), *settings)


# Each function returns an array with the shape (…) and the dtype of x, float32 for integers; the formulas are those of
# ``numpy_ops`` and of ``keras/src/activations/activations.py``.


def linear(x: ArrayLike) -> Array:
    """Return x."""
    return _result(numpy_ops.linear_forward, x)


def relu(x: ArrayLike) -> Array:
    """Return max(x, 0), of the shape (…) of x."""
    return _result(numpy_ops.relu_forward, x)


def sigmoid(x: ArrayLike) -> Array:
    """Return 1 / (1 + exp(−x)), of the shape (…) of x."""
    return _result(numpy_ops.sigmoid_forward, x)


def softmax(x: ArrayLike) -> Array:
    """Return exp(x) / Σ exp(x) over the last axis, of the shape (…, C) of x."""
    return _result(numpy_ops.softmax_forward, x)


def tanh(x: ArrayLike) -> Array:
    """Return the hyperbolic tangent, of the shape (…) of x."""
    return _result(numpy_ops.tanh_forward, x)


def elu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """Return x where it is positive, else alpha·(exp(x) − 1), of the shape (…) of x."""
    return _result(numpy_ops.elu_forward, x, alpha)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.2) -> Array:
    """Return x where it is positive, else negative_slope·x, of the shape (…) of x."""
    return _result(numpy_ops.leaky_relu_forward, x, negative_slope)


def softplus(x: ArrayLike) -> Array:
    """Return log(1 + exp(x)), of the shape (…) of x."""
    return _result(numpy_ops.softplus_forward, x)


def get(activation: ActivationLike) -> str:
    """Return the name of an activation, for its name, None, or a function of this module, of Keras or of ``tf.nn``.

    Raises:
        ValueError: if there is no such activation; the message lists the names.
    """
    if callable(activation):
        for package, module in MODULES:
            functions = getattr(sys.modules.get(package), module, None)
            for name in ACTIVATIONS:
                if getattr(functions, name, None) is activation:
                    return name
    return check_name("activation", "linear" if activation is None else activation, ACTIVATIONS)
