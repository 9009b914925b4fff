"""``sample_weight`` and ``class_weight``: the arguments of ``fit``, checked and converted to one weight per sample."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scratch.checks import check_array, check_integer, check_number, check_same_length
from scratch.utils import Array


def weights_of(
    y: Array,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[int, float] | None = None,
    argument: str = "sample_weight",
) -> Array | None:
    """Return the weights (N,) of samples with checked targets y; None if there are none.

    Args:
        y: targets: labels (N,) or (N, 1), or one-hot rows (N, C), whose class is that of the largest entry.
        sample_weight: one number per sample, (N,) or (N, 1).
        class_weight: weight by class, an integer of any type, such as 1, 1.0 or True; other classes have weight 1.
        argument: name of ``sample_weight`` in error messages.

    Raises:
        ValueError: if both are given, or one is not of that form.
    """
    if sample_weight is not None and class_weight is not None:
        raise ValueError("Pass either class_weight or sample_weight, not both; multiply the weights of the samples.")
    if sample_weight is not None:
        weights = check_array(argument, sample_weight)
        check_same_length(argument, weights, "y", y)
        if weights.shape[1:] not in ((), (1,)):
            raise ValueError(f"{argument} must hold one number per sample, ({len(y)},); got shape {weights.shape}.")
        return weights.reshape(-1)
    if class_weight is None:
        return None
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight must be a dict such as {{0: 1.0, 1: 2.0}}; got {type(class_weight).__name__}.")
    known = {_label(label): check_number(f"class_weight[{label}]", weight) for label, weight in class_weight.items()}
    labels = np.argmax(y, axis=1) if y.ndim > 1 and y.shape[1] > 1 else np.round(y.ravel())
    return np.array([known.get(int(label), 1.0) for label in labels], np.float32)


def _label(key: Any) -> int:
    """Return a key of ``class_weight`` as an integer: labels may be floats or booleans."""
    is_integer = isinstance(key, bool | np.bool_ | float | np.floating) and float(key).is_integer()
    return check_integer("each class of class_weight", int(key) if is_integer else key, 0)
