"""``Loss``: what all losses share."""

from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from scratch import ops
from scratch.checks import check_array, check_boolean, check_name, check_number, check_numeric, check_same_length
from scratch.dropped_names import refuse_in_constructor
from scratch.sample_weights import weights_of
from scratch.utils import Array, Configured, Shape, overridden

REDUCTIONS = ("sum_over_batch_size", "sum", "none")


class Loss(Configured):
    """Base class: a function of outputs y (N, C) and targets t (N, C), and its gradient with respect to y.

    Attributes:
        op: the loss of each sample is ``ops.{op}_forward(y, t)``, its gradient ``ops.{op}_backward(y, t)``.
        op_options: names of the attributes that both operations take as further arguments, such as Huber's delta.
        reduction: ``'sum_over_batch_size'`` (mean over the samples), ``'sum'`` or ``'none'``.
        label_smoothing: s between 0 and 1; the targets become ``t·(1 − s) + s/C``.
        backend: name of the backend whose operations are used.
        sparse: whether the user's targets are integer labels instead of rows.
        logits_of: the activation, ``'softmax'`` or ``'sigmoid'``, that the loss includes: it takes that one's logits.
    """

    op: str | None = None
    op_options: ClassVar[tuple[str, ...]] = ()
    sparse: ClassVar[bool] = False
    logits_of: str | None = None

    def __init__(self, reduction: str | None = "sum_over_batch_size", label_smoothing: float = 0.0) -> None:
        self.reduction = check_name("reduction", "none" if reduction is None else reduction, REDUCTIONS)
        self.label_smoothing = check_number("label_smoothing", label_smoothing, 0, 1)
        self.backend = "numpy"

    @property
    def ops(self) -> ModuleType:
        """The operations of the loss's backend."""
        return ops.get(self.backend)

    @property
    def fused_rule(self) -> str | None:
        """Name of the rule by which the fused training step computes this loss after a softmax; None if there is none.

        A subclass does not inherit the rule: see ``scratch.fusion``.
        """
        return None

    def forward(self, y: Array, t: Array) -> Array:
        """Return the loss of a batch: a scalar of y's dtype, or one loss per sample (N,) without a reduction."""
        self.y, self.t = y, self.smooth(t)
        return self.reduce(self._compute("forward"))

    def backward(self) -> Array:
        """Return the gradient (N, C) of the last ``forward`` with respect to y; without a reduction, of the sum."""
        return self.reduce_gradient(self._compute("backward"))

    def _compute(self, direction: str) -> Array:
        options = {name: getattr(self, name) for name in self.op_options}
        result: Array = getattr(self.ops, f"{self.op}_{direction}")(self.y, self.t, **options)
        return result

    def check_op(self) -> None:
        """Raise a ``ValueError`` if the backend lacks an operation that ``forward`` or ``backward`` calls."""
        for direction in ("forward", "backward"):
            if not overridden(self, Loss, direction) and not hasattr(self.ops, f"{self.op}_{direction}"):
                raise ValueError(
                    f"The op of the loss {type(self).__name__} must name a forward and a backward function of "
                    f"{self.ops.__name__}; got {self.op!r}, for which there is no {self.op}_{direction}. Add the "
                    f"function, or override {direction}."
                )

    def smooth(self, t: Array) -> Array:
        """Return the targets (N, C) after label smoothing."""
        s = self.label_smoothing
        return t * (1 - s) + s / t.shape[1] if s else t

    def reduce(self, losses: Array) -> Array:
        """Apply the reduction to one loss per sample (N,); the sum is taken in float64 and rounded once."""
        if self.reduction == "none":
            return losses
        total = losses.sum(dtype=np.float64) / (len(losses) if self.reduction == "sum_over_batch_size" else 1)
        return np.asarray(total, dtype=losses.dtype)

    def reduce_gradient(self, dy: Array) -> Array:
        """Return the gradient (N, C) of what ``reduce`` returned, for the gradients dy of the samples' losses."""
        return dy / len(dy) if self.reduction == "sum_over_batch_size" else dy

    def reduce_batches(self, losses: Array, size: int) -> list[float]:
        """Return the mean of each batch of ``size`` samples; the last batch may have fewer.

        One call of NumPy for all batches gives the bits of ``reduce``: it adds the numbers of a row in the same order.
        The compiled core, which computes several batches at once, computes no other reduction.
        """
        whole = len(losses) // size
        rows = losses[: whole * size].reshape(whole, size)
        means = rows.sum(axis=1, dtype=np.float64) / size
        last = [float(self.reduce(losses[whole * size :]))] if len(losses) % size else []
        return [*means.astype(losses.dtype).tolist(), *last]

    def for_logits(self) -> "Loss | None":
        """Return the same loss with a ``logits_of``, for models that end in this activation; None by default."""
        return None

    def check_targets(self, y: ArrayLike, output_shape: Shape, argument: str = "y") -> Array:
        """Return y as an array that ``targets`` accepts for outputs of that shape, without a copy.

        Raises:
            ValueError: if y is not one row of ``units`` finite numbers per sample; for one unit, numbers (N,) will do.
        """
        units, array = units_of(output_shape), check_array(argument, y)
        if array.shape[1:] != (units,) and not (units == 1 == array.ndim):
            raise ValueError(f"{argument} must be rows of {units} numbers, one per unit; got shape {array.shape}.")
        return array

    def targets(self, y: Array, units: int, dtype: DTypeLike) -> Array:
        """Return the t (N, units) of ``forward`` for checked targets y."""
        return y.reshape(len(y), units).astype(dtype)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Array:
        """Return the loss of a batch, in the dtype of the predictions (float32 for integers).

        Args:
            y_true: targets, as the loss requires.
            y_pred: predictions (N, C), or of one sample (C,).
            sample_weight: factor of the loss of each sample (N,), or one number for all.

        Raises:
            ValueError: as ``check_targets``, and if ``y_pred`` is not a batch of finite numbers.
        """
        y = check_array("y_pred", y_pred)
        if y.ndim == 1:
            weights = None if sample_weight is None else np.ravel(sample_weight)
            return self(np.asarray(y_true)[np.newaxis], y[np.newaxis], weights).reshape(())
        y = y if y.dtype.kind == "f" else y.astype(np.float32)
        truth = self.check_targets(y_true, (None, *y.shape[1:]), "y_true")
        check_same_length("y_true", truth, "y_pred", y)
        if sample_weight is not None and check_numeric("sample_weight", sample_weight).ndim == 0:
            sample_weight = np.full(len(y), sample_weight)
        t, weights = self.targets(truth, y.shape[1], y.dtype), weights_of(truth, sample_weight)
        if weights is None:
            return self.forward(y, t)
        from scratch.losses.weighted import WeightedLoss  # which is derived from this class

        return WeightedLoss(self, weights).forward(y, t)


class Crossentropy(Loss):
    """Base class of losses of probabilities, which a model computes from the logits of its last activation instead.

    Args:
        from_logits: whether y_pred holds logits.
        label_smoothing: s between 0 and 1.
        reduction: ``'sum_over_batch_size'``, ``'sum'`` or ``None``.

    Attributes:
        of_logits: the class of the same loss as a function of the logits.
    """

    of_logits: ClassVar[type[Loss]]

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        **unknown: object,
    ) -> None:
        refuse_in_constructor(self, unknown)
        super().__init__(reduction, label_smoothing)
        self.from_logits = check_boolean("from_logits", from_logits)
        if self.from_logits:
            self.op = self.of_logits.op

    def for_logits(self) -> Loss:
        """Return the same loss as a function of the logits."""
        loss = self.of_logits(self.reduction, self.label_smoothing)
        loss.backend = self.backend
        return loss


def units_of(output_shape: Shape) -> int:
    """Return the number of units of an output shape (None, units), or raise a ``ValueError``."""
    if len(output_shape) != 2 or output_shape[1] is None:
        raise ValueError(f"The loss expects outputs of shape (None, units); got {output_shape}: end in a Dense layer.")
    return output_shape[1]
