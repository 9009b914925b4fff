"""Faults in SGD: the update rule, momentum, weight decay and gradient clipping."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import optimizers

Array = np.ndarray
Grads = dict[str, Array]


def update(rule: Callable[[Any, str, Array, Array], None]) -> Callable[..., None]:
    """Turn a rule for one parameter (optimizer, name, W, dW) into an ``SGD.update`` that clips correctly."""

    @wraps(rule)
    def update_all(self: Any, params: Grads, grads: Grads) -> None:
        for name, dW in self._clip(grads).items():
            rule(self, name, params[name], dW)
        self.v = self.v if self.momentum else {}  # without momentum SGD keeps no velocities
        self.iterations += 1

    return update_all


def velocity(self: Any, name: str, W: Array) -> Array:
    """Return the velocity of a parameter, zero at first."""
    return self.v.setdefault(name, np.zeros_like(W))


def decay(self: Any, W: Array) -> None:
    """Decay the weights correctly."""
    if self.weight_decay:
        W -= W * self.weight_decay * self.learning_rate


def move(self: Any, W: Array, v: Array, dW: Array) -> None:
    """Move the weights correctly, with a velocity that has been updated."""
    W += self.momentum * v - self.learning_rate * dW if self.nesterov else v


@planted_fault(optimizers.SGD, "update", caught_by="updates")
@update
def step_uphill(self: Any, name: str, W: Array, dW: Array) -> None:
    """The step goes along the gradient instead of against it."""
    decay(self, W)
    v = velocity(self, name, W)
    v[...] = self.momentum * v + self.learning_rate * dW
    W += v


@planted_fault(optimizers.SGD, "update", caught_by="updates")
@update
def momentum_negated(self: Any, name: str, W: Array, dW: Array) -> None:
    """Momentum has the wrong sign."""
    decay(self, W)
    v = velocity(self, name, W)
    v[...] = -self.momentum * v - self.learning_rate * dW
    move(self, W, v, dW)


@planted_fault(optimizers.SGD, "update", caught_by="updates")
@update
def momentum_dampened(self: Any, name: str, W: Array, dW: Array) -> None:
    """Momentum is dampened: v ← m·v − (1 − m)·η·dW."""
    decay(self, W)
    v = velocity(self, name, W)
    v[...] = self.momentum * v - (1 - self.momentum) * self.learning_rate * dW
    move(self, W, v, dW)


@planted_fault(optimizers.SGD, "update", caught_by="updates")
@update
def nesterov_ignored(self: Any, name: str, W: Array, dW: Array) -> None:
    """Nesterov momentum does not look ahead."""
    decay(self, W)
    v = velocity(self, name, W)
    v[...] = self.momentum * v - self.learning_rate * dW
    W += v


@planted_fault(optimizers.SGD, "update", caught_by="updates")
@update
def velocity_forgotten(self: Any, name: str, W: Array, dW: Array) -> None:
    """The velocity is reset before each step."""
    decay(self, W)
    self.v[name] = -self.learning_rate * dW
    W += self.v[name]


@planted_fault(optimizers.SGD, "update", caught_by="updates")
@update
def weight_decay_coupled(self: Any, name: str, W: Array, dW: Array) -> None:
    """Weight decay is an L2 penalty: it enters the gradient, and through it the momentum."""
    dW = dW + (self.weight_decay or 0) * W
    v = velocity(self, name, W)
    v[...] = self.momentum * v - self.learning_rate * dW
    move(self, W, v, dW)


@planted_fault(optimizers.SGD, "update", caught_by="updates")
@update
def weight_decay_not_scaled(self: Any, name: str, W: Array, dW: Array) -> None:
    """Weight decay is not multiplied by the learning rate."""
    W -= W * (self.weight_decay or 0)
    v = velocity(self, name, W)
    v[...] = self.momentum * v - self.learning_rate * dW
    move(self, W, v, dW)


def norm(*arrays: Array) -> float:
    """Return the L2 norm of several arrays together."""
    return float(np.sqrt(sum(np.square(a, dtype=np.float64).sum() for a in arrays)))


def scaled(grads: Grads, limit: float, norm_of: Callable[[Array], float]) -> Grads:
    """Scale each gradient so that ``norm_of`` it is at most the limit."""
    return {name: dW * (limit / max(norm_of(dW), limit)) for name, dW in grads.items()}


def clipped_values(self: Any, grads: Grads) -> Grads:
    """Clip values correctly."""
    limit = self.clipvalue
    return {name: np.clip(dW, -limit, limit) for name, dW in grads.items()} if limit else grads


@planted_fault(optimizers.SGD, "_clip", caught_by="updates")
def global_norm_per_tensor(self: Any, grads: Grads) -> Grads:
    """``global_clipnorm`` limits the norm of each gradient instead of that of all together."""
    limit = self.clipnorm or self.global_clipnorm
    return scaled(grads, limit, norm) if limit else clipped_values(self, grads)


@planted_fault(optimizers.SGD, "_clip", caught_by="updates")
def norm_over_all_tensors(self: Any, grads: Grads) -> Grads:
    """``clipnorm`` limits the norm of all gradients together instead of that of each."""
    limit = self.clipnorm or self.global_clipnorm
    return scaled(grads, limit, lambda _: norm(*grads.values())) if limit else clipped_values(self, grads)


@planted_fault(optimizers.SGD, "_clip", caught_by="updates")
def small_gradients_scaled_up(self: Any, grads: Grads) -> Grads:
    """Clipping scales small gradients up to the limit."""
    if self.clipnorm:
        return {name: dW * (self.clipnorm / norm(dW)) for name, dW in grads.items()}
    if self.global_clipnorm:
        return {name: dW * (self.global_clipnorm / norm(*grads.values())) for name, dW in grads.items()}
    return clipped_values(self, grads)


@planted_fault(optimizers.SGD, "_clip", caught_by="updates")
def clipped_from_above_only(self: Any, grads: Grads) -> Grads:
    """``clipvalue`` limits positive values only."""
    if self.clipvalue:
        return {name: np.minimum(dW, self.clipvalue) for name, dW in grads.items()}
    if self.clipnorm:
        return scaled(grads, self.clipnorm, norm)
    return scaled(grads, self.global_clipnorm, lambda _: norm(*grads.values())) if self.global_clipnorm else grads
