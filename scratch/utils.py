"""Utilities: random seeds, automatic names, one-hot encoding, printing, warnings."""

import collections.abc
import inspect
import math
import random
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from scratch.checks import Array as Array
from scratch.checks import Shape as Shape
from scratch.checks import check_integer, check_labels, check_list, check_numeric
from scratch.py_dataset import PyDataset as PyDataset
from scratch.py_dataset import Sequence as Sequence

CACHE_LINE = 64  # bytes; a multiple of the cache line of every processor that NumPy has wheels for

_generator = np.random.default_rng()
_names: Counter[str] = Counter()


def set_random_seed(seed: int) -> None:
    """Seed the generator from which models and layers created later draw their own, and those of Python and NumPy.

    The same seed gives the same bits in every run on the same machine.

    Args:
        seed: a non-negative integer.

    Raises:
        ValueError: if ``seed`` is anything else.
    """
    global _generator
    _generator = np.random.default_rng(check_integer("seed", seed, minimum=0))
    random.seed(int(seed))
    np.random.seed(int(seed) % (1 << 32))  # noqa: NPY002  (for programs that use it, as in Keras)


def spawn_generator() -> np.random.Generator:
    """Return a new generator, statistically independent of all others and determined by the seed."""
    return _generator.spawn(1)[0]


def clear_session() -> None:
    """Reset the automatic names to ``dense``, ``dense_1``, …, as ``keras.utils.clear_session`` does."""
    _names.clear()


def snake_case(class_name: str) -> str:
    """Convert a name to snake case as Keras does: ``ReLU`` → ``re_lu``, ``<lambda>`` → ``lambda``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(class_name: str) -> str:
    """Return the next unused name for a class, as Keras does: ``dense``, then ``dense_1``, and so on."""
    name = snake_case(class_name)
    _names[name] += 1
    return name if _names[name] == 1 else f"{name}_{_names[name] - 1}"


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> Array:
    """Convert labels to one-hot rows (one-hot 表現), as ``keras.utils.to_categorical`` does.

    Args:
        x: non-negative integers of any shape; a last axis of length 1 is dropped.
        num_classes: length of the new last axis; ``max(x) + 1`` if not given.

    Returns:
        float64 array of shape ``x.shape + (num_classes,)``.

    Raises:
        ValueError: if ``x`` is empty or holds a label that is negative, not an integer, or not below ``num_classes``.
    """
    labels = check_labels("x", np.atleast_1d(x)).reshape(np.shape(x))
    if labels.ndim > 1 and labels.shape[labels.ndim - 1] == 1:
        labels = labels[..., 0]
    width = int(labels.max()) + 1
    if num_classes is not None:
        if width > check_integer("num_classes", num_classes):
            raise ValueError(
                f"to_categorical: num_classes must exceed every label; got num_classes={num_classes} and the label "
                f"{width - 1}. Pass num_classes={width} or more."
            )
        width = int(num_classes)
    one_hot = np.zeros((labels.size, width))
    one_hot[np.arange(labels.size), labels.ravel()] = 1
    return one_hot.reshape(*labels.shape, width)


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> Array:
    """Divide an array by its norm along an axis, as ``keras.utils.normalize`` does; zeros stay.

    Args:
        x: numbers of any shape; never modified.
        axis: the axis of the vectors whose norm becomes 1.
        order: 2 for the Euclidean norm, 1 for the sum of magnitudes.

    Returns:
        A new array of x's shape; float64 for integers, otherwise of x's dtype.
    """
    array = check_numeric("x", x)
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return np.asarray(array / np.where(norm == 0, 1, norm))


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an uninitialized array that starts on a cache line.

    A vector load that crosses two cache lines takes twice as long as one that does not.
    """
    size = math.prod(shape)
    buffer = np.empty(size + CACHE_LINE, dtype)
    start = -buffer.ctypes.data % CACHE_LINE // buffer.itemsize
    return buffer[start : start + size].reshape(shape)


def encodable(text: str, fallback: str) -> str:
    """Return the text, or the fallback if the encoding of standard output lacks one of its characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return fallback
    return text


def printable(text: str) -> str:
    r"""Return the text with escapes, such as ``\x1b``, in place of characters that could control a terminal.

    Names from a file or a server may hold such characters: control codes, line breaks, invisible characters, bytes of
    a file name that are not text.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_now(text: str, end: str = "\n") -> None:
    """Print a text and flush standard output; do nothing if standard output is closed."""
    if sys.stdout is not None and not getattr(sys.stdout, "closed", False):
        print(text, end=end, flush=hasattr(sys.stdout, "flush"))


class Configured:
    """Base class of objects that the arguments of their constructor describe: attributes of the same names."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments with which the constructor creates such an object."""
        names = inspect.signature(type(self)).parameters
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return a new object with the arguments that ``get_config`` returned."""
        return cls(**config)


def overridden(instance: object, base: type, *methods: str) -> bool:
    """Return whether a subclass of ``base``, or the instance itself, replaces one of these methods of ``base``."""
    if not vars(instance).keys().isdisjoint(methods):
        return True
    return any(getattr(type(instance), method) is not getattr(base, method) for method in methods)


def accepted(function: Callable[..., Any], **options: Any) -> dict[str, Any]:
    """Return those of the options that a function has an argument for, by name: a user's ``forward`` may have none."""
    names = _argument_names(getattr(function, "__func__", function))
    return {name: value for name, value in options.items() if name in names}


@lru_cache(maxsize=1024)
def _argument_names(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def warn_user(message: str) -> None:
    """Issue a ``UserWarning`` that names the first line outside this package: the user's own call."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "scratch":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def assign_weights(owner: str, params: dict[str, Array], weights: collections.abc.Sequence[ArrayLike]) -> None:
    """Copy new values into all parameters of a layer or model.

    Args:
        owner: the layer or model, for error messages.
        params: parameters by name, changed in place.
        weights: as many arrays of the same shapes, in the same order.

    Raises:
        ValueError: if the number or a shape is wrong, or an array is not numeric; nothing is changed then.
    """
    weights = check_list("weights", weights)
    if len(weights) != len(params):
        hint = "" if params else " Build the model first, for example by calling it on data."
        raise ValueError(f"{owner} has {len(params)} weight arrays; got {len(weights)}.{hint}")
    new = [check_numeric(f"the weight {key!r}", W) for key, W in zip(params, weights, strict=True)]
    for (key, W), array in zip(params.items(), new, strict=True):
        if array.shape != W.shape:
            raise ValueError(f"The weight {key!r} has shape {W.shape}; got an array of shape {array.shape}.")
    for W, array in zip(params.values(), new, strict=True):
        W[...] = array


def __getattr__(name: str) -> Any:
    """Return ``plot_model``, which Keras has here, when it is first used: drawing needs modules above this one."""
    if name == "plot_model":
        from scratch.model_plot import plot_model

        return plot_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
