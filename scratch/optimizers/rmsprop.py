"""``RMSprop``: the gradient divided by the root of the running mean of its square."""

from collections.abc import Iterable
from typing import Unpack

import numpy as np

from scratch.checks import check_boolean, check_number
from scratch.kernels import Rule
from scratch.optimizers.optimizer import Optimizer, Options, State
from scratch.optimizers.schedules import LearningRateSchedule
from scratch.utils import Array


class RMSprop(Optimizer):
    """v ← ρ·v + (1 − ρ)·dW², W ← W − η·dW / √(v + ε).

    With ``centered``, a ← ρ·a + (1 − ρ)·dW, and v − a² takes the place of v in the last formula; with momentum μ the
    step is added up: u ← μ·u + η·dW / √(v + ε), W ← W − u.  The formulas and their order are those of
    ``keras/src/optimizers/rmsprop.py`` (Hinton, 2012, lecture 6e).

    Args:
        learning_rate: η, zero or more, or a schedule.
        rho: ρ, between 0 and 1.
        momentum: μ, between 0 and 1.
        epsilon: ε, zero or more.
        centered: whether to subtract the square of the mean gradient, which leaves the variance of the gradient.
        *positional: weight decay and clipping by position, in the order of ``Optimizer``.
        **options: weight decay and clipping by name.

    Raises:
        ValueError: as ``Optimizer``.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        *positional: float | None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, *positional, **options)
        self.rho = check_number("rho", rho, 0, 1)
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.epsilon = check_number("epsilon", epsilon)
        self.centered = check_boolean("centered", centered)

    @property
    def fused_rule(self) -> Rule | None:
        """The rule by which the fused training step applies this optimizer."""
        name = "rmsprop" + "_centered" * self.centered + "_momentum" * (self.momentum > 0)
        return self._rule(name, self.momentum, self.rho, self.epsilon)

    def state_order(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        """Return each v, then each u with momentum, then each a if centered; named as in Keras."""
        used = {"velocity": True, "momentum": self.momentum > 0, "average_gradient": self.centered}
        names = list(keys)
        return [(name, key) for name in used if used[name] for key in names]

    def update_step(self, W: Array, dW: Array, learning_rate: float, state: State) -> None:
        """Apply the formulas of the class to one parameter."""
        v = state["velocity"]
        v *= self.rho
        v += (1 - self.rho) * np.square(dW)
        variance = v
        if self.centered:
            a = state["average_gradient"]
            a *= self.rho
            a += (1 - self.rho) * dW
            variance = v - np.square(a)
        step = learning_rate * dW / np.sqrt(variance + self.epsilon)
        if self.momentum > 0:
            u = state["momentum"]
            u *= self.momentum
            u += step
            step = u
        W -= step
