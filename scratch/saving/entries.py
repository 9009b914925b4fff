"""Read and write the entries of a Keras config, each of which describes one object.

An entry is a dictionary such as ``{"module": "keras.layers", "class_name": "ReLU", "config": {"name": "re_lu", …},
"registered_name": None}``.  The classes that an entry may name are listed in the tables of
``scratch.saving.settings`` and are looked up nowhere else: an entry from an untrusted file cannot cause anything to
be imported or called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any  # a value that the module json reads or writes


@dataclass(frozen=True)
class Setting:
    """A setting of a class, and the conversion between its value in Keras's config and in scratch.

    Attributes:
        read: converts a value of Keras's config, or raises a ``ValueError`` if scratch does not support it.
        write: converts the value that an object has; called with the object and the setting's name.
        required: whether an entry must contain the setting.  If not, the default of the constructor applies.
    """

    read: Callable[[Json], Any]
    write: Callable[[Any, str], Json] = getattr
    required: bool = True


@dataclass(frozen=True)
class KerasClass:
    """A class of Keras that scratch has, too.

    A setting has the same name in Keras's config, as an argument of ``create`` and as an attribute of the object.

    Attributes:
        module: the Keras module of the class.
        create: the class of scratch, or a function that returns an object of it.
        settings: the settings that both classes have, by name.
        fixed: the settings that only Keras has, each with the value that scratch supports: the one without an effect.
        ignored: names of settings that do not change any result.
    """

    module: str
    create: Callable[..., Any]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    fixed: Mapping[str, Json] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


Table = Mapping[str, KerasClass]  # by Keras's class name


def make_entry(module: str, class_name: str, config: Json) -> Json:
    """Return the entry that describes an object of a Keras class."""
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


def write(table: Table, described: object, role: str) -> Json:
    """Return the entry that describes an object of scratch.

    Args:
        table: the classes that the object may have.
        described: the object.
        role: the name of the object in errors, such as ``"The layer 'dense'"``.

    Raises:
        ValueError: if Keras has no such class, or does not support a setting.
    """
    for class_name, keras_class in table.items():
        if keras_class.create is type(described):
            return make_entry(keras_class.module, class_name, write_config(keras_class, described, role))
    raise ValueError(f"{role} is a {type(described).__name__}, which has no counterpart in Keras.")


def write_config(keras_class: KerasClass, described: object, role: str) -> dict[str, Json]:
    """Return the config of an object of the class; raises what ``write_settings`` raises."""
    return {**write_settings(keras_class.settings, described, role), **keras_class.fixed}


def write_settings(settings: Mapping[str, Setting], described: object, role: str) -> dict[str, Json]:
    """Return the values of an object's settings, as they stand in Keras's config.

    Raises:
        ValueError: if Keras does not support a value.
    """
    try:
        return {key: setting.write(described, key) for key, setting in settings.items()}
    except ValueError as error:
        raise ValueError(f"{role}: {error}.") from None


def read(table: Table, entry: Json, role: str) -> Any:
    """Create the object that an entry describes.

    Args:
        table: the classes that the object may have.
        entry: an entry as Keras writes it, not checked yet.
        role: what the object is, for errors: ``'layer'``, for example.

    Returns:
        An object of scratch.

    Raises:
        ValueError: if scratch does not support the class or a setting; the message names it.
    """
    keras_class, config, label = _find_class(table, entry, role)
    arguments = read_config(keras_class, config, label)
    for key, setting in keras_class.settings.items():
        if setting.required and key not in config:
            raise ValueError(f"{label} has no {key}.")
    try:
        return keras_class.create(**arguments)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from None


def read_config(keras_class: KerasClass, config: Mapping[str, Json], label: str) -> dict[str, Any]:
    """Return the arguments of the constructor that a config holds.

    Raises:
        ValueError: if scratch does not support a setting; the message calls the object ``label``.
    """
    for key, value in config.items():
        if key not in keras_class.settings and key not in keras_class.ignored and value != keras_class.fixed.get(key):
            raise ValueError(f"{label} has {key}={short_repr(value)}, which scratch does not support.")
    return {
        key: _read_setting(setting, key, config[key], label)
        for key, setting in keras_class.settings.items()
        if key in config
    }


def _find_class(table: Table, entry: Json, role: str) -> tuple[KerasClass, dict[str, Json], str]:
    """Return the class and the config of an entry, and the object's name in errors."""
    if not isinstance(entry, dict) or not isinstance(config := entry.get("config"), dict):
        raise ValueError(f"Expected the class_name and the config of the {role}; got {short_repr(entry)}.")
    if isinstance(config.get("name"), str):
        role = f"{role} {config['name']!r}"
    class_name, module, registered_name = (entry.get(key) for key in ("class_name", "module", "registered_name"))
    keras_class = table.get(class_name) if isinstance(class_name, str) else None
    # A class that a user has registered is not Keras's, whatever its name.
    if keras_class is None or module != keras_class.module or registered_name is not None:
        registered = "" if registered_name is None else f", registered as {short_repr(registered_name)}"
        raise ValueError(
            f"The {role} is a {short_repr(class_name)} of {short_repr(module)}{registered}, which scratch does not "
            f"support; it supports {', '.join(table)}."
        )
    return keras_class, config, f"The {role} ({class_name})"


def _read_setting(setting: Setting, key: str, value: Json, label: str) -> Any:
    try:
        return setting.read(value)
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise ValueError(f"{label} has {key}={short_repr(value)}, which scratch does not support ({reason}).") from None


def short_repr(value: Json) -> str:
    """Return a short text for a value of any size and depth, for use in an error."""
    if isinstance(value, dict) and isinstance(value.get("class_name"), str):
        value = value["class_name"]
    if isinstance(value, dict | list | tuple):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
