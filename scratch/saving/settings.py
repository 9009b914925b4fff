"""What Keras's config.json says, and what it is here: one table of classes, read in both directions.

Every class that both have is a ``Kind``.  Its settings have one name in Keras's config, in our constructor and as our
attribute.  What only Keras can set must have the value at which it does nothing; anything else is refused by name.
Classes are looked up in these tables and nowhere else, so nothing in a file is ever imported or called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from scratch import initializers, layers, losses, metrics, optimizers

Json = Any


class Setting(NamedTuple):
    """How a setting's value is read from Keras's config, and how it is written there."""

    read: Callable[[Json], Any]
    write: Callable[[Any], Json] = lambda value: value
    optional: bool = False


@dataclass(frozen=True)
class Kind:
    """A class that both have.

    Attributes:
        module: where Keras has it.
        make: what makes one here, from the settings.
        settings: what both can set.
        neutral: what only Keras can set, and the value at which it does nothing.
        ignored: what changes no number, or nothing that is done here.
    """

    module: str
    make: Callable[..., Any]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    neutral: Mapping[str, Json] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def read(kinds: Mapping[str, Kind], described: Json, what: str) -> Any:
    """Make the object that an entry of Keras's config describes.

    Args:
        kinds: the classes that it may be of, by Keras's names.
        described: ``{"module": …, "class_name": …, "config": …, "registered_name": None}``.
        what: what an error calls it, such as ``'layer'``.

    Raises:
        ValueError: if it is anything that scratch doesn't have; the message names it and the setting.
    """
    kind, config, what = _look_up(kinds, described, what)
    for key, value in config.items():
        if key not in kind.settings and key not in kind.ignored and value != kind.neutral.get(key):
            raise ValueError(f"{what} has {key}={shown(value)}, which scratch does not know.")
    arguments = {}
    for key, setting in kind.settings.items():
        if key in config:
            try:
                arguments[key] = setting.read(config[key])
            except ValueError as error:
                raise ValueError(
                    f"{what} has {key}={shown(config[key])}, which scratch does not know ({error})."
                ) from None
        elif not setting.optional:
            raise ValueError(f"{what} has no {key}.")
    try:
        return kind.make(**arguments)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def write(kinds: Mapping[str, Kind], thing: Any, what: str) -> Json:
    """Return the entry of Keras's config that describes an object of ours.

    Raises:
        ValueError: if Keras has no such class.
    """
    for class_name, kind in kinds.items():
        if kind.make is type(thing):
            settings = {key: setting.write(getattr(thing, key)) for key, setting in kind.settings.items()}
            return entry(kind.module, class_name, {**settings, **kind.neutral})
    raise ValueError(f"{what} is a {type(thing).__name__}, which has no counterpart in Keras.")


def entry(module: str, class_name: str, config: Json) -> Json:
    """What stands in Keras's config for an object of that class."""
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def _look_up(kinds: Mapping[str, Kind], described: Json, what: str) -> tuple[Kind, dict[str, Json], str]:
    """The class, its config, and a name for errors."""
    if not isinstance(described, dict) or not isinstance(config := described.get("config"), dict):
        raise ValueError(f"Expected the class_name and the config of the {what}; got {shown(described)}.")
    if isinstance(config.get("name"), str):
        what = f"{what} {config['name']!r}"
    class_name, module = described.get("class_name"), described.get("module")
    registered = described.get("registered_name")  # a class of someone's own, even if it is called Dense
    kind = kinds.get(class_name) if isinstance(class_name, str) else None
    if kind is None or module != kind.module or registered is not None:
        own = "" if registered is None else f", registered as {shown(registered)}"
        raise ValueError(
            f"The {what} is a {shown(class_name)} of {shown(module)}{own}, which scratch does not have; "
            f"it has {', '.join(kinds)}."
        )
    return kind, config, f"The {what} ({class_name})"


def shown(value: Json) -> str:
    """A value for an error: what it is, not all that it says."""
    if isinstance(value, dict) and isinstance(value.get("class_name"), str):
        value = value["class_name"]
    if isinstance(value, dict | list):
        return f"a {type(value).__name__}"  # whatever is in it, and however deep
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _plain(value: Json) -> Any:
    if isinstance(value, dict | list):
        raise ValueError("a number or a name was expected")
    return value


def _flag(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false was expected")
    return value


def _name(value: Json) -> str:
    if not isinstance(value, str) or not value.isprintable() or "/" in value:
        raise ValueError(f"{shown(value)} is not a name in Keras: no '/' and no control characters")
    return value


def _read_dtype(value: Json) -> str:
    if isinstance(value, dict) and value.get("class_name") == "DTypePolicy" and isinstance(value.get("config"), dict):
        value = value["config"].get("name")
    if value not in ("float32", "float64"):
        raise ValueError(f"{shown(value)}, where float32 or float64 was expected")
    return str(value)


def _write_dtype(dtype: np.dtype[np.floating]) -> Json:
    return entry("keras", "DTypePolicy", {"name": dtype.name})


def _read_initializer(value: Json) -> initializers.Initializer:
    function: initializers.Initializer = read(INITIALIZERS, value, "initializer")
    return function


def _write_initializer(function: initializers.Initializer) -> Json:
    for class_name, kind in INITIALIZERS.items():
        if kind.make() is function:
            return entry(kind.module, class_name, dict(kind.neutral))
    return _write_initializer(initializers.zeros)  # one of its own; the weights that it made are in the file


def _initializers() -> dict[str, Kind]:
    """Keras's class GlorotUniform for our function glorot_uniform, and so on."""
    neutral: dict[str, dict[str, Json]] = {
        "RandomNormal": {"mean": 0.0, "stddev": 0.05},
        "RandomUniform": {"minval": -0.05, "maxval": 0.05},
    }
    kinds = {}
    for name, function in initializers.INITIALIZERS.items():
        class_name = name.title().replace("_", "")
        # The numbers come from NumPy's generator, which takes no seed of Keras's.
        kinds[class_name] = Kind(
            "keras.initializers", lambda it=function: it, neutral=neutral.get(class_name, {}), ignored=("seed",)
        )
    return kinds


def read_shape(shape: Json) -> tuple[int, ...]:
    """Shape of one sample, from Keras's ``[None, 784]``, or ``[32, 784]`` if a batch of 32 built the model."""
    if not isinstance(shape, list) or len(shape) < 2 or not all(type(n) is int and n > 0 for n in shape[1:]):
        raise ValueError(f"A shape such as [null, 784] was expected; got {shown(shape)}.")
    return tuple(shape[1:])


def _input(batch_shape: tuple[int, ...], name: str, dtype: str) -> layers.Input:
    return layers.Input(batch_shape, dtype, name)


PLAIN, FLAG, NAME = Setting(_plain), Setting(_flag), Setting(_name, _name)
DTYPE = Setting(_read_dtype, _write_dtype)
INITIALIZER = Setting(_read_initializer, _write_initializer)
INITIALIZERS = _initializers()

COMMON = {"name": NAME, "dtype": DTYPE}
LAYERS = {
    "InputLayer": Kind(
        "keras.layers",
        _input,
        {"batch_shape": Setting(read_shape), **COMMON},
        {"sparse": False, "ragged": False, "optional": False},
    ),
    "Dense": Kind(
        "keras.layers",
        layers.Dense,
        {
            **COMMON,
            "units": PLAIN,
            "activation": PLAIN,
            "use_bias": FLAG,
            "kernel_initializer": INITIALIZER,
            "bias_initializer": INITIALIZER,
        },
        {
            "trainable": True,
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
        },
    ),
    "Activation": Kind("keras.layers", layers.Activation, {**COMMON, "activation": PLAIN}, {"trainable": True}),
    "Flatten": Kind("keras.layers", layers.Flatten, COMMON, {"trainable": True, "data_format": "channels_last"}),
    "ReLU": Kind(
        "keras.layers",
        layers.ReLU,
        COMMON,
        {"trainable": True, "max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    ),
    "Softmax": Kind("keras.layers", layers.Softmax, COMMON, {"trainable": True, "axis": -1}),
}
OPTIMIZERS = {
    "SGD": Kind(
        "keras.optimizers",
        optimizers.SGD,
        {
            "learning_rate": PLAIN,
            "momentum": PLAIN,
            "nesterov": FLAG,
            "weight_decay": PLAIN,
            "clipnorm": PLAIN,
            "clipvalue": PLAIN,
            "global_clipnorm": PLAIN,
        },
        {"use_ema": False, "loss_scale_factor": None, "gradient_accumulation_steps": None},
        ignored=("name", "ema_momentum", "ema_overwrite_frequency"),
    )
}
LOSSES = {
    "CategoricalCrossentropy": Kind(
        "keras.losses",
        losses.CategoricalCrossentropy,
        {"from_logits": FLAG, "label_smoothing": PLAIN, "reduction": PLAIN},
        {"axis": -1},
        ignored=("name", "dtype"),
    ),
    "SparseCategoricalCrossentropy": Kind(
        "keras.losses",
        losses.SparseCategoricalCrossentropy,
        {"from_logits": FLAG, "reduction": PLAIN},
        {"ignore_class": None},
        ignored=("name", "dtype"),
    ),
}
METRICS = {
    class_name: Kind("keras.metrics", getattr(metrics, class_name), {"name": NAME}, ignored=("dtype",))
    for class_name in ("CategoricalAccuracy", "SparseCategoricalAccuracy")
}
