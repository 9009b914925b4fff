"""The ground: random seeds, automatic names, one-hot labels, and the checks that every floor shares."""

import re
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
T = TypeVar("T")
Shape = tuple[int | None, ...]  # as Keras writes it: the first axis counts samples and is None
CACHE_LINE = 64  # bytes, of every processor that NumPy has wheels for, or a multiple of it

_generator = np.random.default_rng()
_names: Counter[str] = Counter()


def set_random_seed(seed: int) -> None:
    """Make everything that is created from here on repeat itself, bit for bit.

    Models and layers draw their own generators from the one that is seeded here.

    Args:
        seed: a whole number, zero or more.

    Raises:
        ValueError: if ``seed`` is anything else.
    """
    global _generator
    _generator = np.random.default_rng(check_integer("seed", seed, minimum=0))


def spawn_generator() -> np.random.Generator:
    """Return a new generator, independent of all others, that the seed determines."""
    return _generator.spawn(1)[0]


def clear_session() -> None:
    """Start the automatic names (``dense``, ``dense_1``, …) afresh, as ``keras.utils.clear_session`` does."""
    _names.clear()


def snake_case(class_name: str) -> str:
    """The word that Keras makes of a class's name: ``Dense`` → ``dense``, ``ReLU`` → ``re_lu``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(class_name: str) -> str:
    """Name a layer or a model as Keras does: ``dense``, then ``dense_1``, and so on."""
    name = snake_case(class_name)
    _names[name] += 1
    return name if _names[name] == 1 else f"{name}_{_names[name] - 1}"


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> Array:
    """Turn labels into one-hot rows (one-hot 表現), as ``keras.utils.to_categorical`` does.

    Args:
        x: whole numbers from 0 on, of any shape; a last axis of length 1 is dropped.
        num_classes: length of the new last axis; ``max(x) + 1`` if not given.

    Returns:
        float64 array of shape ``x.shape + (num_classes,)``.

    Raises:
        ValueError: if ``x`` is empty, holds a label that is negative, not whole, or not below ``num_classes``.
    """
    labels = check_labels("x", np.atleast_1d(x)).reshape(np.shape(x))
    if labels.ndim > 1 and labels.shape[labels.ndim - 1] == 1:
        labels = labels[..., 0]
    width = int(labels.max()) + 1
    if num_classes is not None:
        if width > check_integer("num_classes", num_classes):
            raise ValueError(
                f"to_categorical: num_classes={num_classes} has no place for the label {width - 1}; "
                f"pass num_classes={width} or more."
            )
        width = int(num_classes)
    one_hot = np.zeros((labels.size, width))
    one_hot[np.arange(labels.size), labels.ravel()] = 1
    return one_hot.reshape(*labels.shape, width)


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array that begins where a line of the cache does: a processor loads what lies across two of them half as fast.

    Its numbers are whatever was there, as in ``numpy.empty``.
    """
    size = 1
    for length in shape:  # not math.prod, which Numba does not know: kernels compile this function too
        size *= length
    buffer = np.empty(size + CACHE_LINE, dtype)
    start = -buffer.ctypes.data % CACHE_LINE // buffer.itemsize
    return buffer[start : start + size].reshape(shape)


def overridden(it: object, kind: type, *methods: str) -> bool:
    """Whether a class below ``kind``, or the object itself, has a method of its own in the place of one of these."""
    if not vars(it).keys().isdisjoint(methods):
        return True
    return type(it) is not kind and any(getattr(type(it), method) is not getattr(kind, method) for method in methods)


def check_name(kind: str, name: object, known: Collection[str]) -> str:
    """Return ``name`` if it is one of the ``known`` ones, or raise a ``ValueError`` that lists them."""
    if isinstance(name, str) and name in known:
        return name
    raise ValueError(f"Unknown {kind} {name!r}: choose one of {', '.join(known)}.")


def check_integer(argument: str, value: object, minimum: int = 1) -> int:
    """Return ``value`` as an int, or raise a ``ValueError`` that names the argument."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise ValueError(f"{argument} must be a whole number, {minimum} or more; got {value!r}.")
    return int(value)


def check_number(argument: str, value: object, minimum: float = 0.0, maximum: float = sys.float_info.max) -> float:
    """Return ``value`` as a float, or raise a ``ValueError`` that names the argument."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        number = float(value)
        if minimum <= number <= maximum:
            return number
    limits = f"{minimum:g} or more" if maximum == sys.float_info.max else f"between {minimum:g} and {maximum:g}"
    raise ValueError(f"{argument} must be a finite number, {limits}; got {value!r}.")


def check_list(argument: str, value: Sequence[T] | None) -> list[T]:
    """Return a list or tuple as a list, None as an empty one, or raise a ``ValueError``."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise ValueError(f"{argument} must be a list; got {type(value).__name__}.")
    return list(value)


def check_numeric(argument: str, value: ArrayLike) -> Array:
    """Return ``value`` as an array of numbers, without a copy, or raise a ``ValueError``."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{argument} must be a rectangular array; got rows of different lengths.") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{argument} must hold real numbers; got dtype {array.dtype}.")
    return array


def check_array(argument: str, value: ArrayLike, dtype: np.dtype[Any] | None = None) -> Array:
    """Return ``value`` as an array of finite numbers with at least one sample; nothing is copied or converted.

    Args:
        argument: the name that an error message gives it.
        value: bool, integer or real floating-point numbers.
        dtype: the dtype that the numbers must fit into (1e300 does not fit into float32).

    Raises:
        ValueError: if ``value`` is empty or ragged, not numeric, or holds NaN or infinity.
    """
    array = check_numeric(argument, value)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{argument} must hold at least one sample; got an array of shape {array.shape}.")
    if array.dtype.kind == "f" and not _clearly_finite(array, dtype or array.dtype):
        # The extremes carry NaN and infinity, so no temporary array of the data's size is needed.
        with np.errstate(over="ignore"):
            extremes = np.array([array.min(), array.max()]).astype(dtype or array.dtype)
        if not np.isfinite(extremes).all():
            bad, where = _first_bad(array, dtype or array.dtype)
            raise ValueError(
                f"{argument} must hold finite numbers; got {bad} at index {where}. Replace or drop such samples."
            )
    return array


def _clearly_finite(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether one pass shows that all is well: a sum is not finite if one of its terms is not."""
    if array.dtype.itemsize > dtype.itemsize:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()))


def _first_bad(array: Array, dtype: np.dtype[Any]) -> tuple[float, tuple[int, ...]]:
    with np.errstate(over="ignore"):
        for i, row in enumerate(array):
            bad = np.argwhere(~np.isfinite(np.asarray(row).astype(dtype)))
            if len(bad):
                where = (i, *map(int, bad[0]))
                return float(array[where]), where
    raise AssertionError("the caller has seen a number that is not finite")


def check_labels(argument: str, value: ArrayLike) -> Array:
    """Return class labels as an integer array; a float array is taken if every number in it is whole.

    Raises:
        ValueError: as ``check_array``, and if a label is negative or not whole.
    """
    array = check_array(argument, value)
    with np.errstate(invalid="ignore"):  # 1e300 has no whole number; the next line sees it
        labels = array.astype(np.int64) if array.dtype.kind == "f" else array
    if labels is not array and not np.array_equal(labels, array):
        bad = array[labels != array].flat[0]
        raise ValueError(f"{argument} must hold whole class labels (0, 1, 2, …); got {bad:g}.")
    if labels.min() < 0:
        raise ValueError(f"{argument} must hold class labels of 0 or more; got {labels.min()}.")
    return labels.astype(np.int64) if labels.dtype.kind == "b" else labels
