"""Every tensor of one pass forward and backward through a Keras model, under the names that scratch gives them.

Keras computes everything: its layers the outputs, its ``compute_loss`` the loss, its framework the gradients.  To see
the gradient that flows through a point between two layers, a zero is added there and the loss differentiated with
respect to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_impl.frameworks import floatx, value_and_gradients

PARAMETERS = {"kernel": "dW", "bias": "db"}


def trace(model: keras.Sequential, x: ArrayLike, t: ArrayLike) -> dict[str, np.ndarray]:
    """What ``scratch``'s ``model.trace(x, t)`` returns, from Keras: the same names in the same order.

    Args:
        model: a built and compiled ``keras.Sequential``.
        x: samples (N, …).
        t: their targets, as the model's loss wants them.

    Raises:
        ValueError: if the model is not built or not compiled.
    """
    if not isinstance(model, keras.Sequential):
        raise ValueError(f"Only a keras.Sequential can be traced here; got {type(model).__name__}.")
    if not model.built or not model.compiled:
        raise ValueError(f"Model {model.name!r} must be built and compiled before it can be traced.")
    for layer in model.layers:
        if any(v.name not in PARAMETERS or not v.trainable for v in layer.variables):
            raise ValueError(
                f"Layer {layer.name!r} can't be traced: it has variables beside a trained kernel and bias."
            )
    layers, variables = model.layers, model.trainable_variables
    last = layers[-1]
    softmax = isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax
    # The loss looks through a softmax to its logits, so that is where its gradient is to be seen.
    split = softmax and isinstance(last, keras.layers.Dense)
    seen_by_loss = np.zeros((len(np.asarray(x)), model.output_shape[1]), last.dtype)
    zeros = [np.zeros((len(seen_by_loss), *layer.output.shape[1:]), layer.compute_dtype) for layer in layers[:-1]]
    if not softmax or split:
        zeros.append(seen_by_loss)

    def loss_and_outputs(tensors: list[Any]) -> tuple[Any, list[Any]]:
        h, shifts, weights = tensors[0], tensors[1 : 1 + len(zeros)], tensors[1 + len(zeros) :]
        outputs = []
        with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
            for layer, shift in zip(layers[:-1], shifts, strict=False):
                h = layer(h)
                outputs.append(h)
                h = h + shift
            with _shifted_logits(last, shifts[-1] if split else None):
                h = last(h)
            outputs.append(h)
            loss = model.compute_loss(y=keras.ops.convert_to_tensor(t), y_pred=h if softmax else h + shifts[-1])
        return loss, [*outputs, loss]

    inputs = np.asarray(x).astype(layers[0].compute_dtype)
    arrays = [inputs, *zeros, *model.get_weights()]
    with floatx(last.dtype):
        values, (dx, *gradients) = value_and_gradients(loss_and_outputs, arrays)
    flowing, parameters = gradients[: len(zeros)], iter(gradients[len(zeros) :])
    by_layer = {
        layer.name: {PARAMETERS[v.name]: next(parameters) for v in layer.trainable_variables} for layer in layers
    }

    result = {f"{layer.name}/out": value for layer, value in zip(layers, values, strict=False)}
    result |= {"loss": values[-1], "loss/dx": ([dx, *flowing])[-1]}
    for layer, into in reversed(list(zip(layers, [dx, *flowing], strict=False))):
        result[f"{layer.name}/dx"] = into
        result |= {f"{layer.name}/{key}": gradient for key, gradient in by_layer[layer.name].items()}
    return result


def gradients(model: keras.Sequential, x: ArrayLike, y: ArrayLike) -> tuple[float, list[np.ndarray]]:
    """Loss of a batch, and its gradient with respect to each array of ``get_weights()``."""
    tensors = trace(model, x, y)
    names = [f"{layer.name}/{PARAMETERS[v.name]}" for layer in model.layers for v in layer.trainable_variables]
    return float(tensors["loss"]), [tensors[name] for name in names]


@contextmanager
def _shifted_logits(layer: keras.layers.Layer, shift: Any) -> Iterator[None]:
    """Within, a Dense layer adds ``shift`` before its activation; without a shift nothing changes."""
    if shift is None:
        yield
        return
    activation = layer.activation
    layer.activation = lambda z: activation(z + shift)
    try:
        yield
    finally:
        layer.activation = activation
