"""Every tensor of one pass forward and backward through a Keras model, under the names of scratch's ``model.trace``.

Keras computes everything: its layers the outputs, its ``compute_loss`` the loss, its framework the gradients.  The
gradient with respect to a tensor between two layers is found by adding zeros, the *shift*, to the tensor and
differentiating the loss with respect to them.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_impl.frameworks import FRAMEWORK, Tensors, floatx, to_numpy, value_and_gradients
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
    of_logits = _takes_logits(model)
    shifts = _zero_shifts(model, len(inputs))

    def loss_and_outputs(tensors: Tensors) -> tuple[Any, Tensors]:
        x, *rest = tensors
        weights = zip(model.trainable_variables, rest[len(shifts) :], strict=True)
        with keras.StatelessScope(state_mapping=list(weights)):
            outputs, y_pred = _forward(model.layers, x, rest[: len(shifts)], of_logits, training)
            loss = model.compute_loss(y=keras.ops.convert_to_tensor(t), y_pred=y_pred)
        return loss, [*outputs, loss]

    with floatx(model.layers[-1].compute_dtype):
        values, gradients = value_and_gradients(
            loss_and_outputs, [inputs, *shifts, *map(to_numpy, model.trainable_variables)]
        )
    count = 1 + len(shifts)
    return _by_name(model.layers, values, gradients[:count], gradients[count:])


def gradients(model: keras.Sequential, x: ArrayLike, y: ArrayLike) -> tuple[float, list[np.ndarray]]:
    """Return the loss of a batch, and its gradient with respect to each of the model's ``trainable_variables``."""
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


def _takes_logits(model: keras.Sequential) -> bool:
    """Return whether the model ends in a softmax or a sigmoid, and the loss takes its logits instead of its output.

    On TensorFlow, the output of either activation keeps its logits, and every cross-entropy of Keras takes them: the
    loss of a sigmoid's output with a categorical cross-entropy is that of a softmax of the logits.  With
    ``from_logits=True`` it is computed from the output, as declared; in training, Keras warns and takes the logits.
    """
    last = model.layers[-1]
    while isinstance(last, keras.Sequential):
        last = last.layers[-1]
    activation = "softmax" if isinstance(last, keras.layers.Softmax) else getattr(last, "activation", None)
    logits_of = {name: logits.logits_of for name, loss in LOSSES.items() if (logits := loss().for_logits())}
    ends = {kind for kind in logits_of.values() if activation in (kind, getattr(keras.activations, str(kind)))}
    keeps_logits = bool(ends) and FRAMEWORK == "tensorflow"
    return any(
        kind in ends or (keeps_logits and not getattr(loss, "from_logits", False))
        for loss in map(keras.losses.get, keras.tree.flatten(model.loss))
        for name, kind in logits_of.items()
        if loss is getattr(keras.losses, name) or isinstance(loss, getattr(keras.losses, LOSSES[name].__name__))
    )


def _zero_shifts(model: keras.Sequential, samples: int) -> Arrays:
    """Return zeros of the shapes of all layers' outputs, which are those of their logits as well."""
    return [np.zeros((samples, *layer.output.shape[1:]), layer.compute_dtype) for layer in model.layers]


def _forward(
    layers: list[keras.layers.Layer], x: Any, shifts: Tensors, of_logits: bool, training: bool
) -> tuple[Tensors, Any]:
    """Return the output of each layer, and the last one as the loss takes it, with the shifts added on the way.

    The last shift is added to the last output, or to the logits that it is computed from.
    """
    outputs = []
    for layer, shift in zip(layers[:-1], shifts[:-1], strict=True):
        outputs.append(layer(x, training=training))
        x = outputs[-1] + shift
    if of_logits:
        out = y_pred = _call_with_shifted_logits(layers[-1], x, shifts[-1], training)
    else:
        out = layers[-1](x, training=training)
        y_pred = out + shifts[-1]
    return [*outputs, out], y_pred


def _call_with_shifted_logits(layer: keras.layers.Layer, x: Any, shift: Any, training: bool) -> Any:
    """Return the output of a layer that ends in an activation, or of a model that does, with the shift before it."""
    if isinstance(layer, keras.Sequential):
        *inner, layer = layer.layers
        for other in inner:
            x = other(x, training=training)
        return _call_with_shifted_logits(layer, x, shift, training)
    if not isinstance(layer, keras.layers.Dense):
        return layer(x + shift, training=training)
    activation = layer.activation
    layer.activation = lambda z: activation(z + shift)
    try:
        return layer(x, training=training)
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
        input_gradients: the gradient with respect to the input of each layer, and last to that of the loss.
        weight_gradients: in the order of ``trainable_variables``.
    """
    *outputs, loss = values
    result = {f"{layer.name}/out": out for layer, out in zip(layers, outputs, strict=True)}
    result |= {"loss": loss, "loss/dx": input_gradients[-1]}
    remaining = iter(weight_gradients)
    by_layer = [{name: next(remaining) for name in _gradient_names(layer)} for layer in layers]
    for layer, dx, parameters in reversed(list(zip(layers, input_gradients[:-1], by_layer, strict=True))):
        result[f"{layer.name}/dx"] = dx
        result |= {f"{layer.name}/{key}": gradient for key, gradient in parameters.items()}
    return result
