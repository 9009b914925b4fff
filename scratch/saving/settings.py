"""The classes that Keras and scratch share, and their settings: layers, losses, metrics, optimizers, initializers.

These tables are the only description of the settings: ``scratch.saving`` reads and writes files with it, and
``keras_impl.convert`` converts models.  A new class needs one entry here.  A new activation or initializer needs none
if scratch gives it the name that it has in Keras.
"""

from typing import Any

from scratch import initializers, layers, losses, metrics, optimizers
from scratch.saving.entries import Json, KerasClass, Setting, Table, make_entry, read, short_repr


def _read_scalar(value: Json) -> Any:
    """Return a number, a string, a boolean or None; the constructor checks which of them it is."""
    if isinstance(value, dict | list | tuple):
        raise ValueError("expected a number or a name")
    return value


def _read_boolean(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def _check_name(value: Json) -> str:
    if not isinstance(value, str) or not value.isprintable() or "/" in value:
        raise ValueError(f"{short_repr(value)} is not a name in Keras: '/' and control characters are not allowed")
    return value


def read_shape(shape: Json) -> tuple[int, ...]:
    """Return the shape of one sample, (784,), for a batch shape such as ``[None, 784]`` or ``[32, 784]``."""
    if not isinstance(shape, list | tuple) or len(shape) < 2 or not all(type(n) is int and n > 0 for n in shape[1:]):
        raise ValueError(f"expected a shape such as [null, 784]; got {short_repr(shape)}")
    return tuple(shape[1:])


def _read_dtype(value: Json) -> str:
    if isinstance(value, dict) and value.get("class_name") == "DTypePolicy" and isinstance(value.get("config"), dict):
        value = value["config"].get("name")
    if value not in ("float32", "float64"):
        raise ValueError(f"expected float32 or float64; got {short_repr(value)}")
    return str(value)


def _write_dtype(described: Any, key: str) -> Json:
    return make_entry("keras", "DTypePolicy", {"name": getattr(described, key).name})


def _read_initializer(entry: Json) -> initializers.Initializer:
    function: initializers.Initializer = read(INITIALIZERS, entry, "initializer")
    return function


def _write_initializer(layer: layers.Dense, key: str) -> Json:
    """Return the entry of an initializer, or that of zeros for a function of the user that is not needed any more."""
    function = getattr(layer, key)
    for class_name, keras_class in INITIALIZERS.items():
        if keras_class.create() is function:
            return make_entry(keras_class.module, class_name, dict(keras_class.fixed))
    if layer.built:  # the weights are written, too
        return make_entry("keras.initializers", "Zeros", {})
    raise ValueError(f"{key} is a function that Keras does not have; build the model first")


def _initializers() -> Table:
    """Return the table of initializers, such as Keras's class GlorotUniform for the function glorot_uniform."""
    fixed: dict[str, dict[str, Json]] = {
        "RandomNormal": {"mean": 0.0, "stddev": 0.05},
        "RandomUniform": {"minval": -0.05, "maxval": 0.05},
    }
    table = {}
    for name, function in initializers.INITIALIZERS.items():
        class_name = name.title().replace("_", "")
        # Keras's seeds are ignored: scratch draws from the model's NumPy generator.
        table[class_name] = KerasClass(
            "keras.initializers", lambda it=function: it, fixed=fixed.get(class_name, {}), ignored=("seed",)
        )
    return table


def _input(batch_shape: tuple[int, ...], name: str, dtype: str) -> layers.Input:
    return layers.Input(batch_shape, dtype, name)


SCALAR = Setting(_read_scalar)
BOOLEAN = Setting(_read_boolean)
NAME = Setting(_check_name, lambda described, key: _check_name(getattr(described, key)))
DTYPE = Setting(_read_dtype, _write_dtype)
INITIALIZER = Setting(_read_initializer, _write_initializer)

INITIALIZERS = _initializers()

COMMON = {"name": NAME, "dtype": DTYPE}
LAYERS: Table = {
    "InputLayer": KerasClass(
        "keras.layers",
        _input,
        {"batch_shape": Setting(read_shape), **COMMON},
        fixed={"sparse": False, "ragged": False, "optional": False},
    ),
    "Dense": KerasClass(
        "keras.layers",
        layers.Dense,
        {
            **COMMON,
            "units": SCALAR,
            "activation": SCALAR,
            "use_bias": BOOLEAN,
            "kernel_initializer": INITIALIZER,
            "bias_initializer": INITIALIZER,
        },
        fixed={
            "trainable": True,
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
        },
    ),
    "Activation": KerasClass(
        "keras.layers",
        layers.Activation,
        {**COMMON, "activation": SCALAR},
        fixed={"trainable": True},
    ),
    "Flatten": KerasClass(
        "keras.layers",
        layers.Flatten,
        COMMON,
        fixed={"trainable": True, "data_format": "channels_last"},
    ),
    "ReLU": KerasClass(
        "keras.layers",
        layers.ReLU,
        COMMON,
        fixed={"trainable": True, "max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    ),
    "Softmax": KerasClass(
        "keras.layers",
        layers.Softmax,
        COMMON,
        fixed={"trainable": True, "axis": -1},
    ),
}
OPTIMIZERS: Table = {
    "SGD": KerasClass(
        "keras.optimizers",
        optimizers.SGD,
        {
            "learning_rate": SCALAR,
            "momentum": SCALAR,
            "nesterov": BOOLEAN,
            "weight_decay": SCALAR,
            "clipnorm": SCALAR,
            "clipvalue": SCALAR,
            "global_clipnorm": SCALAR,
        },
        fixed={"use_ema": False, "loss_scale_factor": None, "gradient_accumulation_steps": None},
        ignored=("name", "ema_momentum", "ema_overwrite_frequency"),
    )
}
LOSSES: Table = {
    "CategoricalCrossentropy": KerasClass(
        "keras.losses",
        losses.CategoricalCrossentropy,
        {"from_logits": BOOLEAN, "label_smoothing": SCALAR, "reduction": SCALAR},
        fixed={"axis": -1},
        ignored=("name", "dtype"),
    ),
    "SparseCategoricalCrossentropy": KerasClass(
        "keras.losses",
        losses.SparseCategoricalCrossentropy,
        {"from_logits": BOOLEAN, "reduction": SCALAR},
        fixed={"ignore_class": None},
        ignored=("name", "dtype"),
    ),
}
METRICS: Table = {
    class_name: KerasClass("keras.metrics", getattr(metrics, class_name), {"name": NAME}, ignored=("dtype",))
    for class_name in ("CategoricalAccuracy", "SparseCategoricalAccuracy")
}
