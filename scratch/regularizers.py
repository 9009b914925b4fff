"""Regularizers (正則化): penalties for large parameters, added to the loss; the book's weight decay, section 6.4.2.

Source: ``keras/src/regularizers/regularizers.py``.
"""

import inspect

import numpy as np

from scratch.checks import check_name, check_number
from scratch.utils import Array, Configured


class L1L2(Configured):
    """The penalty l1·Σ|W| + l2·ΣW² of a parameter W; its gradient is l1·sign(W) + 2·l2·W.

    Args:
        l1: factor of the sum of magnitudes, 0 or more.
        l2: factor of the sum of squares, 0 or more.

    Raises:
        ValueError: if a factor is not such a number.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = check_number("l1", l1), check_number("l2", l2)

    def __call__(self, W: Array) -> float:
        """Return the penalty, summed in float64."""
        return float(self.l1 * np.abs(W).sum(dtype=np.float64) + self.l2 * np.square(W, dtype=np.float64).sum())

    def gradient(self, W: Array) -> Array:
        """Return the gradient of the penalty, of the shape and dtype of W; that of |W| at 0 is 0, as in Keras."""
        return self.l1 * np.sign(W) + 2 * self.l2 * W

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value}' for key, value in vars(self).items() if value)})"


class L1(L1L2):
    """The penalty l1·Σ|W|, with 0.01 as the default."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(L1L2):
    """The penalty l2·ΣW², with 0.01 as the default."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


l1, l2, l1_l2 = L1, L2, L1L2
REGULARIZERS: dict[str, type[L1L2]] = {"l1": L1, "l2": L2, "l1l2": L1L2, "L1": L1, "L2": L2, "L1L2": L1L2}


def get(regularizer: str | L1L2 | type[L1L2] | None) -> L1L2 | None:
    """Return a new regularizer for a name or a class; an instance and None are returned unchanged.

    Raises:
        ValueError: if the name is unknown; the message lists the known names.
    """
    if regularizer is None or isinstance(regularizer, L1L2):
        return regularizer
    if inspect.isclass(regularizer) and issubclass(regularizer, L1L2):
        return regularizer()
    return REGULARIZERS[check_name("regularizer", regularizer, REGULARIZERS)]()
