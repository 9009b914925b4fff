"""Models from scratch to Keras and back: the same layers under the same names, with the same weights."""

from typing import Any

import keras
import numpy as np

from keras_impl.frameworks import floatx
from scratch import layers, losses
from scratch.models import Sequential
from scratch.optimizers import SGD

Model = Sequential | keras.Sequential


def to_keras(model: Sequential) -> keras.Sequential:
    """The Keras twin of a scratch model, compiled alike if the model is compiled.

    Raises:
        ValueError: if a layer has no counterpart in Keras; the message names it.
    """
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
        ValueError: if the models have weights of different shapes; then none has been changed.
    """
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
        return keras.layers.Dense(layer.units, layer.activation, layer.use_bias, **common)
    if kind is layers.Activation:
        return keras.layers.Activation(layer.activation, **common)
    same = {layers.Flatten: keras.layers.Flatten, layers.ReLU: keras.layers.ReLU, layers.Softmax: keras.layers.Softmax}
    if kind in same:
        return same[kind](**common)
    raise ValueError(f"Layer {layer.name!r} ({kind.__name__}) has no counterpart in Keras.")


# What may be set on a Keras layer, beside what scratch has as well, and the values at which it does nothing.
NEUTRAL = {
    "Dense": {"kernel_regularizer": None, "bias_regularizer": None, "kernel_constraint": None, "bias_constraint": None},
    "ReLU": {"max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    "Softmax": {"axis": -1},
    "Flatten": {"data_format": "channels_last"},
    "Activation": {},
}


def _scratch_layer(layer: keras.layers.Layer) -> layers.Layer:
    kind, config = type(layer).__name__, layer.get_config()
    if kind not in NEUTRAL:
        raise ValueError(f"Layer {layer.name!r} ({kind}) has no counterpart in scratch.")
    for setting, neutral in NEUTRAL[kind].items():
        if config.get(setting, neutral) != neutral:
            raise ValueError(f"Layer {layer.name!r} has {setting}={config[setting]!r}, which scratch does not know.")
    common: layers.Common = {"name": layer.name, "dtype": np.dtype(layer.compute_dtype).name}
    if kind == "Dense":
        return layers.Dense(config["units"], _activation(layer), config["use_bias"], **common)
    if kind == "Activation":
        return layers.Activation(_activation(layer), **common)
    same = {"Flatten": layers.Flatten, "ReLU": layers.ReLU, "Softmax": layers.Softmax}
    return same[kind](**common)


def _activation(layer: keras.layers.Layer) -> str:
    name = keras.activations.serialize(layer.activation)
    if name not in layers.ACTIVATIONS:
        raise ValueError(f"Layer {layer.name!r} has activation={name!r}, which scratch does not know.")
    return name
