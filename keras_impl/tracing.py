"""Every tensor of one pass forward and backward through a Keras model, under the names of scratch's ``model.trace``.

Keras computes everything: its layers the outputs, its ``compute_loss`` the loss, its framework the gradients.  The
gradient with respect to a tensor between two layers is found by adding zeros, the *shift*, to the tensor and
differentiating the loss with respect to them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_impl.frameworks import Tensors, floatx, to_numpy, value_and_gradients
from scratch.losses import LOSSES

PARAMETERS = {
    "kernel": "dW",
    "bias": "db",
    "gamma": "dgamma",
    "beta": "dbeta",
}  # scratch's names for the gradients of Keras's variables
Arrays = list[np.ndarray]


def trace(model: keras.Sequential, x: ArrayLike, t: ArrayLike, training: bool = True) -> dict[str, np.ndarray]:
    """Return the tensors of one batch under the names, and in the order, of scratch's ``model.trace(x, t)``.

    Args:
        model: a built and compiled ``keras.Sequential``.
        x: samples (N, …).
        t: their targets, as the model's loss requires.
        training: whether layers such as ``Dropout`` compute as in training; the model's variables do not change.

    Returns:
        ``{layer}/out`` for each layer; ``loss``; ``loss/dx``, the gradient of the loss with respect to its input (of a
        cross-entropy after a softmax or a sigmoid: the logits); then from the last layer to the first ``{layer}/dx``,
        ``{layer}/dW``, ``{layer}/db``.

    Raises:
        ValueError: if the model is not built or not compiled, or has weights that scratch's layers do not have.
    """
    _check_model(model)
    inputs = np.asarray(x).astype(model.layers[0].compute_dtype)
    fused = _is_fused_with_loss(model)
    shifts = _zero_shifts(model, len(inputs), fused)

    def loss_and_outputs(tensors: Tensors) -> tuple[Any, Tensors]:
        x, *rest = tensors
        weights = zip(model.trainable_variables, rest[len(shifts) :], strict=True)
        with keras.StatelessScope(state_mapping=list(weights)):
            outputs, y_pred = _forward(model.layers, x, rest[: len(shifts)], fused, training)
            loss = model.compute_loss(y=keras.ops.convert_to_tensor(t), y_pred=y_pred)
        return loss, [*outputs, loss]

    with floatx(model.layers[-1].compute_dtype):
        values, gradients = value_and_gradients(
            loss_and_outputs, [inputs, *shifts, *map(to_numpy, model.trainable_variables)]
        )
    count = 1 + len(shifts)
    return _by_name(model.layers, values, gradients[:count], gradients[count:])


def gradients(model: keras.Sequential, x: ArrayLike, y: ArrayLike) -> tuple[float, list[np.ndarray]]:
    """Return the loss of a batch, and its gradient with respect to each array of ``get_weights()``."""
    tensors = trace(model, x, y)
    names = [f"{layer.name}/{name}" for layer in model.layers for name in _gradient_names(layer)]
    return float(tensors["loss"]), [tensors[name] for name in names]


def _check_model(model: keras.Sequential) -> None:
    """Raise a ``ValueError`` unless the model can be traced."""
    if not isinstance(model, keras.Sequential):
        raise ValueError(f"trace expects a keras.Sequential; got {type(model).__name__}.")
    if not model.built or not model.compiled:
        raise ValueError(f"Model {model.name!r} must be built and compiled before it can be traced.")
    for layer in model.layers:
        known = [*PARAMETERS, "moving_mean", "moving_variance"]
        if any(v.name not in known or v.trainable != (v.name in PARAMETERS) for v in layer.weights):
            raise ValueError(f"Layer {layer.name!r} can't be traced: it has weights other than {', '.join(known)}.")


def _is_fused_with_loss(model: keras.Sequential) -> bool:
    """Return whether the model ends in a softmax or a sigmoid, and the loss takes its logits instead of its output."""
    last = model.layers[-1]
    activation = "softmax" if isinstance(last, keras.layers.Softmax) else getattr(last, "activation", None)
    of_logits = [
        (name, loss)
        for name, loss in LOSSES.items()
        if (logits := loss().for_logits()) is not None
        and activation in (logits.logits_of, getattr(keras.activations, str(logits.logits_of)))
    ]
    return any(
        loss is getattr(keras.losses, function_name) or isinstance(loss, getattr(keras.losses, scratch_loss.__name__))
        for loss in map(keras.losses.get, keras.tree.flatten(model.loss))
        for function_name, scratch_loss in of_logits
    )


def _zero_shifts(model: keras.Sequential, samples: int, fused: bool) -> Arrays:
    """Return zeros of the shapes of all layers' outputs.

    If the loss is fused with a softmax or a sigmoid, the last layer's are those of the logits of a Dense, and are left
    out for a layer that is an activation and nothing else, since its logits are the output of the layer before.
    """
    *layers, last = model.layers
    if not fused or isinstance(last, keras.layers.Dense):
        layers.append(last)
    return [np.zeros((samples, *layer.output.shape[1:]), layer.compute_dtype) for layer in layers]


def _forward(
    layers: list[keras.layers.Layer], x: Any, shifts: Tensors, fused: bool, training: bool
) -> tuple[Tensors, Any]:
    """Return the output of each layer, and the last one as the loss takes it, with the shifts added on the way."""
    outputs = []
    for layer, shift in zip(layers[:-1], shifts, strict=False):
        outputs.append(layer(x, training=training))
        x = outputs[-1] + shift
    last = layers[-1]
    if len(shifts) < len(layers):
        out = y_pred = last(x, training=training)
    elif fused:
        with _shifted_logits(last, shifts[-1]):
            out = y_pred = last(x, training=training)
    else:
        out = last(x, training=training)
        y_pred = out + shifts[-1]
    return [*outputs, out], y_pred


@contextmanager
def _shifted_logits(layer: keras.layers.Dense, shift: Any) -> Iterator[None]:
    """Add the shift to the input of a Dense layer's activation function within a block."""
    activation = layer.activation
    layer.activation = lambda z: activation(z + shift)
    try:
        yield
    finally:
        layer.activation = activation


def _gradient_names(layer: keras.layers.Layer) -> list[str]:
    """Return the names of the gradients of a layer's variables: dW, db; of a model, ``{layer}/dW``, … too."""
    if isinstance(layer, keras.Sequential):
        return [f"{inner.name}/{name}" for inner in layer.layers for name in _gradient_names(inner)]
    return [PARAMETERS[v.name] for v in layer.trainable_variables]


def _by_name(
    layers: list[keras.layers.Layer], values: Arrays, input_gradients: Arrays, weight_gradients: Arrays
) -> dict[str, np.ndarray]:
    """Name the tensors of a trace.

    Args:
        layers: the layers, first to last.
        values: the output of each layer, and the loss.
        input_gradients: the gradient with respect to the input of each layer, and last to that of the loss.  If the
            last layer is a softmax that is fused with the loss, both are one.
        weight_gradients: in the order of ``get_weights()``.
    """
    *outputs, loss = values
    result = {f"{layer.name}/out": out for layer, out in zip(layers, outputs, strict=True)}
    result |= {"loss": loss, "loss/dx": input_gradients[-1]}
    remaining = iter(weight_gradients)
    by_layer = [{name: next(remaining) for name in _gradient_names(layer)} for layer in layers]
    for layer, dx, parameters in reversed(list(zip(layers, input_gradients, by_layer, strict=False))):
        result[f"{layer.name}/dx"] = dx
        result |= {f"{layer.name}/{key}": gradient for key, gradient in parameters.items()}
    return result
