"""Models from scratch to Keras and back: the same layers under the same names, with the same weights."""

import re
from typing import Any

import keras
import numpy as np

from keras_impl.frameworks import floatx
from scratch import initializers, layers, losses
from scratch.models import Sequential
from scratch.optimizers import SGD

Model = Sequential | keras.Sequential


def to_keras(model: Sequential) -> keras.Sequential:
    """The Keras twin of a scratch model, compiled alike if the model is compiled.

    Raises:
        ValueError: if a layer has no counterpart in Keras; the message names it.
    """
    if not isinstance(model, Sequential):
        raise ValueError(f"Only a scratch model has a counterpart made of it in Keras; got {type(model).__name__}.")
    twin = keras.Sequential(name=model.name)
    if model.input_shape is not None:
        twin.add(keras.Input(shape=model.input_shape[1:], dtype=model.dtype.name))
    for layer in model.layers:
        twin.add(_keras_layer(layer))
    if model.built:
        copy_weights(model, twin)
    if model.loss is not None and model.optimizer is not None:
        with floatx(model.dtype.name):
            twin.compile(keras_optimizer(model.optimizer), _keras_loss(model), metrics=[m.name for m in model.metrics])
    return twin


def to_scratch(model: keras.Sequential, backend: str = "numba") -> Sequential:
    """The scratch twin of a Keras model; not compiled, since Keras knows more optimizers and losses than scratch.

    Args:
        model: a ``keras.Sequential`` of layers that scratch has.
        backend: that of the twin.

    Raises:
        ValueError: if a layer, or a setting of it, has no counterpart in scratch; the message names it.
    """
    if not isinstance(model, keras.Sequential):
        raise ValueError(f"Only a keras.Sequential has a counterpart in scratch; got {type(model).__name__}.")
    dtype = model.layers[0].dtype if model.layers else None
    twin = Sequential(name=model.name, backend=backend, dtype=dtype)
    if model.built:
        twin.add(layers.Input(model.input_shape[1:]))
    for layer in model.layers:
        twin.add(_scratch_layer(layer))
    if model.built:
        copy_weights(model, twin)
    return twin


def copy_weights(source: Model, target: Model) -> None:
    """Give one model the weights of another, each of either kind.

    Raises:
        ValueError: if a model has no weights yet, or theirs are of different shapes; then none has been changed.
    """
    for model in (source, target):
        if not isinstance(model, Sequential | keras.Sequential):
            raise ValueError(f"Weights are copied between scratch and Keras models; got {type(model).__name__}.")
        if not model.built:
            raise ValueError(f"Model {model.name!r} has no weights yet; build it, for example by calling it on data.")
    weights = source.get_weights()
    shapes, expected = [W.shape for W in weights], [W.shape for W in target.get_weights()]
    if shapes != expected:
        raise ValueError(f"Model {target.name!r} has weights of shapes {expected}; got {shapes} from {source.name!r}.")
    target.set_weights(weights)


def keras_optimizer(sgd: SGD) -> keras.optimizers.SGD:
    """Keras's SGD with the settings of ours."""
    return keras.optimizers.SGD(
        learning_rate=sgd.learning_rate,
        momentum=sgd.momentum,
        nesterov=sgd.nesterov,
        weight_decay=sgd.weight_decay,
        clipnorm=sgd.clipnorm,
        clipvalue=sgd.clipvalue,
        global_clipnorm=sgd.global_clipnorm,
    )


def _keras_loss(model: Sequential) -> keras.losses.Loss:
    # A loss casts the predictions to its own dtype, and a cast loses the logits: it must have that of the last layer.
    settings: dict[str, Any] = {"dtype": model.layers[-1].dtype.name if model.layers else model.dtype.name}
    loss = model.loss
    settings |= {"from_logits": loss.from_logits, "reduction": loss.reduction}
    if isinstance(loss, losses.SparseCategoricalCrossentropy):
        return keras.losses.SparseCategoricalCrossentropy(**settings)
    return keras.losses.CategoricalCrossentropy(label_smoothing=loss.label_smoothing, **settings)


def _keras_layer(layer: layers.Layer) -> keras.layers.Layer:
    common = {"name": layer.name, "dtype": layer.dtype.name}
    kind = type(layer)
    if kind is layers.Dense:
        start = {name: _initializer_name(layer, name) for name in INITIALIZERS}
        return keras.layers.Dense(layer.units, layer.activation, layer.use_bias, **start, **common)
    if kind is layers.Activation:
        return keras.layers.Activation(layer.activation, **common)
    same = {layers.Flatten: keras.layers.Flatten, layers.ReLU: keras.layers.ReLU, layers.Softmax: keras.layers.Softmax}
    if kind in same:
        return same[kind](**common)
    raise ValueError(f"Layer {layer.name!r} ({kind.__name__}) has no counterpart in Keras.")


INITIALIZERS = ("kernel_initializer", "bias_initializer")


def _initializer_name(layer: layers.Dense, setting: str) -> str:
    """Keras's name of an initializer; one without a name matters only as long as there are no weights to copy."""
    function = getattr(layer, setting)
    name = getattr(function, "__name__", "")
    if initializers.INITIALIZERS.get(name) is function:
        return str(name)
    if layer.built:
        return "zeros"
    raise ValueError(f"Layer {layer.name!r} has a {setting} of its own, which Keras does not know; build it first.")


# What may be set on a Keras layer and scratch has not, and the values at which it does nothing.
NEUTRAL: dict[str, dict[str, Any]] = {
    "Dense": {
        "kernel_regularizer": None,
        "bias_regularizer": None,
        "activity_regularizer": None,
        "kernel_constraint": None,
        "bias_constraint": None,
    },
    "ReLU": {"max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    "Softmax": {"axis": -1},
    "Flatten": {"data_format": "channels_last"},
    "Activation": {},
}


def _scratch_layer(layer: keras.layers.Layer) -> layers.Layer:
    kind = type(layer).__name__
    if kind not in NEUTRAL:
        raise ValueError(f"Layer {layer.name!r} ({kind}) has no counterpart in scratch.")
    activation = _activation(layer) if kind in ("Dense", "Activation") else "linear"
    config = layer.get_config()
    for setting, neutral in {"trainable": True, **NEUTRAL[kind]}.items():
        value = layer.trainable if setting == "trainable" else config.get(setting, neutral)
        if value != neutral:
            raise ValueError(f"Layer {layer.name!r} has {setting}={value!r}, which scratch does not know.")
    dtype = np.dtype(layer.compute_dtype).name
    if dtype not in ("float32", "float64") or layer.variable_dtype != layer.compute_dtype:
        raise ValueError(f"Layer {layer.name!r} has dtype={layer.dtype_policy.name!r}, which scratch does not know.")
    common: layers.Common = {"name": layer.name, "dtype": dtype}
    if kind == "Dense":
        start = {name: _scratch_initializer(layer, name, config[name]) for name in INITIALIZERS}
        return layers.Dense(config["units"], activation, config["use_bias"], **start, **common)
    if kind == "Activation":
        return layers.Activation(activation, **common)
    same = {"Flatten": layers.Flatten, "ReLU": layers.ReLU, "Softmax": layers.Softmax}
    return same[kind](**common)


def _scratch_initializer(layer: keras.layers.Layer, setting: str, config: dict[str, Any]) -> str:
    """Scratch's name of an initializer; one that it lacks matters only as long as there are no weights to copy."""
    name = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", config["class_name"]).lower()
    if name in initializers.INITIALIZERS:
        return name
    if layer.built:
        return "zeros"
    raise ValueError(f"Layer {layer.name!r} has {setting}={config['class_name']}, which scratch does not know.")


def _activation(layer: keras.layers.Layer) -> str:
    name = getattr(layer.activation, "__name__", repr(layer.activation))
    if name not in layers.ACTIVATIONS or layer.activation is not keras.activations.get(name):
        raise ValueError(f"Layer {layer.name!r} has activation={name!r}, which scratch does not know.")
    return name
