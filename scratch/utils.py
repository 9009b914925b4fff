"""Utilities: random seeds, automatic names, one-hot encoding, and argument checks that other modules share."""

import inspect
import math
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Sequence, Sized
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from scratch.py_dataset import PyDataset as PyDataset

Array = NDArray[Any]
T = TypeVar("T")
Shape = tuple[int | None, ...]  # as Keras writes it: the first axis counts samples and is None
CACHE_LINE = 64  # bytes; a multiple of the cache line of every processor that NumPy has wheels for

_generator = np.random.default_rng()
_names: Counter[str] = Counter()


def set_random_seed(seed: int) -> None:
    """Seed the generator from which models and layers created later draw their own generators.

    The same seed gives the same bits in every run on the same machine.

    Args:
        seed: a non-negative integer.

    Raises:
        ValueError: if ``seed`` is anything else.
    """
    global _generator
    _generator = np.random.default_rng(check_integer("seed", seed, minimum=0))


def spawn_generator() -> np.random.Generator:
    """Return a new generator, statistically independent of all others and determined by the seed."""
    return _generator.spawn(1)[0]


def clear_session() -> None:
    """Reset the automatic names to ``dense``, ``dense_1``, …, as ``keras.utils.clear_session`` does."""
    _names.clear()


def snake_case(class_name: str) -> str:
    """Convert a class name to snake case as Keras does: ``Dense`` → ``dense``, ``ReLU`` → ``re_lu``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
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
        A new array of x's shape; float64, or float32 for float32.
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


def constructor_arguments(described: object) -> dict[str, Any]:
    """Return the arguments of an object's constructor, from attributes of these names: its ``get_config``."""
    return {name: getattr(described, name) for name in inspect.signature(type(described)).parameters}


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


def check_name(kind: str, name: object, known: Collection[str]) -> str:
    """Return ``name`` if it is in ``known``, or raise a ``ValueError`` that lists the known names."""
    if isinstance(name, str) and name in known:
        return name
    raise ValueError(f"Unknown {kind} {name!r}: choose one of {', '.join(known)}.")


def check_integer(argument: str, value: object, minimum: int = 1) -> int:
    """Return ``value`` as an int, or raise a ``ValueError`` that names the argument."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise ValueError(f"{argument} must be an integer, {minimum} or more; got {value!r}.")
    return int(value)


def check_number(argument: str, value: object, minimum: float = 0.0, maximum: float = sys.float_info.max) -> float:
    """Return ``value`` as a float, or raise a ``ValueError`` that names the argument."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        number = float(value)
        if minimum <= number <= maximum:
            return number
    limits = f", {minimum:g} or more" if maximum == sys.float_info.max else f", between {minimum:g} and {maximum:g}"
    limits = "" if minimum == -sys.float_info.max else limits
    raise ValueError(f"{argument} must be a finite number{limits}; got {value!r}.")


def check_list(argument: str, value: Sequence[T] | None) -> list[T]:
    """Return a list or tuple as a list and None as an empty list, or raise a ``ValueError``."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise ValueError(f"{argument} must be a list; got {type(value).__name__}.")
    return list(value)


def check_numeric(argument: str, value: ArrayLike) -> Array:
    """Return ``value`` as an array of real numbers, without a copy, or raise a ``ValueError``."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{argument} must be a rectangular array; got rows of different lengths.") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{argument} must hold real numbers; got dtype {array.dtype}.")
    return array


def check_array(argument: str, value: ArrayLike, dtype: np.dtype[Any] | None = None) -> Array:
    """Return ``value`` as an array of finite numbers with at least one sample, without a copy or a conversion.

    Args:
        argument: name of the argument, for error messages.
        value: bool, integer or real floating-point numbers.
        dtype: dtype that the numbers must fit into (1e300 does not fit into float32); the array's own if None.

    Raises:
        ValueError: if ``value`` is empty or ragged, not numeric, or holds NaN or infinity.
    """
    array = check_numeric(argument, value)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{argument} must hold at least one sample; got an array of shape {array.shape}.")
    if array.dtype.kind == "f" and not _clearly_finite(array, dtype or array.dtype):
        # The minimum and the maximum propagate NaN and infinity without a temporary array of the data's size.
        with np.errstate(over="ignore"):
            extremes = np.array([array.min(), array.max()]).astype(dtype or array.dtype)
        if not np.isfinite(extremes).all():
            bad, index = _first_nonfinite(array, dtype or array.dtype)
            raise ValueError(
                f"{argument} must hold finite numbers; got {bad} at index {index}. Replace or drop such samples."
            )
    return array


def _clearly_finite(array: Array, dtype: np.dtype[Any]) -> bool:
    """Return whether the sum is finite, which proves in one pass that every term is."""
    if array.dtype.itemsize > dtype.itemsize:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()))


def _first_nonfinite(array: Array, dtype: np.dtype[Any]) -> tuple[float, tuple[int, ...]]:
    with np.errstate(over="ignore"):
        for i, row in enumerate(array):
            bad = np.argwhere(~np.isfinite(np.asarray(row).astype(dtype)))
            if len(bad):
                index = (i, *map(int, bad[0]))
                return float(array[index]), index
    raise AssertionError("called only for arrays with a number that is not finite")


def check_labels(argument: str, value: ArrayLike) -> Array:
    """Return class labels as an integer array; a float array is accepted if all its values are integers.

    Raises:
        ValueError: as ``check_array``, and if a label is negative or not an integer.
    """
    array = check_array(argument, value)
    with np.errstate(invalid="ignore"):  # 1e300 does not fit into int64, which the comparison below detects
        labels = array.astype(np.int64) if array.dtype.kind == "f" else array
    if labels is not array and not np.array_equal(labels, array):
        bad = array[labels != array].flat[0]
        raise ValueError(f"{argument} must hold integer class labels (0, 1, 2, …); got {bad:g}.")
    if labels.min() < 0:
        raise ValueError(f"{argument} must hold class labels of 0 or more; got {labels.min()}.")
    return labels.astype(np.int64) if labels.dtype.kind == "b" else labels


def check_dtype(dtype: DTypeLike) -> np.dtype[np.floating]:
    """Return float32 or float64 as a dtype, or raise a ``ValueError``."""
    for known in (np.float32, np.float64):
        if dtype in (known, np.dtype(known), known.__name__):
            return np.dtype(known)
    raise ValueError(f"dtype must be 'float32' or 'float64'; got {dtype!r}.")


def check_sample_shape(argument: str, shape: object) -> Shape:
    """Return the batch shape (None, …) for the shape of one sample, or raise a ``ValueError``."""
    if not isinstance(shape, tuple | list) or not shape:
        raise ValueError(f"{argument} must be a tuple such as (784,), the shape of one sample; got {shape!r}.")
    return None, *(check_integer(f"each entry of {argument}", n) for n in shape)


def check_same_length(a_name: str, a: Sized, b_name: str, b: Sized) -> None:
    """Raise a ``ValueError`` unless both hold the same number of samples."""
    if len(a) != len(b):
        raise ValueError(f"{a_name} and {b_name} must hold the same number of samples; got {len(a):,} and {len(b):,}.")


def assign_weights(owner: str, params: dict[str, Array], weights: Sequence[ArrayLike]) -> None:
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
