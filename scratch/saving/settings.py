"""The classes that Keras and scratch share, and their settings: layers, losses, metrics, optimizers, initializers.

These tables describe what a file holds: ``scratch.saving`` reads and writes files with them, and ``keras_impl.convert``
converts models.  A new layer needs one entry here; which of its attributes a resumed training must have as before is in
the class attribute ``Layer.settings``.  A new activation, initializer, loss, metric, optimizer or schedule needs no
entry if scratch gives it the name that it has in Keras: its settings are the arguments of its constructor.
"""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from scratch import initializers, layers, losses, metrics, optimizers, regularizers
from scratch.saving.entries import Json, KerasClass, Setting, Table, make_entry, read, short_repr, write


def _read_scalar(value: Json) -> Any:
    """Return a number, a string, a boolean or None; the constructor checks which of them it is."""
    if isinstance(value, dict | list | tuple):
        raise ValueError("expected a number or a name")
    return value


def _read_boolean(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def _read_list(value: Json) -> list[Json]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected a list; got {short_repr(value)}")
    return list(value)


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


def _read_initializer(entry: Json) -> initializers.InitializerFunction:
    if isinstance(entry, str):
        return initializers.get(entry)
    initializer: initializers.InitializerFunction = read(INITIALIZERS, entry, "initializer")
    return initializer


def _read_regularizer(entry: Json) -> regularizers.L1L2 | None:
    if entry is None or isinstance(entry, str):
        return regularizers.get(entry)
    regularizer: regularizers.L1L2 = read(REGULARIZERS, entry, "regularizer")
    return regularizer


def _read_seed(value: Json) -> int | None:
    """Return a seed, or None for a ``SeedGenerator`` or a negative seed, which only Keras has: it draws otherwise."""
    return value if type(value) is int and value >= 0 else None


def _write_initializer(layer: layers.Layer, key: str) -> Json:
    """Return the entry of an initializer, or that of zeros for a function of the user that is not needed any more."""
    initializer = getattr(layer, key)
    if type(initializer) in initializers.CLASSES:
        return write(INITIALIZERS, initializer, f"The {key}")
    if layer.built:  # the weights are written, too
        return ZEROS
    raise ValueError(f"{key} is a function that Keras does not have; build the model first")


def _read_rate(value: Json) -> Any:
    """Return a learning rate, or the schedule of an entry."""
    return read(SCHEDULES, value, "learning rate schedule") if isinstance(value, dict) else _read_scalar(value)


def _write_rate(optimizer: optimizers.Optimizer, key: str) -> Json:
    schedule = optimizer.schedule
    return getattr(optimizer, key) if schedule is None else write(SCHEDULES, schedule, "The learning rate schedule")


def _read_numbers(value: Json) -> list[Any]:
    return [_read_scalar(number) for number in _read_list(value)]


def _write_regularizer(layer: layers.Dense, key: str) -> Json:
    regularizer = getattr(layer, key)
    return None if regularizer is None else write(REGULARIZERS, regularizer, f"The {key}")


READERS: dict[Any, Any] = {bool: _read_boolean, Sequence[float]: _read_numbers}  # by the annotation of an argument


def _constructor_settings(class_: type) -> dict[str, Setting]:
    """Return a setting for each argument that a constructor names.

    An argument with a default may be missing in a file, as in Keras: Keras 3.15 does not write the delta of Huber.
    """
    settings = {}
    for name, argument in inspect.signature(class_).parameters.items():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            continue
        read_value = READERS.get(argument.annotation, _read_scalar)
        settings[name] = Setting(read_value, required=argument.default is argument.empty)
    return settings


def loss_table(loss_classes: Iterable[type[losses.Loss]]) -> Table:
    """Return the table of losses; what only Keras's classes have is fixed."""
    fixed: dict[str, dict[str, Json]] = {
        "CategoricalCrossentropy": {"axis": -1},
        "SparseCategoricalCrossentropy": {"ignore_class": None},
        "BinaryCrossentropy": {"axis": -1},
    }
    return {
        loss.__name__: KerasClass(
            "keras.losses",
            loss,
            _constructor_settings(loss),
            fixed=fixed.get(loss.__name__, {}),
            ignored=("name", "dtype"),
        )
        for loss in loss_classes
    }


ZEROS = make_entry("keras.initializers", "Zeros", {})
SCALAR = Setting(_read_scalar)
BOOLEAN = Setting(_read_boolean)
NAME = Setting(_check_name, lambda described, key: _check_name(getattr(described, key)))
DTYPE = Setting(_read_dtype, _write_dtype)
REGULARIZER = Setting(_read_regularizer, _write_regularizer, required=False)
INITIALIZER = Setting(_read_initializer, _write_initializer)

INITIALIZERS: Table = {
    initializer.__name__: KerasClass(
        "keras.initializers",
        initializer,
        # The seed gives other values in Keras, whose random numbers are not NumPy's.
        {
            name: Setting(_read_seed, required=False) if name == "seed" else setting
            for name, setting in _constructor_settings(initializer).items()
        },
    )
    for initializer in initializers.CLASSES
}
REGULARIZERS: Table = {
    regularizer.__name__: KerasClass("keras.regularizers", regularizer, _constructor_settings(regularizer))
    for regularizer in (regularizers.L1, regularizers.L2, regularizers.L1L2)
}

COMMON = {"name": NAME, "dtype": DTYPE}
LAYER = KerasClass("keras.layers", layers.Layer, COMMON, fixed={"trainable": True})  # a class of the user
LAYERS: Table = {
    "InputLayer": KerasClass(
        "keras.layers",
        layers.Input,
        {
            "batch_shape": Setting(lambda shape: (None, *read_shape(shape)), lambda layer, _: layer.batch_input_shape),
            "name": NAME,
            "dtype": Setting(_read_dtype, lambda layer, _: layer.dtype.name),
        },
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
            "kernel_regularizer": REGULARIZER,
            "bias_regularizer": REGULARIZER,
        },
        fixed={
            "trainable": True,
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
    "BatchNormalization": KerasClass(
        "keras.layers",
        layers.BatchNormalization,
        {
            **COMMON,
            "axis": SCALAR,
            "momentum": SCALAR,
            "epsilon": SCALAR,
            "center": BOOLEAN,
            "scale": BOOLEAN,
            **{f"{name}_initializer": INITIALIZER for name in ("beta", "gamma", "moving_mean", "moving_variance")},
        },
        fixed={
            "trainable": True,
            **{f"{name}_{kind}": None for name in ("beta", "gamma") for kind in ("regularizer", "constraint")},
            "renorm": False,
            "synchronized": False,
        },
        ignored=("renorm_clipping", "renorm_momentum"),
    ),
    "Dropout": KerasClass(
        "keras.layers",
        layers.Dropout,
        {**COMMON, "rate": SCALAR, "seed": SCALAR},
        fixed={"trainable": True, "noise_shape": None},
    ),
    "LeakyReLU": KerasClass(
        "keras.layers",
        layers.LeakyReLU,
        {**COMMON, "negative_slope": SCALAR},
        fixed={"trainable": True},
    ),
    "ELU": KerasClass("keras.layers", layers.ELU, {**COMMON, "alpha": SCALAR}, fixed={"trainable": True}),
    "Reshape": KerasClass(
        "keras.layers",
        layers.Reshape,
        {**COMMON, "target_shape": Setting(_read_list)},
        fixed={"trainable": True},
    ),
    "Rescaling": KerasClass(
        "keras.layers",
        layers.Rescaling,
        {**COMMON, "scale": SCALAR, "offset": SCALAR},
        fixed={"trainable": True},
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
SCHEDULES: Table = {
    name: KerasClass("keras.optimizers.schedules", schedule, _constructor_settings(schedule), ignored=("name",))
    for name, schedule in optimizers.schedules.SCHEDULES.items()
}
OPTIMIZERS: Table = {
    optimizer.__name__: KerasClass(
        "keras.optimizers",
        optimizer,
        {
            **_constructor_settings(optimizers.Optimizer),
            **_constructor_settings(optimizer),
            "learning_rate": Setting(_read_rate, _write_rate, required=False),
        },
        fixed={"use_ema": False, "loss_scale_factor": None, "gradient_accumulation_steps": None},
        ignored=("name", "ema_momentum", "ema_overwrite_frequency"),
    )
    for optimizer in optimizers.CLASSES
}
LOSSES = loss_table(losses.LOSSES.values())
METRICS: Table = {
    metric.__name__: KerasClass(
        "keras.metrics", metric, {**_constructor_settings(metric), "name": NAME}, ignored=("dtype",)
    )
    for metric in metrics.METRICS.values()
}
