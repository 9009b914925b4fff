"""Cross-entropy of classes (交差エントロピー誤差), for one-hot rows and for labels.

``SoftmaxCrossEntropy`` is the book's ``SoftmaxWithLoss``: softmax and cross-entropy in one step, on logits.
``CategoricalCrossentropy`` and ``SparseCategoricalCrossentropy`` are Keras's losses on probabilities.  A model that
ends in a softmax trains through ``SoftmaxCrossEntropy`` in both cases, as Keras does on TensorFlow.

Formulas: ``keras/src/losses/losses.py`` and ``keras/src/backend/tensorflow/nn.py``; the book's sections 4.2.2, 5.6.3.
"""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scratch.checks import check_array, check_labels
from scratch.dropped_names import refuse_in_constructor
from scratch.losses.loss import Crossentropy, Loss, units_of
from scratch.utils import Array, Shape


class SoftmaxCrossEntropy(Loss):
    """Softmax and cross-entropy in one step, on logits: −Σ t·log softmax(y), with gradient (softmax(y) − t)/N."""

    op = "softmax_cross_entropy"
    logits_of = "softmax"

    def for_logits(self) -> "SoftmaxCrossEntropy":
        """Return this loss, which takes logits already."""
        return self


class CategoricalCrossentropy(Crossentropy):
    """−Σ t·log y over the classes, as ``keras.losses.CategoricalCrossentropy``: y (N, C), one-hot t (N, C) → (N,).

    Called on arrays of probabilities, it rescales each row to sum to 1 and clips to [1e-7, 1 − 1e-7].  After a softmax
    layer a model computes the loss from the logits instead, where nothing needs clipping.

    Args:
        from_logits: whether y_pred holds logits; the loss is then −Σ t·log softmax(y).
        label_smoothing: s between 0 and 1; the targets become ``t·(1 − s) + s/C``.
        reduction: ``'sum_over_batch_size'``, ``'sum'`` or ``None``.
    """

    op = "categorical_crossentropy"
    of_logits = SoftmaxCrossEntropy

    @property
    def fused_rule(self) -> str | None:
        """The fused step computes the mean over the batch only."""
        return SoftmaxCrossEntropy.op if self.reduction == "sum_over_batch_size" else None

    def check_targets(self, y: ArrayLike, output_shape: Shape, argument: str = "y") -> Array:
        """Return y as an array of one-hot rows (N, units), without a copy.

        Raises:
            ValueError: if y is not one row of ``units`` probabilities per sample.
        """
        units, array = units_of(output_shape), check_array(argument, y)
        if array.ndim == 1 or array.shape[1:] == (1,) != (units,):
            raise ValueError(
                f"{argument} must be one-hot rows of {units} for categorical_crossentropy; "
                f"got labels of shape {array.shape}. Use to_categorical(y) or the loss sparse_categorical_crossentropy."
            )
        if array.shape[1:] != (units,):
            raise ValueError(
                f"{argument} must be one-hot rows of {units}, one entry per unit; got shape {array.shape}."
            )
        if array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"{argument} must hold one-hot rows between 0 and 1; got {array.min():g} to {array.max():g}."
            )
        return array


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """−log y[t] with labels t, as ``keras.losses.SparseCategoricalCrossentropy``: y (N, C), t (N,) or (N, 1) → (N,).

    Called on arrays of probabilities, it clips to [1e-7, 1 − 1e-7] and then rescales each row to sum to 1.

    Args:
        from_logits: whether y_pred holds logits; the loss is then −log softmax(y)[t].
        reduction: ``'sum_over_batch_size'``, ``'sum'`` or ``None``.
    """

    op = "sparse_categorical_crossentropy"
    sparse = True

    def __init__(
        self, from_logits: bool = False, reduction: str | None = "sum_over_batch_size", **unknown: object
    ) -> None:
        refuse_in_constructor(self, unknown)
        super().__init__(from_logits, reduction=reduction)

    @property
    def fused_rule(self) -> str | None:
        """As for one-hot targets; declared again, since a subclass does not inherit it."""
        return super().fused_rule

    def check_targets(self, y: ArrayLike, output_shape: Shape, argument: str = "y") -> Array:
        """Return y as an array of labels (N,) or (N, 1).

        Raises:
            ValueError: if y is not one integer from 0 to units − 1 per sample.
        """
        units = units_of(output_shape)
        shape = np.shape(check_array(argument, y))
        if shape[1:] not in ((), (1,)):
            raise ValueError(
                f"{argument} must be one label per sample for sparse_categorical_crossentropy; got shape {shape}. "
                "For one-hot rows use the loss 'categorical_crossentropy'."
            )
        labels = check_labels(argument, y)
        if labels.max() >= units:
            raise ValueError(
                f"{argument} must hold labels from 0 to {units - 1}, one for each unit; got {labels.max()}."
            )
        return labels

    def targets(self, y: Array, units: int, dtype: DTypeLike) -> Array:
        """Return the labels as one-hot rows (N, units)."""
        return np.eye(units, dtype=dtype)[y.ravel()]
