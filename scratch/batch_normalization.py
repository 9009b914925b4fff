"""``BatchNormalization``: normalize each unit over the batch, so that training depends less on the initial weights.

Ioffe and Szegedy, 2015; the book's section 6.3; ``keras/src/layers/normalization/batch_normalization.py``.
"""

from typing import Unpack

import numpy as np

from scratch.checks import check_boolean, check_number
from scratch.initializers import Ones, Zeros
from scratch.layer import Common, Layer, WeightShapes
from scratch.utils import Array, Shape


class BatchNormalization(Layer):
    """out = gamma·(x − mean) / √(variance + epsilon) + beta, for each unit of the last axis: (N, …, D) → (N, …, D).

    In training, mean and variance are those of the batch, and the moving statistics approach them:
    moving ← momentum·moving + (1 − momentum)·batch.  In inference, mean and variance are the moving statistics.

    Args:
        axis: the axis of the units; must be -1, the last.
        momentum: how much of the moving statistics a step keeps, 0 to 1.
        epsilon: is added to the variance, which may be 0.
        center: whether there is a beta; otherwise nothing is added.
        scale: whether there is a gamma; otherwise the factor is 1.
        **common: ``input_shape``, ``input_dim``, ``name``, ``dtype``.

    Attributes:
        params: ``gamma`` and ``beta``, each (D,).
        state: ``moving_mean`` and ``moving_variance``, each (D,): weights without a gradient.

    Raises:
        ValueError: if a number is out of range.
    """

    settings = ("momentum", "epsilon")

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **common: Unpack[Common],
    ) -> None:
        if axis != -1:
            raise ValueError(f"axis must be -1, the last axis, the only one that scratch supports; got {axis!r}.")
        self.axis = int(axis)
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.epsilon = check_number("epsilon", epsilon)
        self.center, self.scale = check_boolean("center", center), check_boolean("scale", scale)
        super().__init__(**common)

    def weight_shapes(self, input_shape: Shape) -> WeightShapes:
        """Gamma is 1 and beta 0 at first."""
        units = self._units(input_shape)
        shapes: WeightShapes = {"gamma": (units, Ones())} if self.scale else {}
        return shapes | ({"beta": (units, Zeros())} if self.center else {})

    def state_shapes(self, input_shape: Shape) -> WeightShapes:
        """The moving mean is 0 and the moving variance 1 at first."""
        units = self._units(input_shape)
        return {"moving_mean": (units, Zeros()), "moving_variance": (units, Ones())}

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
