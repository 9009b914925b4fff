"""Activation functions with a setting, as layers: ``LeakyReLU`` and ``ELU``.

Sources: ``leaky_relu.py`` and ``elu.py`` in ``keras/src/layers/activations``; Maas et al., 2013; Clevert et al., 2016.
"""

from typing import Unpack

from scratch.checks import check_number
from scratch.layer import Common, Layer
from scratch.utils import warn_user


class LeakyReLU(Layer):
    """x for positive x, negative_slope·x for others, so that no unit stops learning: (N, …) → (N, …).

    Args:
        negative_slope: 0 or more.  The activation ``"leaky_relu"`` has 0.2, as in Keras.
        alpha: the old name of ``negative_slope``.
        **common: ``input_shape``, ``input_dim``, ``name``, ``dtype``.

    Raises:
        ValueError: if ``negative_slope`` is not such a number.

    Warns:
        UserWarning: if the old name is used.
    """

    settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.3, *, alpha: float | None = None, **common: Unpack[Common]) -> None:
        if alpha is not None:
            warn_user("Argument `alpha` is deprecated. Use `negative_slope` instead.")
            negative_slope = alpha
        self.negative_slope = check_number("negative_slope", negative_slope)
        super().__init__("leaky_relu", **common)

    @property
    def options(self) -> dict[str, float]:
        """The argument of the activation function."""
        return {"negative_slope": self.negative_slope}


class ELU(Layer):
    """x for positive x, alpha·(exp(x) − 1) for others: (N, …) → (N, …).

    Args:
        alpha: 0 or more; the outputs are above -alpha.
        **common: ``input_shape``, ``input_dim``, ``name``, ``dtype``.

    Raises:
        ValueError: if ``alpha`` is not such a number.
    """

    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, **common: Unpack[Common]) -> None:
        self.alpha = check_number("alpha", alpha)
        super().__init__("elu", **common)

    @property
    def options(self) -> dict[str, float]:
        """The argument of the activation function."""
        return {"alpha": self.alpha}
