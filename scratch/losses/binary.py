"""Cross-entropy of yes-or-no questions, one for each unit, as ``keras.losses.BinaryCrossentropy``."""

from numpy.typing import ArrayLike

from scratch.losses.loss import Crossentropy, Loss
from scratch.utils import Array, Shape


class SigmoidCrossEntropy(Loss):
    """Sigmoid and binary cross-entropy in one step, on logits z: the mean of max(z, 0) − z·t + log(1 + exp(−|z|))."""

    op = "sigmoid_cross_entropy"
    logits_of = "sigmoid"

    def for_logits(self) -> "SigmoidCrossEntropy":
        """Return this loss, which takes logits already."""
        return self

    def smooth(self, t: Array) -> Array:
        """Return the targets after label smoothing, t·(1 − s) + s/2."""
        s = self.label_smoothing
        return t * (1 - s) + s / 2 if s else t


class BinaryCrossentropy(Crossentropy):
    """Mean over the units of −t·log y − (1 − t)·log(1 − y), as ``keras.losses.BinaryCrossentropy``.

    Shapes: y (N, C), t (N, C) → one loss per sample (N,).
    Called on arrays of probabilities (N, C), it clips them to [1e-7, 1 − 1e-7].  After a sigmoid layer a model computes
    the loss from the logits instead, as Keras does on TensorFlow.  Formulas: ``keras/src/losses/losses.py`` and
    ``binary_crossentropy`` of ``keras/src/backend``.

    Args:
        from_logits: whether y_pred holds logits.
        label_smoothing: s between 0 and 1; the targets become ``t·(1 − s) + s/2``.
        reduction: ``'sum_over_batch_size'``, ``'sum'`` or ``None``.
    """

    op = "binary_crossentropy"
    of_logits = SigmoidCrossEntropy

    smooth = SigmoidCrossEntropy.smooth

    def check_targets(self, y: ArrayLike, output_shape: Shape, argument: str = "y") -> Array:
        """Return y as an array (N, units), or (N,) for one unit, without a copy.

        Raises:
            ValueError: if y is not one number between 0 and 1 per unit.
        """
        array = super().check_targets(y, output_shape, argument)
        if array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"{argument} must hold numbers between 0 and 1 for binary_crossentropy; "
                f"got {array.min():g} to {array.max():g}."
            )
        return array
