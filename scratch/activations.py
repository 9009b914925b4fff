"""Activation functions (活性化関数) of arrays, as in ``keras.activations``: ``Dense(10, activation=activations.relu)``.

A layer computes its activation by name, on its backend; ``get`` returns the name for a function.
"""

import inspect
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


def _function(name: str) -> Callable[..., Array]:
    """Return an activation as a function of an array."""
    forward = getattr(numpy_ops, f"{name}_forward")
    signature = inspect.signature(forward)

    def activation(x: ArrayLike, *arguments: float, **options: float) -> Array:
        try:
            signature.bind(x, *arguments, **options)
        except TypeError as error:
            known = ", ".join(signature.parameters)
            raise TypeError(f"scratch's {name} has the arguments {known}; got {error}.") from None
        array = check_numeric("x", x)
        result: Array = forward(array if array.dtype.kind == "f" else array.astype(np.float32), *arguments, **options)
        return result

    activation.__name__ = activation.__qualname__ = name
    activation.__doc__ = (
        f"Return {name}(x), with the shape (…) and the dtype of x; float32 for integers.\n\n"
        f"Formula and options: ``numpy_ops.{name}_forward``.  Source: ``keras/src/activations/activations.py``."
    )
    return activation


linear = _function("linear")
relu = _function("relu")
sigmoid = _function("sigmoid")
softmax = _function("softmax")
tanh = _function("tanh")
elu = _function("elu")
leaky_relu = _function("leaky_relu")
softplus = _function("softplus")


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
