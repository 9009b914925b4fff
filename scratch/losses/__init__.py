"""Loss functions (損失関数), as classes and, on arrays, as functions.

To add a loss, derive a class from ``Loss`` that names its operation, and enter it in ``LOSSES``.  The arguments of its
constructor are what a saved model contains of it.  ``scratch/README.md`` lists all files.
"""

import inspect
from typing import Any

from numpy.typing import ArrayLike

from scratch.checks import check_name
from scratch.losses.binary import BinaryCrossentropy, SigmoidCrossEntropy
from scratch.losses.categorical import CategoricalCrossentropy, SoftmaxCrossEntropy, SparseCategoricalCrossentropy
from scratch.losses.loss import REDUCTIONS, Loss, units_of
from scratch.losses.regression import MeanAbsoluteError, MeanSquaredError
from scratch.utils import Array

__all__ = [
    "LOSSES",
    "REDUCTIONS",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "get",
    "mean_absolute_error",
    "mean_squared_error",
    "sparse_categorical_crossentropy",
    "units_of",
]

LOSSES: dict[str, type[Loss]] = {
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "mean_squared_error": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
}
ALIASES = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "bce": "binary_crossentropy"}


# The losses as functions on arrays, as in ``keras/src/losses/losses.py``; ``compile`` takes one in place of a class.


def categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Array:
    """Return one loss per sample (N,) for one-hot rows (N, C) and y_pred (N, C): ``CategoricalCrossentropy``."""
    return CategoricalCrossentropy(from_logits, label_smoothing, None, axis=axis)(y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, ignore_class: None = None, axis: int = -1
) -> Array:
    """Return one loss per sample (N,) for labels (N,) and y_pred (N, C): ``SparseCategoricalCrossentropy``."""
    return SparseCategoricalCrossentropy(from_logits, None, ignore_class=ignore_class, axis=axis)(y_true, y_pred)


def binary_crossentropy(
    y_true: ArrayLike, y_pred: ArrayLike, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Array:
    """Return one loss per sample (N,) for zeros and ones (N, C) and y_pred (N, C): ``BinaryCrossentropy``."""
    return BinaryCrossentropy(from_logits, label_smoothing, None, axis=axis)(y_true, y_pred)


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return one loss per sample (N,) for targets (N, C) and y_pred (N, C): ``MeanSquaredError``."""
    return MeanSquaredError(None)(y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Return one loss per sample (N,) for targets (N, C) and y_pred (N, C): ``MeanAbsoluteError``."""
    return MeanAbsoluteError(None)(y_true, y_pred)


bce, mse, mae = binary_crossentropy, mean_squared_error, mean_absolute_error


def get(loss: Any) -> Loss:
    """Return a new loss for a name, a class or one of this module's functions; an instance is returned unchanged.

    As in Keras, a list may hold it, of which a model with several outputs has several.

    Raises:
        ValueError: if the name is unknown (the message lists the known names), or it is a function without a gradient.
    """
    while isinstance(loss, list | tuple) and len(loss) == 1:
        loss = loss[0]
    if isinstance(loss, Loss):
        return loss
    if inspect.isclass(loss) and issubclass(loss, Loss):
        return loss()
    name = str(getattr(loss, "__name__", loss))
    if callable(loss) and globals().get(name) is not loss:
        raise ValueError(
            f"The loss {name} is a function, of which scratch cannot compute the gradient: derive a class from "
            "scratch.losses.Loss with forward(y, t), which returns self.reduce(losses) for the losses (N,), and "
            "backward(), which returns self.reduce_gradient(dy) for their gradients (N, C) with respect to y."
        )
    classes = {known.__name__: key for key, known in LOSSES.items()}
    known = {**ALIASES, **classes}.get(name.lower() if name.isupper() else name, name if callable(loss) else loss)
    return LOSSES[check_name("loss", known, LOSSES)]()
