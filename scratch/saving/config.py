"""A model as Keras's config.json describes it: its layers, and how it was compiled; no weights."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from scratch import losses
from scratch.layers import Input, Layer
from scratch.losses import Loss
from scratch.metrics import CategoricalAccuracy
from scratch.optimizers import SGD
from scratch.saving.settings import (
    DTYPE,
    LAYERS,
    LOSSES,
    METRICS,
    NAME,
    OPTIMIZERS,
    Json,
    Kind,
    Setting,
    entry,
    read,
    read_shape,
    shown,
    write,
)
from scratch.training import Trainer

LARGEST = 1 << 22  # bytes of a config.json
MOST_LAYERS = 120  # fewer names than one node of an HDF5 group holds; see hdf5._check_trees
HOW_NOT_WHAT = ("run_eagerly", "jit_compile", "steps_per_execution")  # how fast Keras computes the same


class Compiled(NamedTuple):
    """The arguments of ``compile``."""

    optimizer: SGD
    loss: Loss
    metrics: list[str | CategoricalAccuracy]


class Description(NamedTuple):
    """A model that could be made.

    Attributes:
        name: its name.
        dtype: for layers that don't name one.
        layers: with the ``Input`` in front if the shape of the input is known; none has weights yet.
        compiled: None if it was not compiled.
    """

    name: str
    dtype: str
    layers: list[Layer]
    compiled: Compiled | None


def to_json(model: Trainer) -> str:
    """The config.json of a model.

    Raises:
        ValueError: if Keras has no counterpart of a layer, the loss, the optimizer or a metric, or can't have its name.
    """
    if len(model.layers) > MOST_LAYERS:
        raise ValueError(f"The model has {len(model.layers)} layers; an archive holds {MOST_LAYERS}.")
    layers = [write(LAYERS, layer, f"The layer {layer.name!r}") for layer in model.layers]
    config = {"name": NAME.write(model.name), "trainable": True, "dtype": DTYPE.write(model.dtype), "layers": layers}
    whole = entry("keras", "Sequential", config)
    if model.input_shape is not None:
        shape = list(model.input_shape)
        layers.insert(0, _input_layer(model, shape))
        config["build_input_shape"], whole["build_config"] = shape, {"input_shape": shape}
    return json.dumps(whole | {"compile_config": _compile_config(model)})


def _input_layer(model: Trainer, shape: Json) -> Json:
    name = "input_layer"
    while name in [layer.name for layer in model.layers]:
        name += "_"
    dtype = (model.layers[0] if model.layers else model).dtype.name
    return entry("keras.layers", "InputLayer", {"batch_shape": shape, "dtype": dtype, "name": name})


def _compile_config(model: Trainer) -> Json:
    if model.loss is None or model.optimizer is None:
        return {}
    loss = write(LOSSES, model.loss, "The loss")
    # Keras's loss casts the predictions to a dtype of its own: it must be that of the last layer.
    loss["config"]["dtype"] = (model.layers[-1] if model.layers else model).dtype.name
    return {
        "optimizer": write(OPTIMIZERS, model.optimizer, "The optimizer"),
        "loss": loss,
        "metrics": [write(METRICS, metric, f"The metric {metric.name!r}") for metric in model.metrics],
    }


def from_json(content: bytes | bytearray, with_compile: bool) -> Description:
    """What a config.json describes.

    Args:
        content: of the file.
        with_compile: whether to look at how the model was compiled.

    Raises:
        ValueError: if it is not JSON, or describes anything that scratch doesn't have; the message names it.
    """
    if len(content) > LARGEST:
        raise ValueError(f"config.json has {len(content):,} bytes, more than any model needs.")
    try:
        whole = json.loads(content, parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"config.json is not JSON as Keras writes it ({error}).") from None
    model = read(MODEL, whole, "model")
    if not isinstance(model["layers"], list) or len(model["layers"]) > MOST_LAYERS + 1:  # and the Input
        raise ValueError(f"The model should have a list of at most {MOST_LAYERS} layers.")
    layers = [read(LAYERS, layer, "layer") for layer in model["layers"]]
    shape, compile_config = model.get("build_input_shape"), whole.get("compile_config")
    if shape and not any(isinstance(layer, Input) for layer in layers):
        layers.insert(0, Input(shape))
    compiled = _compiled(compile_config) if compile_config and with_compile else None
    return Description(model["name"], model.get("dtype", "float32"), layers, compiled)


def _compiled(config: Json) -> Compiled:
    if not isinstance(config, dict):
        raise ValueError(f"compile_config should hold the arguments of compile; got {shown(config)}.")
    for key, value in config.items():
        if key not in (*Compiled._fields, *HOW_NOT_WHAT) and value not in (None, []):
            raise ValueError(f"The model was compiled with {key}={shown(value)}, which scratch does not know.")
    metrics = config.get("metrics") or []
    if not isinstance(metrics, list):
        raise ValueError(f"The metrics should be a list; got {shown(metrics)}.")
    return Compiled(
        read(OPTIMIZERS, config.get("optimizer"), "optimizer"),
        losses.get(_by_name(LOSSES, config.get("loss"), "loss")),
        [_by_name(METRICS, metric, "metric") for metric in metrics],
    )


def _by_name(kinds: Mapping[str, Kind], value: Json, what: str) -> Any:
    """A name, as compile takes it; the name of a function of Keras's; or the object that is described."""
    if isinstance(value, dict) and (value.get("module"), value.get("class_name")) == ("builtins", "function"):
        value = value.get("config")
    return value if isinstance(value, str) else read(kinds, value, what)


def _integer(digits: str) -> int:
    if len(digits) > 18:
        raise ValueError(f"{digits[:18]}… is too large a number")
    return int(digits)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


MODEL = {
    "Sequential": Kind(
        "keras",
        dict,
        {
            "name": NAME,
            "layers": Setting(lambda layers: layers),
            "dtype": DTYPE._replace(optional=True),
            "build_input_shape": Setting(lambda shape: shape and read_shape(shape), optional=True),
        },
        {"trainable": True},
    )
}
