"""Cross-entropy losses (交差エントロピー誤差).

``SoftmaxCrossEntropy`` is the book's ``SoftmaxWithLoss``: it takes logits, and is what a model that ends in a softmax
trains through.  ``CategoricalCrossentropy`` and ``SparseCategoricalCrossentropy`` are Keras's: they take probabilities,
and hand over to ``SoftmaxCrossEntropy`` where there are logits to be had.
"""

from collections.abc import Sized
from types import ModuleType

import numpy as np
from numpy.typing import ArrayLike

from scratch import ops
from scratch.utils import Array, Shape, check_array, check_labels, check_name, check_number

REDUCTIONS = ("sum_over_batch_size", "sum", "none")


class Loss:
    """A function of outputs y (N, C) and targets t (N, C), with its gradient.

    Attributes:
        op: name of the operations ``{op}_forward`` and ``{op}_backward`` that compute it, one loss a sample.
        reduction: ``'sum_over_batch_size'`` (mean over the samples), ``'sum'`` or ``'none'``.
        label_smoothing: s between 0 and 1; the targets become ``t·(1 − s) + s/C``.
        backend: whose operations.
    """

    op: str

    def __init__(self, reduction: str | None = "sum_over_batch_size", label_smoothing: float = 0.0) -> None:
        self.reduction = check_name("reduction", "none" if reduction is None else reduction, REDUCTIONS)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, 0, 1)
        self.backend = "numpy"

    @property
    def ops(self) -> ModuleType:
        """The operations that the loss computes with."""
        return ops.get(self.backend)

    def forward(self, y: Array, t: Array) -> Array:
        """Loss of a batch: a scalar of y's dtype, or (N,) without a reduction."""
        self.y, self.t = y, self.smooth(t)
        return self.reduce(getattr(self.ops, f"{self.op}_forward")(y, self.t))

    def smooth(self, t: Array) -> Array:
        """The targets, with a little of every class mixed in."""
        s = self.label_smoothing
        return t * (1 - s) + s / t.shape[-1] if s else t

    def reduce(self, losses: Array) -> Array:
        """One number for a batch, rounded once, however many samples there are; or all of them."""
        if self.reduction == "none":
            return losses
        total = losses.sum(dtype=np.float64) / (len(losses) if self.reduction == "sum_over_batch_size" else 1)
        return np.asarray(total, dtype=losses.dtype)

    def backward(self) -> Array:
        """Gradient of the last ``forward``'s scalar with respect to y; without a reduction, of the sum."""
        dy: Array = getattr(self.ops, f"{self.op}_backward")(self.y, self.t)
        return dy / len(self.y) if self.reduction == "sum_over_batch_size" else dy


class SoftmaxCrossEntropy(Loss):
    """Softmax and cross-entropy in one step, on logits: −Σ t·log softmax(y), with gradient (softmax(y) − t)/N."""

    op = "softmax_cross_entropy"


class CategoricalCrossentropy(Loss):
    """Cross-entropy with one-hot targets, as ``keras.losses.CategoricalCrossentropy``.

    Called on arrays of probabilities, it rescales each row to sum to 1 and clips to [1e-7, 1 − 1e-7].  After a
    softmax layer a model uses the logits instead, where nothing needs clipping.

    Args:
        from_logits: whether y_pred holds logits.
        label_smoothing: s between 0 and 1; the targets become ``t·(1 − s) + s/C``.
        reduction: ``'sum_over_batch_size'``, ``'sum'`` or ``None``.
    """

    op = "categorical_crossentropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(reduction, label_smoothing)
        self.from_logits = from_logits
        if from_logits:
            self.op = SoftmaxCrossEntropy.op

    def check_targets(self, y: ArrayLike, output_shape: Shape, argument: str = "y") -> Array:
        """Return y as an array that ``targets`` takes for outputs of that shape; nothing is copied.

        Raises:
            ValueError: if y is not one row of probabilities for each class and sample.
        """
        units = _units(output_shape)
        array = check_array(argument, y)
        if array.ndim == 1 or array.shape[1:] == (1,) != (units,):
            raise ValueError(
                f"{argument} must be one-hot rows of {units} for categorical_crossentropy; "
                f"got labels of shape {array.shape}. Use to_categorical(y) or the sparse_categorical_crossentropy."
            )
        if array.shape[1:] != (units,):
            raise ValueError(f"{argument} must be one-hot rows of {units}, one entry a unit; got shape {array.shape}.")
        if array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"{argument} must hold one-hot rows between 0 and 1; got {array.min():g} to {array.max():g}."
            )
        return array

    def targets(self, y: Array, y_pred: Array) -> Array:
        """The t of ``forward``: y in the dtype of y_pred."""
        return y.astype(y_pred.dtype)

    def for_logits(self) -> SoftmaxCrossEntropy:
        """The same loss for a network whose logits are known."""
        loss = SoftmaxCrossEntropy(self.reduction, self.label_smoothing)
        loss.backend = self.backend
        return loss

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
        """Loss of a batch of predictions (N, C), in their dtype (float32 if they are whole numbers).

        Raises:
            ValueError: as ``check_targets``, and if ``y_pred`` is not a batch of finite numbers.
        """
        y = check_array("y_pred", y_pred)
        y = y if y.dtype.kind == "f" else y.astype(np.float32)
        truth = self.check_targets(y_true, (None, *y.shape[1:]), "y_true")
        check_same_length("y_true", truth, "y_pred", y)
        return self.forward(y, self.targets(truth, y))


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """Cross-entropy with integer labels, as ``keras.losses.SparseCategoricalCrossentropy``.

    Args:
        from_logits: whether y_pred holds logits.
        reduction: ``'sum_over_batch_size'``, ``'sum'`` or ``None``.
    """

    op = "sparse_categorical_crossentropy"

    def __init__(self, from_logits: bool = False, reduction: str | None = "sum_over_batch_size") -> None:
        super().__init__(from_logits, reduction=reduction)

    def check_targets(self, y: ArrayLike, output_shape: Shape, argument: str = "y") -> Array:
        """Return y as an array of labels that ``targets`` takes for outputs of that shape.

        Raises:
            ValueError: if y is not one whole number from 0 to units − 1 for each sample.
        """
        units = _units(output_shape)
        shape = np.shape(check_array(argument, y))
        if shape[1:] not in ((), (1,)):
            raise ValueError(
                f"{argument} must be one label a sample for sparse_categorical_crossentropy; got shape {shape}. "
                "For one-hot rows use the loss 'categorical_crossentropy'."
            )
        labels = check_labels(argument, y)
        if labels.max() >= units:
            raise ValueError(
                f"{argument} must hold labels from 0 to {units - 1}, one for each unit; got {labels.max()}."
            )
        return labels

    def targets(self, y: Array, y_pred: Array) -> Array:
        """The t of ``forward``: y as one-hot rows in the dtype of y_pred."""
        return np.eye(y_pred.shape[-1], dtype=y_pred.dtype)[y.reshape(-1)]


LOSSES: dict[str, type[CategoricalCrossentropy]] = {
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
}


def get(loss: str | CategoricalCrossentropy | None) -> CategoricalCrossentropy:
    """Return the loss with that name; an instance is returned as it is.

    Raises:
        ValueError: if the name is unknown; the message lists the known ones.
    """
    return loss if isinstance(loss, CategoricalCrossentropy) else LOSSES[check_name("loss", loss, LOSSES)]()


def check_same_length(a_name: str, a: Sized, b_name: str, b: Sized) -> None:
    """Raise a ``ValueError`` unless both hold the same number of samples."""
    if len(a) != len(b):
        raise ValueError(f"{a_name} and {b_name} must hold the same number of samples; got {len(a):,} and {len(b):,}.")


def _units(output_shape: Shape) -> int:
    if len(output_shape) != 2 or output_shape[1] is None:
        raise ValueError(f"The loss expects outputs of shape (None, units); got {output_shape}: end in a Dense layer.")
    return output_shape[1]
