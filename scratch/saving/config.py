"""Describe a model as Keras's config.json does: its layers and the arguments of ``compile``, without the weights."""

import inspect
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from scratch import losses
from scratch.layer import Layer
from scratch.layers import Input
from scratch.losses import Loss
from scratch.metrics import MeanMetricWrapper, Metric
from scratch.network import Network
from scratch.optimizers import Optimizer
from scratch.saving.entries import (
    Json,
    KerasClass,
    Setting,
    Table,
    make_entry,
    read,
    read_config,
    short_repr,
    write,
    write_config,
    write_settings,
)
from scratch.saving.settings import DTYPE, LAYER, LAYERS, LOSSES, METRICS, NAME, OPTIMIZERS, read_shape
from scratch.utils import warn_user

# A Dense layer takes 650 bytes of a config.json, and 810 if Keras writes it.  A parsed config.json takes up to 36 times
# its size, so less than 200 MB.
MAX_LAYERS = 5_000
MAX_BYTES = 5_000_000
EXECUTION_OPTIONS = ("jit_compile", "steps_per_execution")  # arguments of compile that do not change any result


class CompileArguments(NamedTuple):
    """The arguments of ``compile``."""

    optimizer: Optimizer
    loss: Loss
    metrics: list[str | Metric]
    weighted_metrics: list[str | Metric]
    run_eagerly: bool


class Description(NamedTuple):
    """What is needed to create a model.

    Attributes:
        name: the name of the model.
        dtype: the dtype of layers that have none of their own.
        layers: the layers, without weights, and descriptions of models that are layers.  The first is an ``Input`` if
            the shape of the input is known.
        compile_arguments: None if the model was not compiled.
    """

    name: str
    dtype: str
    layers: "list[Layer | Description]"
    compile_arguments: CompileArguments | None


def to_json(model: Network, **options: Any) -> str:
    """Return the config.json of a model; the options are arguments of ``json.dumps``.

    Raises:
        ValueError: if the model has too many layers or too long names, or as ``write_model``.

    Warns:
        UserWarning: if Keras has no counterpart of an argument of ``compile``, such as a metric that is a function of
            the user: the text then holds none of these arguments.
    """
    if len(model.layers) > MAX_LAYERS:
        raise ValueError(f"The model has {len(model.layers):,} layers; an archive holds at most {MAX_LAYERS:,}.")
    entry = write_model(model)
    try:
        entry["compile_config"] = write_compile_arguments(model)
    except ValueError as error:
        warn_user(f"{error} The arguments of compile are left out; call compile again after loading.")
    text = json.dumps(entry, **options)
    _check_size(text)
    return text


def from_json(content: bytes | bytearray, with_compile: bool) -> Description:
    """Return the model that a config.json describes.

    Args:
        content: the content of the file.
        with_compile: whether to read the arguments of ``compile``.

    Raises:
        ValueError: if the content is not JSON, is too large, or as ``read_model``.
    """
    _check_size(content)
    try:
        entry = json.loads(content, parse_int=_parse_integer, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"config.json is not JSON as Keras writes it ({error}).") from None
    try:
        return read_model(entry, with_compile, max_layers=MAX_LAYERS)
    except RecursionError:
        raise ValueError("config.json describes models within models, deeper than Python can follow.") from None


def write_model(model: Network) -> Json:
    """Return the entry that describes a model, which Keras can deserialize.

    Raises:
        ValueError: if Keras does not support the name, a layer or a setting; the message names it.
    """
    config = {"trainable": True, **write_settings({"name": NAME, "dtype": DTYPE}, model, f"The model {model.name!r}")}
    config["layers"] = layers = [_write_layer(layer) for layer in model.layers]
    entry = make_entry("keras", "Sequential", config)
    if model.input_shape is not None:
        shape = list(model.input_shape)
        layers.insert(0, _input_layer(model, shape))
        config["build_input_shape"], entry["build_config"] = shape, {"input_shape": shape}
    return entry


def write_layer_config(layer: Layer) -> dict[str, Json]:
    """Return the config of a layer; see ``Layer.get_config``."""
    return write_config(_keras_class(type(layer)), layer, f"The layer {layer.name!r}")


def read_layer_config(layer_class: type[Layer], config: Mapping[str, Json]) -> dict[str, Any]:
    """Return the arguments of the constructor of a class; see ``Layer.from_config``."""
    if not isinstance(config, Mapping):
        raise ValueError(f"config must be a dict as get_config returns it; got {config!r}.")
    keras_class, own = _keras_class(layer_class), inspect.signature(layer_class).parameters
    only_keras = {*keras_class.fixed, *keras_class.ignored} - own.keys()
    shared = {key: value for key, value in config.items() if key in {*keras_class.settings, *only_keras}}
    arguments = {key: value for key, value in config.items() if key not in shared}  # of the user's class
    return arguments | read_config(keras_class, shared, f"The config of the {layer_class.__name__}")


def _keras_class(layer_class: type[Layer]) -> KerasClass:
    """Return what Keras's config holds of a class: of the nearest base class, if it is one of the user's."""
    classes = {keras_class.create: keras_class for keras_class in LAYERS.values()}
    return next((classes[base] for base in layer_class.__mro__ if base in classes), LAYER)


def _write_layer(layer: Layer) -> Json:
    return write_model(layer) if isinstance(layer, Network) else write(LAYERS, layer, f"The layer {layer.name!r}")


def _input_layer(model: Network, batch_shape: Json) -> Json:
    name = "input_layer"
    while name in [layer.name for layer in model.layers]:
        name += "_"
    dtype = (model.layers[0] if model.layers else model).dtype.name
    return make_entry("keras.layers", "InputLayer", {"batch_shape": batch_shape, "dtype": dtype, "name": name})


def write_compile_arguments(model: Network) -> Json:
    """Return the arguments of ``compile`` as Keras's config holds them; empty if the model is not compiled.

    Raises:
        ValueError: if Keras does not support the optimizer, the loss, a metric or a setting; the message names it.
    """
    if model.loss is None or model.optimizer is None:
        return {}
    loss = write(LOSSES, model.loss, "The loss")
    # Keras casts the predictions to the dtype of the loss, and a cast loses the logits that a softmax leaves on its
    # output.  The dtype of the last layer needs no cast.
    loss["config"]["dtype"] = (model.layers[-1] if model.layers else model).dtype.name
    return {
        "optimizer": write(OPTIMIZERS, model.optimizer, "The optimizer"),
        "loss": loss,
        **{
            name: [_write_metric(metric) for metric in model.metrics if metric.weighted is weighted]
            for name, weighted in (("metrics", False), ("weighted_metrics", True))
        },
        "run_eagerly": model.run_eagerly,
    }


def _write_metric(metric: Metric) -> Json:
    if isinstance(metric, MeanMetricWrapper):
        raise ValueError(f"The metric {metric.name!r} is a function, which a Keras config cannot hold.")
    return write(METRICS, metric, f"The metric {metric.name!r}")


def read_model(entry: Json, with_compile: bool, max_layers: float = math.inf) -> Description:
    """Return the model that an entry of Keras's config describes.

    Args:
        entry: an entry as Keras writes it, not checked yet.
        with_compile: whether to read the arguments of ``compile``.
        max_layers: the number of layers that are accepted, an ``Input`` not counted.

    Raises:
        ValueError: if scratch does not support the model, a layer or a setting; the message names it.
    """
    config = read(MODEL, entry, "model")
    if not isinstance(config["layers"], list) or len(config["layers"]) > max_layers + 1:
        raise ValueError(f"The layers of the model must be a list of at most {max_layers:,} layers.")
    layers = [_read_layer(layer) for layer in config["layers"]]
    shape, compile_config = config.get("build_input_shape"), entry.get("compile_config")
    if shape and not any(isinstance(layer, Input) for layer in layers):
        layers.insert(0, Input(shape))
    arguments = _read_compile_arguments(compile_config) if compile_config and with_compile else None
    return Description(config["name"], config.get("dtype", "float32"), layers, arguments)


def _read_layer(entry: Json) -> Layer | Description:
    """Return the layer that an entry describes; of a model, the description, without the arguments of ``compile``."""
    class_name = entry.get("class_name") if isinstance(entry, dict) else None
    if isinstance(class_name, str) and class_name in MODEL:
        return read_model(entry, with_compile=False, max_layers=MAX_LAYERS)
    layer: Layer = read(LAYERS, entry, "layer")
    return layer


def _read_compile_arguments(config: Json) -> CompileArguments | None:
    """Return the arguments of ``compile``; None, with a warning, if there is no loss, which scratch needs."""
    if not isinstance(config, dict):
        raise ValueError(f"compile_config must hold the arguments of compile; got {short_repr(config)}.")
    for key, value in config.items():
        if key not in (*CompileArguments._fields, *EXECUTION_OPTIONS) and value not in (None, []):
            raise ValueError(f"The model was compiled with {key}={short_repr(value)}, which scratch does not support.")
    loss = config.get("loss", "")
    while isinstance(loss, list) and len(loss) == 1:  # as Keras takes the loss of the only output
        loss = loss[0]
    if loss is None:
        warn_user("The model was compiled without a loss, which scratch needs; call compile after loading.")
        return None
    metrics, weighted = (_unwrapped(config.get(name) or []) for name in ("metrics", "weighted_metrics"))
    run_eagerly = config.get("run_eagerly") or False
    for listed in (metrics, weighted):
        if not isinstance(listed, list):
            raise ValueError(f"The metrics must be a list; got {short_repr(listed)}.")
    if not isinstance(run_eagerly, bool):
        raise ValueError(f"run_eagerly must be true or false; got {short_repr(run_eagerly)}.")
    return CompileArguments(
        read(OPTIMIZERS, config.get("optimizer"), "optimizer"),
        losses.get(_read_name_or_entry(LOSSES, loss, "loss")),
        [_read_name_or_entry(METRICS, metric, "metric") for metric in metrics],
        [_read_name_or_entry(METRICS, metric, "metric") for metric in weighted],
        run_eagerly,
    )


def _unwrapped(listed: Json) -> Json:
    """Return the list in a list, or in several, as Keras takes the metrics of the only output."""
    while isinstance(listed, list) and len(listed) == 1 and isinstance(listed[0], list):
        listed = listed[0]
    return listed


def _read_name_or_entry(table: Table, value: Json, role: str) -> Any:
    """Return the name of a class or of a function of Keras, or the object that an entry describes."""
    if isinstance(value, dict) and (value.get("module"), value.get("class_name")) == ("builtins", "function"):
        value = value.get("config")
    return value if isinstance(value, str) else read(table, value, role)


def _check_size(content: str | bytes | bytearray) -> None:
    if len(content) > MAX_BYTES:
        raise ValueError(f"config.json has {len(content):,} bytes; expected at most {MAX_BYTES:,}.")


def _parse_integer(digits: str) -> int:
    if len(digits) > 18:
        raise ValueError(f"{digits[:18]}… is too large a number")
    return int(digits)


def _reject_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


MODEL: Table = {
    "Sequential": KerasClass(
        "keras",
        dict,
        {
            "name": NAME,
            "layers": Setting(lambda layers: layers),
            "dtype": Setting(DTYPE.read, required=False),
            "build_input_shape": Setting(lambda shape: shape and read_shape(shape), required=False),
        },
        fixed={"trainable": True},
    )
}
