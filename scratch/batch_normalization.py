"""``BatchNormalization``: normalize each unit over the batch, so that training depends less on the initial weights.

Ioffe and Szegedy, 2015; the book's section 6.3; ``keras/src/layers/normalization/batch_normalization.py``.
"""

from typing import Unpack

import numpy as np

from scratch import initializers
from scratch.checks import check_boolean, check_integer, check_number
from scratch.initializers import InitializerFunction
from scratch.layer import Common, Layer, WeightShapes
from scratch.utils import Array, Shape


class BatchNormalization(Layer):
    """out = gamma·(x − mean) / √(variance + epsilon) + beta, for each unit of the last axis: (N, …, D) → (N, …, D).

    In training, mean and variance are those of the batch, and the moving statistics approach them:
    moving ← momentum·moving + (1 − momentum)·batch.  In inference, mean and variance are the moving statistics.

    Args:
        axis: the axis of the units; must be the last: -1, 1 for rows (N, D), or 2 for samples (N, T, D).
        momentum: how much of the moving statistics a step keeps, 0 to 1.
        epsilon: is added to the variance, which may be 0.
        center: whether there is a beta; otherwise nothing is added.
        scale: whether there is a gamma; otherwise the factor is 1.
        beta_initializer: initial beta: a name, one of ``scratch.initializers``, or a function of ``(shape, rng)``.
        gamma_initializer: initial gamma, likewise.
        moving_mean_initializer: initial moving mean, likewise.
        moving_variance_initializer: initial moving variance, likewise.
        **common: ``input_shape``, ``input_dim``, ``name``, ``dtype``.

    Attributes:
        params: ``gamma`` and ``beta``, each (D,).
        state: ``moving_mean`` and ``moving_variance``, each (D,): weights without a gradient.

    Raises:
        ValueError: if a number is out of range, or a name is unknown.
    """

    settings = ("momentum", "epsilon")

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | InitializerFunction = "zeros",
        gamma_initializer: str | InitializerFunction = "ones",
        moving_mean_initializer: str | InitializerFunction = "zeros",
        moving_variance_initializer: str | InitializerFunction = "ones",
        **common: Unpack[Common],
    ) -> None:
        self.axis = check_integer("axis", axis, minimum=-1)
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.epsilon = check_number("epsilon", epsilon)
        self.center, self.scale = check_boolean("center", center), check_boolean("scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        super().__init__(**common)

    @property
    def gamma(self) -> Array | None:
        """The parameter gamma, not a copy; None before the layer is built, and without a scale."""
        return self.params.get("gamma")

    @property
    def beta(self) -> Array | None:
        """The parameter beta, not a copy; None before the layer is built, and without a center."""
        return self.params.get("beta")

    @property
    def moving_mean(self) -> Array | None:
        """The moving mean, not a copy; None before the layer is built."""
        return self.state.get("moving_mean")

    @property
    def moving_variance(self) -> Array | None:
        """The moving variance, not a copy; None before the layer is built."""
        return self.state.get("moving_variance")

    def weight_shapes(self, input_shape: Shape) -> WeightShapes:
        """Gamma and beta are (D,), as in Keras."""
        units = self._units(input_shape)
        shapes: WeightShapes = {"gamma": (units, self.gamma_initializer)} if self.scale else {}
        return shapes | ({"beta": (units, self.beta_initializer)} if self.center else {})

    def state_shapes(self, input_shape: Shape) -> WeightShapes:
        """The moving mean and the moving variance are (D,)."""
        units = self._units(input_shape)
        return {
            "moving_mean": (units, self.moving_mean_initializer),
            "moving_variance": (units, self.moving_variance_initializer),
        }

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, …, D) → (N, …, D)."""
        if len(input_shape) > 1 and self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(
                f"Layer {self.name!r} has axis={self.axis}, which is not the last of inputs of shape {input_shape}: "
                "pass axis=-1, the only axis that scratch supports."
            )
        return super().compute_output_shape(input_shape)

    def _units(self, input_shape: Shape) -> tuple[int]:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(f"Layer {self.name!r} must know the number of units, the last axis; got {input_shape}.")
        return (input_shape[-1],)

    def forward(self, x: Array, training: bool = False) -> Array:
        """(N, …, D) → (N, …, D); the statistics, float64, are over all axes but the last."""
        self.training, axes = training, tuple(range(x.ndim - 1))
        moving = self.state["moving_mean"], self.state["moving_variance"]
        mean, variance = (array.astype(np.float64) for array in moving)
        if training:
            mean = x.mean(axis=axes, dtype=np.float64)
            variance = np.square(x - mean).mean(axis=axes)
            for array, new in zip(moving, (mean, variance), strict=True):
                array[...] = self.momentum * array + (1 - self.momentum) * new
        self.std = np.sqrt(variance + self.epsilon)
        self.xn = ((x - mean) / self.std).astype(x.dtype)
        return self.activate(self.xn * self.params.get("gamma", x.dtype.type(1)) + self.params.get("beta", 0))

    def backward(self, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
        """Return dx = (dxn − mean(dxn) − xn·mean(dxn·xn)) / √(variance + epsilon), with dxn = dout·gamma.

        In inference the statistics do not depend on x: dx = dxn / √(variance + epsilon).
        """
        dout, axes = np.asarray(dout, np.float64), tuple(range(dout.ndim - 1))
        grads = {"gamma": (dout * self.xn).sum(axis=axes), "beta": dout.sum(axis=axes)}
        self.grads = {key: grads[key].astype(W.dtype) for key, W in self.params.items()}
        dxn = dout * self.params.get("gamma", 1)
        if self.training:
            dxn = dxn - dxn.mean(axis=axes) - self.xn * (dxn * self.xn).mean(axis=axes)
        return (dxn / self.std).astype(self.xn.dtype)
