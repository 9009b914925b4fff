"""Gradients on each of the frameworks that Keras runs on: TensorFlow, JAX and torch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

Tensors = list[Any]
FRAMEWORK = keras.config.backend()


def value_and_gradients(
    function: Callable[[Tensors], tuple[Any, Tensors]], arrays: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Evaluate a function and its gradient.

    Args:
        function: takes one tensor for each array, and returns a scalar and a list of other tensors.
        arrays: the arguments of the function.

    Returns:
        The other tensors, and the gradient of the scalar with respect to each of the arrays.

    Raises:
        ValueError: if Keras runs on another framework.
    """
    if FRAMEWORK == "tensorflow":
        import tensorflow as tf

        tensors = [tf.constant(array) for array in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            scalar, others = function(tensors)
        gradients = tape.gradient(scalar, tensors, unconnected_gradients="zero")
    elif FRAMEWORK == "jax":
        import jax

        (_, others), gradients = jax.value_and_grad(function, has_aux=True)([jax.numpy.asarray(a) for a in arrays])
    elif FRAMEWORK == "torch":
        import torch

        tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
        scalar, others = function(tensors)
        found = torch.autograd.grad(scalar, tensors, allow_unused=True)
        gradients = [torch.zeros_like(t) if g is None else g for t, g in zip(tensors, found, strict=True)]
    else:
        raise ValueError(f"KERAS_BACKEND must be tensorflow, jax or torch; got {FRAMEWORK!r}.")
    return [to_numpy(tensor) for tensor in others], [to_numpy(gradient) for gradient in gradients]


def as_graph(function: Callable[..., Any], *examples: Any) -> Callable[..., Any]:
    """Return the function as a graph on TensorFlow, which calls small operations ten times faster; else unchanged.

    Args:
        function: takes tensors.
        examples: tensors with the shapes and dtypes of its arguments.
    """
    if FRAMEWORK != "tensorflow":
        return function
    import tensorflow as tf

    graph: Callable[..., Any] = tf.function(function).get_concrete_function(*examples)
    return graph


@contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Set Keras's default dtype within a block: that of the sums of losses and of the settings of optimizers."""
    keras.config.dtype_policy()  # creates the default policy of layers, which otherwise would keep this dtype
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def to_numpy(tensor: Any) -> np.ndarray:
    """Return a copy of a tensor of any framework as a NumPy array."""
    return np.array(keras.ops.convert_to_numpy(tensor))
