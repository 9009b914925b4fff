"""Convert models between scratch and Keras: the same layers under the same names, with the same weights.

A model is converted through Keras's config, as a .keras file is: ``scratch.saving`` describes a scratch model as Keras
would, and reads such a description.  What scratch and Keras share is therefore defined in one place,
``scratch.saving.settings``.
"""

from typing import Any

import keras

from keras_impl.frameworks import floatx
from scratch.models import Sequential, from_description
from scratch.saving import config, entries, settings

Model = Sequential | keras.Sequential


def to_keras(model: Sequential) -> keras.Sequential:
    """Return a Keras model with the layers and weights of a scratch model, compiled alike if that one is compiled.

    Raises:
        ValueError: if Keras has no counterpart of a layer, the loss, the optimizer or a metric; the message names it.
    """
    if not isinstance(model, Sequential):
        raise ValueError(f"to_keras expects a scratch Sequential; got {type(model).__name__}.")
    twin = keras.saving.deserialize_keras_object(config.write_model(model))
    if model.built:
        copy_weights(model, twin)
    if arguments := compile_arguments(model):
        twin.compile(**arguments)
    return twin


def compile_arguments(model: Sequential) -> dict[str, Any]:
    """Return the arguments of a scratch model's ``compile`` as Keras objects; empty if the model is not compiled.

    Raises:
        ValueError: if Keras has no counterpart of the loss, the optimizer or a metric; the message names it.
    """
    with floatx(model.dtype.name):  # the dtype of the optimizer's settings
        arguments: dict[str, Any] = keras.saving.deserialize_keras_object(config.write_compile_arguments(model))
    return arguments


def to_scratch(model: keras.Sequential, backend: str = "numba") -> Sequential:
    """Return a scratch model with the layers and weights of a Keras model.

    The result is not compiled, since Keras has more optimizers and losses than scratch.

    Args:
        model: a ``keras.Sequential`` whose layers scratch has.
        backend: the backend of the result, ``'numba'`` or ``'numpy'``.

    Raises:
        ValueError: if scratch does not support a layer or a setting; the message names it.
    """
    if not isinstance(model, keras.Sequential):
        raise ValueError(f"to_scratch expects a keras.Sequential; got {type(model).__name__}.")
    layers = [_describe(layer, model.built) for layer in model.layers]
    described = {"name": model.name, "layers": layers, "build_input_shape": model.input_shape if model.built else None}
    description = config.read_model(entries.make_entry("keras", "Sequential", described), with_compile=False)
    dtype = model.layers[0].compute_dtype if model.layers else "float32"
    twin = from_description(description._replace(dtype=dtype), backend)
    if model.built:
        copy_weights(model, twin)
    return twin


def _describe(layer: keras.layers.Layer, built: bool) -> entries.Json:
    """Return Keras's config entry of a layer.

    Args:
        layer: a layer of Keras.
        built: whether the weights will be copied.  If so, initializers that scratch does not have do not matter.
    """
    label = f"The layer {layer.name!r} ({type(layer).__name__})"
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", repr(activation))
    # The config of a layer has the name of the activation function only, also if it is another function of that name.
    if activation is not None and getattr(keras.activations, name, None) is not activation:
        raise ValueError(f"{label} has activation={name!r}, which is not a function of keras.activations.")
    try:
        entry = keras.saving.serialize_keras_object(layer)
    except NotImplementedError:  # a layer of the user without get_config
        raise ValueError(f"{label} has no config, so scratch does not support it.") from None
    for key, value in entry["config"].items():
        if built and key.endswith("_initializer") and not _is_supported(value):
            entry["config"][key] = settings.ZEROS
    return entry


def _is_supported(initializer: Any) -> bool:
    try:
        entries.read(settings.INITIALIZERS, initializer, "initializer")
    except ValueError:
        return False
    return True


def copy_weights(source: Model, target: Model) -> None:
    """Copy the weights of one model to another, each of scratch or of Keras.

    Raises:
        ValueError: if a model has no weights yet, or if their shapes differ; nothing is changed then.
    """
    for model in (source, target):
        if not isinstance(model, Sequential | keras.Sequential):
            raise ValueError(f"copy_weights expects models of scratch or Keras; got {type(model).__name__}.")
        if not model.built:
            raise ValueError(f"Model {model.name!r} has no weights yet; build it, for example by calling it on data.")
    weights = source.get_weights()
    shapes, expected = [W.shape for W in weights], [W.shape for W in target.get_weights()]
    if shapes != expected:
        raise ValueError(f"Model {target.name!r} has weights of shapes {expected}; got {shapes} from {source.name!r}.")
    target.set_weights(weights)
