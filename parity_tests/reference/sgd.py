"""The error model of stochastic gradient descent; numbers in parentheses are the rules of ``error_model``.

What the settings of every optimizer have is here as well: clipping, weight decay, their text, and the optimizer itself
in scratch or in Keras.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np

from parity_tests.reference.error_model import Bounded, Rounding

State = dict[str, Bounded]  # arrays of one parameter by Keras's name; empty before the first step


class OptimizerSettings(Protocol):
    """The arguments of an optimizer that Keras and scratch have.

    Attributes:
        optimizer: the name of the class.
    """

    optimizer: str
    learning_rate: float
    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None

    def create(self, module: Any) -> Any:
        """Return the optimizer, of the class in scratch's or Keras's ``optimizers`` module."""

    def update(self, rounding: Rounding, W: Bounded, dW: Bounded, state: State, step: int) -> tuple[Bounded, State]:
        """Return the weight and its state after an update with the clipped gradient dW; the first step is 1."""

    def _asdict(self) -> dict[str, Any]: ...

    def _replace(self, **settings: Any) -> "OptimizerSettings": ...


def created(settings: Any, module: Any) -> Any:
    """Return the optimizer, of the class in scratch's or Keras's ``optimizers`` module."""
    return getattr(module, settings.optimizer)(**settings._asdict())


def described(settings: Any) -> str:
    """Return the settings that are not the defaults."""
    defaults = settings._field_defaults
    return ", ".join(f"{name}={value}" for name, value in settings._asdict().items() if value != defaults[name])


class SGDSettings(NamedTuple):
    """The arguments of Keras's and scratch's ``SGD``."""

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None

    optimizer = "SGD"
    __str__ = described
    create = created

    def update(self, rounding: Rounding, W: Bounded, dW: Bounded, state: State, step: int) -> tuple[Bounded, State]:
        """Return weight and velocity after one update with the clipped gradient dW.

        Each product has two roundings (1): its own, and that of the setting, which is converted to the dtype.
        """
        W, move = decayed(rounding, W, self), scaled(rounding, -self.learning_rate, dW)
        if self.momentum == 0:
            return rounding.add(W, move), state
        v = state.get("momentum", zeros_like(W))
        v = rounding.add(scaled(rounding, self.momentum, v), move)
        move = rounding.add(scaled(rounding, self.momentum, v), move) if self.nesterov else v
        return rounding.add(W, move), {"momentum": v}


def zeros_like(W: Bounded) -> Bounded:
    """Return exact zeros, the initial state of most optimizers."""
    return Bounded(np.zeros_like(W.value), np.zeros_like(W.value))


def share_kept(settings: OptimizerSettings) -> float:
    """Return 1 − λ·η, the share of each weight that weight decay keeps in a step."""
    return 1 - (settings.weight_decay or 0) * settings.learning_rate


def decayed(rounding: Rounding, W: Bounded, settings: OptimizerSettings) -> Bounded:
    """Return W − W·λ·η."""
    if settings.weight_decay is None:
        return W
    share = share_kept(settings)
    return Bounded(W.value * share, W.bound * abs(share) + rounding.u * W.magnitude * (1 + 4 * (1 - share)))


def scaled(rounding: Rounding, factor: float, x: Bounded) -> Bounded:
    """Return the product with a setting, which is converted to the dtype."""
    return Bounded(factor * x.value, abs(factor) * (x.bound + 2 * rounding.u * x.magnitude))


def clip(rounding: Rounding, gradients: list[Bounded], settings: OptimizerSettings) -> list[Bounded]:
    """Return the gradients of all parameters after clipping; a limit of 0 or None is no limit."""
    if settings.clipvalue:
        limit = settings.clipvalue
        return [Bounded(np.clip(g.value, -limit, limit), g.bound) for g in gradients]
    if settings.clipnorm:
        return [_limited_norm(rounding, [g], settings.clipnorm)[0] for g in gradients]
    return _limited_norm(rounding, gradients, settings.global_clipnorm) if settings.global_clipnorm else gradients


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
