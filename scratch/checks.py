"""Checks of arguments: each returns the value in its usual form, or raises a ``ValueError`` of one sentence.

The sentence says which argument it is, what was expected, and what was received.
"""

import math
import sys
from collections.abc import Collection, Sequence, Sized
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]
T = TypeVar("T")
Shape = tuple[int | None, ...]  # as Keras writes it: the first axis counts samples and is None


def check_name(kind: str, name: object, known: Collection[str]) -> str:
    """Return ``name`` if it is in ``known``, or raise a ``ValueError`` that lists the known names."""
    if isinstance(name, str) and name in known:
        return name
    if not callable(name):
        raise ValueError(f"Unknown {kind} {name!r}: choose one of {', '.join(known)}.")
    given = getattr(name, "__name__", type(name).__name__)  # of a function or class
    if hasattr(name, "compute_output_shape"):  # a layer
        fix = "list the layer in the model, after this one"
    elif given.lower() in known:
        fix = f"pass {kind}={given.lower()!r}"
    else:
        fix = f"choose one of {', '.join(known)}"
    raise ValueError(f"{kind} must be a name; got {given}: {fix}.")


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
    if float(f"{maximum:g}") > maximum:
        limits = f", {minimum:g} or more and below {maximum:g}"
    limits = "" if minimum == -sys.float_info.max else limits
    raise ValueError(f"{argument} must be a finite number{limits}; got {value!r}.")


def check_boolean(argument: str, value: object) -> bool:
    """Return True, False, 1 or 0, also of NumPy, as a bool, or raise a ``ValueError`` that names the argument."""
    if isinstance(value, int | np.integer | np.bool_) and value in (0, 1):
        return bool(value)
    raise ValueError(f"{argument} must be True or False; got {value!r}.")


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
        is_frame = hasattr(value, "columns") and hasattr(value, "dtypes")
        array = np.asarray(_data_frame_as_array(value) if is_frame else value)
    except ValueError:
        raise ValueError(f"{argument} must be a rectangular array; got rows of different lengths.") from None
    if array.dtype.kind not in "biuf":
        found = f"dtype {array.dtype}" if array.ndim else type(value).__name__
        found = f"None: pass {argument}" if value is None else found
        raise ValueError(f"{argument} must hold real numbers; got {found}.")
    return array


def _data_frame_as_array(frame: Any) -> Any:
    """Return a data frame of pandas whose columns are numbers of several dtypes as float64; another one as it is."""
    dtypes = set(frame.dtypes)
    is_numeric = {getattr(dtype, "kind", "O") for dtype in dtypes} <= set("biuf")
    is_mixed = len(dtypes) > 1 or not all(isinstance(dtype, np.dtype) for dtype in dtypes)
    return frame.to_numpy(np.float64, na_value=np.nan) if is_numeric and is_mixed else frame


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
        return math.isfinite(array.sum())


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
