"""``WeightedLoss``: a loss in which every sample has a weight of its own."""

import copy

from numpy.typing import DTypeLike

from scratch.losses.loss import Loss
from scratch.utils import Array


class WeightedLoss(Loss):
    """Σ weight·loss over the samples of a batch; by default divided by their number N, not by Σ weight, as in Keras.

    Formula: ``reduce_weighted_values`` of ``keras/src/losses/loss.py``.

    Args:
        loss: the loss of each sample; its reduction is applied to the products.
        sample_weight: (N,), for one batch.
    """

    def __init__(self, loss: Loss, sample_weight: Array) -> None:
        super().__init__(loss.reduction)
        self.sample_weight, self.loss = sample_weight, copy.copy(loss)
        self.loss.reduction = "none"
        self.logits_of = loss.logits_of

    def for_logits(self) -> "WeightedLoss | None":
        """Return the weighted loss as a function of the logits, if the loss has one."""
        of_logits = self.loss.for_logits()
        if of_logits is None:
            return None
        weighted = WeightedLoss(of_logits, self.sample_weight)
        weighted.reduction = self.reduction
        return weighted

    def targets(self, y: Array, units: int, dtype: DTypeLike) -> Array:
        """Return the targets as the loss takes them."""
        return self.loss.targets(y, units, dtype)

    def forward(self, y: Array, t: Array) -> Array:
        """Return the weighted loss of a batch; see ``Loss.forward``."""
        self.y, losses = y, self.loss.forward(y, t)
        if losses.shape != (len(y),):
            raise ValueError(
                f"The loss {type(self.loss).__name__} must return one number per sample for reduction='none', so that "
                f"they can be weighted; got shape {losses.shape}."
            )
        return self.reduce(losses * self.sample_weight.astype(losses.dtype))

    def backward(self) -> Array:
        """Return the gradient (N, C) of the last ``forward``: each sample's row times its weight."""
        dy: Array = self.loss.backward()
        dy = dy * self.sample_weight.astype(dy.dtype).reshape(-1, *[1] * (dy.ndim - 1))
        return self.reduce_gradient(dy)
