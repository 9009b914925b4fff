"""The error model of stochastic gradient descent; numbers in parentheses are the rules of ``error_model``."""

from typing import NamedTuple

import numpy as np

from parity_tests.reference.error_model import Bounded, Rounding


class SGDSettings(NamedTuple):
    """The arguments of Keras's and scratch's ``SGD``."""

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None

    def __str__(self) -> str:
        settings = self._asdict().items()
        return ", ".join(f"{name}={value}" for name, value in settings if value != self._field_defaults[name])


def update(rounding: Rounding, W: Bounded, dW: Bounded, v: Bounded, settings: SGDSettings) -> tuple[Bounded, Bounded]:
    """Return weight and velocity after one update with the clipped gradient dW.

    Each product has two roundings (1): its own, and that of the setting, which is converted to the dtype.
    """
    lr, m = settings.learning_rate, settings.momentum
    if settings.weight_decay is not None:
        decay = settings.weight_decay * lr
        W = Bounded(W.value * (1 - decay), W.bound * (1 + decay) + rounding.u * W.magnitude * (1 + 4 * decay))
    step = _scaled(rounding, -lr, dW)
    if m == 0:
        return rounding.add(W, step), v
    v = rounding.add(_scaled(rounding, m, v), step)
    move = rounding.add(_scaled(rounding, m, v), step) if settings.nesterov else v
    return rounding.add(W, move), v


def clip(rounding: Rounding, gradients: list[Bounded], settings: SGDSettings) -> list[Bounded]:
    """Return the gradients of all parameters after clipping; a limit of 0 or None is no limit."""
    if settings.clipvalue:
        limit = settings.clipvalue
        return [Bounded(np.clip(g.value, -limit, limit), g.bound) for g in gradients]
    if settings.clipnorm:
        return [_limited_norm(rounding, [g], settings.clipnorm)[0] for g in gradients]
    return _limited_norm(rounding, gradients, settings.global_clipnorm) if settings.global_clipnorm else gradients


def _scaled(rounding: Rounding, factor: float, x: Bounded) -> Bounded:
    return Bounded(factor * x.value, abs(factor) * (x.bound + 2 * rounding.u * x.magnitude))


def _limited_norm(rounding: Rounding, gradients: list[Bounded], limit: float) -> list[Bounded]:
    """Return the gradients scaled to a common L2 norm of at most ``limit``.

    The relative error of the factor limit / norm is that of the norm: the input errors (5), the sum of n squares (2),
    and 6u for squares, root, division and product.
    """
    norm = np.sqrt(sum((g.value**2).sum() for g in gradients))
    input_error = np.sqrt(sum((g.bound**2).sum() for g in gradients)) / max(norm, limit)
    relative = input_error + rounding.gamma(sum(g.value.size for g in gradients)) + 6 * rounding.u
    factor = limit / max(norm, limit)
    return [Bounded(g.value * factor, factor * (g.bound + relative * g.magnitude)) for g in gradients]
