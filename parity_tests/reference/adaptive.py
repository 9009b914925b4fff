"""The error models of Adam, RMSprop and Adagrad; numbers in parentheses are the rules of ``error_model``.

All three divide a gradient by the root of a mean of squares.  Where the gradient is about as small as its own error,
the quotient may be anything of its size, but no more: |m| / √v has an upper limit, which each of the rules derives from
the Cauchy-Schwarz inequality and passes to ``moved`` (6).
"""

from typing import NamedTuple

import numpy as np

from parity_tests.reference.error_model import ELEMENTARY, Array, Bounded, Rounding
from parity_tests.reference.sgd import State, created, decayed, described, scaled, zeros_like


class AdamSettings(NamedTuple):
    """The arguments of Keras's and scratch's ``Adam``."""

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None

    optimizer = "Adam"
    __str__ = described
    create = created

    def update(self, rounding: Rounding, W: Bounded, dW: Bounded, state: State, step: int) -> tuple[Bounded, State]:
        """Return the weight, m and v after one update with the clipped gradient dW."""
        m = mean(rounding, state.get("momentum", zeros_like(W)), dW, 1 - self.beta_1)
        v = mean(rounding, state.get("velocity", zeros_like(W)), squared(rounding, dW), 1 - self.beta_2)
        largest = maximum(state.get("velocity_hat", zeros_like(W)), v)
        state = {"momentum": m, "velocity": v, "velocity_hat": largest}
        alpha, relative = self._step_size(rounding, step)
        numerator = Bounded(m.value * alpha, alpha * (m.bound + (relative + rounding.u) * m.magnitude))
        denominator = rounding.add(
            root(rounding, largest if self.amsgrad else v), scaled(rounding, self.epsilon, ones_like(W))
        )
        # m and v are sums of β₁ᵏ(1 − β₁)·g and β₂ᵏ(1 − β₂)·g², k = 0, 1, …
        limit = alpha * (1 - self.beta_1) / np.sqrt((1 - self.beta_2) * (1 - self.beta_1**2 / self.beta_2))
        return moved(rounding, decayed(rounding, W, self), numerator, denominator, limit), state

    def _step_size(self, rounding: Rounding, step: int) -> tuple[float, float]:
        """Return α and its relative error.

        A power has an error of ELEMENTARY·u (3), which the difference from 1 magnifies (4).  Both betas are converted
        to the dtype before, in every program alike.
        """
        one, two = (float(np.dtype(rounding.dtype).type(beta)) ** step for beta in (self.beta_1, self.beta_2))
        errors = [ELEMENTARY * rounding.u * power / (1 - power) for power in (one, two)]
        return self.learning_rate * np.sqrt(1 - two) / (1 - one), errors[0] + errors[1] / 2 + 6 * rounding.u


class RMSpropSettings(NamedTuple):
    """The arguments of Keras's and scratch's ``RMSprop``."""

    learning_rate: float = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None

    optimizer = "RMSprop"
    __str__ = described
    create = created

    def update(self, rounding: Rounding, W: Bounded, dW: Bounded, state: State, step: int) -> tuple[Bounded, State]:
        """Return the weight and the running means after one update with the clipped gradient dW."""
        W, limit = decayed(rounding, W, self), self.learning_rate / np.sqrt(1 - self.rho)  # v is at least (1 − ρ)·g²
        state, before = {}, state
        state["velocity"] = variance = self._mean(rounding, before.get("velocity"), squared(rounding, dW))
        if self.centered:
            a = state["average_gradient"] = self._mean(rounding, before.get("average_gradient"), dW)
            variance, limit = rounding.add(variance, negative(squared(rounding, a))), np.inf
        variance = rounding.add(variance, scaled(rounding, self.epsilon, ones_like(W)))
        numerator, denominator = scaled(rounding, self.learning_rate, dW), root(rounding, variance)
        if not self.momentum:
            return moved(rounding, W, numerator, denominator, limit), state
        step_taken = negative(moved(rounding, zeros_like(W), numerator, denominator, limit))
        u = scaled(rounding, self.momentum, before.get("momentum", zeros_like(W)))
        state["momentum"] = rounding.add(u, step_taken)
        return rounding.add(W, negative(state["momentum"])), state

    def _mean(self, rounding: Rounding, mean: Bounded | None, x: Bounded) -> Bounded:
        """Return ρ·mean + (1 − ρ)·x."""
        old = scaled(rounding, self.rho, mean or zeros_like(x))
        return rounding.add(old, scaled(rounding, 1 - self.rho, x))


class AdagradSettings(NamedTuple):
    """The arguments of Keras's and scratch's ``Adagrad``."""

    learning_rate: float = 0.001
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None

    optimizer = "Adagrad"
    __str__ = described
    create = created

    def update(self, rounding: Rounding, W: Bounded, dW: Bounded, state: State, step: int) -> tuple[Bounded, State]:
        """Return the weight and the sum of squares after one update with the clipped gradient dW."""
        ones = ones_like(W)
        first = scaled(rounding, self.initial_accumulator_value, ones)
        h = rounding.add(state.get("accumulator", first), squared(rounding, dW))
        denominator = root(rounding, rounding.add(h, scaled(rounding, self.epsilon, ones)))
        numerator = scaled(rounding, self.learning_rate, dW)
        limit = self.learning_rate  # h is at least g²
        return moved(rounding, decayed(rounding, W, self), numerator, denominator, limit), {"accumulator": h}


def ones_like(W: Bounded) -> Bounded:
    """Return exact ones."""
    return Bounded(np.ones_like(W.value), np.zeros_like(W.value))


def negative(x: Bounded) -> Bounded:
    """Return −x, which is not rounded."""
    return Bounded(-x.value, x.bound)


def maximum(a: Bounded, b: Bounded) -> Bounded:
    """Return the larger of a and b, whose error is at most the larger one."""
    return Bounded(np.maximum(a.value, b.value), np.maximum(a.bound, b.bound))


def squared(rounding: Rounding, x: Bounded) -> Bounded:
    """Return x² (1, 4)."""
    return rounding.underflow(
        Bounded(x.value**2, (2 * np.abs(x.value) + x.bound) * x.bound + rounding.u * x.magnitude**2)
    )


def mean(rounding: Rounding, m: Bounded, x: Bounded, weight: float) -> Bounded:
    """Return m + (x − m)·weight: the errors of m and x count as in (1 − weight)·m + weight·x (4).

    The difference, the conversion of the weight, and the product are rounded, and then the sum (1).
    """
    value = m.value + (x.value - m.value) * weight
    propagated = (1 - weight) * m.bound + weight * x.bound
    change = weight * (np.abs(x.value - m.value) + m.bound + x.bound)
    rounded = 3 * rounding.u * change + rounding.u * (np.abs(value) + propagated)
    return rounding.underflow(Bounded(value, propagated + rounded))


def root(rounding: Rounding, x: Bounded) -> Bounded:
    """Return √x; an error of x has its largest effect below x (4).

    A division by the root may be a product with 1 / √x, as in TensorFlow's graphs: one more rounding (1).
    """
    value: Array = np.sqrt(x.value)
    propagated = value - np.sqrt(np.maximum(x.value - x.bound, 0))
    return Bounded(value, propagated + 2 * rounding.u * (value + propagated))


def moved(rounding: Rounding, W: Bounded, numerator: Bounded, denominator: Bounded, limit: float) -> Bounded:
    """Return W − numerator / denominator; ``limit`` is an upper limit of the quotient's magnitude, if there is one."""
    value = numerator.value / denominator.value
    smallest = denominator.value - denominator.bound
    with np.errstate(divide="ignore"):
        error = (numerator.bound + np.abs(value) * denominator.bound) / np.maximum(smallest, 0)
    error = np.minimum(error, np.abs(value) + limit * (1 + 100 * rounding.u))  # (6)
    step = rounding.underflow(Bounded(-value, error + rounding.u * (np.abs(value) + error)))
    return rounding.add(W, step)
