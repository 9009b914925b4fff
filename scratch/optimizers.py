"""Optimizers (最適化手法): stochastic gradient descent (確率的勾配降下法) with the options of Keras's ``SGD``.

The update rule is that of ``keras/src/optimizers/sgd.py``, the order that of ``base_optimizer.py``: clip the gradients,
decay the weights, then update them.
"""

import math
from typing import Any

import numpy as np

from scratch.kernels import Rule
from scratch.utils import Array, check_name, check_number


class SGD:
    """W ← W − η·dW, or with momentum v ← m·v − η·dW, W ← W + v (Nesterov: W ← W + m·v − η·dW).

    Args:
        learning_rate: η, zero or more.
        momentum: m, between 0 and 1.
        nesterov: whether to apply Nesterov momentum.
        weight_decay: λ; before each step W ← W − W·λ·η.
        clipnorm: upper limit of the L2 norm of each gradient.
        clipvalue: each entry of a gradient is clipped to ±clipvalue.
        global_clipnorm: upper limit of the L2 norm of all gradients together.

    Attributes:
        iterations: number of updates so far.
        v: velocities by parameter name; empty without momentum.

    Raises:
        ValueError: if a number is out of range, or more than one kind of clipping is requested.
    """

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.nesterov = nesterov
        self.weight_decay = None if weight_decay is None else check_number("weight_decay", weight_decay)
        self.clipnorm = None if clipnorm is None else check_number("clipnorm", clipnorm)
        self.clipvalue = None if clipvalue is None else check_number("clipvalue", clipvalue)
        self.global_clipnorm = None if global_clipnorm is None else check_number("global_clipnorm", global_clipnorm)
        if sum(option is not None for option in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                "Only one of clipnorm, clipvalue and global_clipnorm can be set; "
                f"got clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}."
            )
        self.iterations = 0
        self.owner: object | None = None  # the model that was compiled with this optimizer
        self.v: dict[str, Array] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"owner": None}  # a copied model is the owner of its optimizer: see Network.__setstate__

    @property
    def variables(self) -> list[Array]:
        """Iterations, learning rate and velocities, the variables that Keras counts as the optimizer's parameters."""
        return [np.array(self.iterations, np.int64), np.array(self.learning_rate, np.float32), *self.v.values()]

    @property
    def fused_rule(self) -> Rule | None:
        """The numbers by which the fused training step applies this optimizer; None if a limit is not 0 or more.

        A subclass does not inherit the rule: see ``scratch.execution``.
        """
        limits = [limit or 0 for limit in (self.clipnorm, self.global_clipnorm, self.clipvalue)]
        if not all(limit >= 0 for limit in limits):
            return None
        clipnorm, global_clipnorm, clipvalue = [  # only the first that is set counts, as in _clip
            0.0 if any(limits[:i]) else float(limit) for i, limit in enumerate(limits)
        ]
        decay = self.weight_decay
        decays = decay is not None, float(decay or 0)
        numbers = float(self.learning_rate), float(self.momentum), bool(self.nesterov)
        return Rule(*numbers, *decays, clipvalue, clipnorm, global_clipnorm)

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """Update the arrays of ``params`` in place; the arrays of ``grads`` are not modified.

        Args:
            params: parameters by name.
            grads: gradients with the same names and shapes.

        Raises:
            ValueError: if a gradient is missing or has another shape; nothing is changed then.
        """
        for key, W in params.items():
            if key not in grads or grads[key].shape != W.shape:
                found = grads[key].shape if key in grads else "none"
                raise ValueError(f"The parameter {key!r} needs a gradient of shape {W.shape}; got {found}.")
        lr = float(self.learning_rate)
        grads = self._clip(grads)
        for key, W in params.items():
            if self.weight_decay is not None:
                W -= W * self.weight_decay * lr
            if self.momentum == 0:
                W -= lr * grads[key]
                continue
            if key not in self.v or self.v[key].shape != W.shape:  # a new layer may reuse a name
                self.v[key] = np.zeros_like(W)
            v = self.v[key]
            v *= self.momentum
            v -= lr * grads[key]
            W += self.momentum * v - lr * grads[key] if self.nesterov else v
        self.iterations += 1

    def _clip(self, grads: dict[str, Array]) -> dict[str, Array]:
        # As in Keras, a limit of 0 means no clipping.
        if self.clipnorm:
            return {key: g * (self.clipnorm / max(_norm(g), self.clipnorm)) for key, g in grads.items()}
        if self.global_clipnorm:
            norm = math.sqrt(sum(_norm(g) ** 2 for g in grads.values()))
            return {key: g * (self.global_clipnorm / max(norm, self.global_clipnorm)) for key, g in grads.items()}
        if self.clipvalue:
            return {key: np.clip(g, -self.clipvalue, self.clipvalue) for key, g in grads.items()}
        return grads


OPTIMIZERS = {"sgd": SGD, "SGD": SGD}


def get(optimizer: str | SGD) -> SGD:
    """Return a new optimizer with that name; an instance is returned unchanged.

    Raises:
        ValueError: if the name is unknown; the message lists the known names.
    """
    return optimizer if isinstance(optimizer, SGD) else OPTIMIZERS[check_name("optimizer", optimizer, OPTIMIZERS)]()


def _norm(g: Array) -> float:
    return math.sqrt(float(np.square(g, dtype=np.float64).sum()))
