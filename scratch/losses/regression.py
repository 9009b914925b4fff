"""Losses on outputs of any size (回帰): the book's 2乗和誤差, averaged over the units as Keras does, and its relative.

Formulas: ``keras/src/losses/losses.py``.
"""

from scratch.dropped_names import refuse_in_constructor
from scratch.losses.loss import Loss


class MeanSquaredError(Loss):
    """Mean over the units of (y − t)², as ``keras.losses.MeanSquaredError``: y (N, C), t (N, C) → (N,).

    Its gradient with respect to y is 2·(y − t)/C.

    Args:
        reduction: over the samples: ``'sum_over_batch_size'``, ``'sum'`` or ``None``.
    """

    op = "mean_squared_error"

    def __init__(self, reduction: str | None = "sum_over_batch_size", **unknown: object) -> None:
        refuse_in_constructor(self, unknown)
        super().__init__(reduction)


class MeanAbsoluteError(Loss):
    """Mean over the units of |y − t|, as ``keras.losses.MeanAbsoluteError``: y (N, C), t (N, C) → (N,).

    Its gradient with respect to y is sign(y − t)/C, which is 0 at y = t.

    Args:
        reduction: over the samples: ``'sum_over_batch_size'``, ``'sum'`` or ``None``.
    """

    op = "mean_absolute_error"

    def __init__(self, reduction: str | None = "sum_over_batch_size", **unknown: object) -> None:
        refuse_in_constructor(self, unknown)
        super().__init__(reduction)
