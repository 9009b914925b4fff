"""Faults in Adam, RMSprop and Adagrad: the rule for one parameter."""

from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import optimizers

Array = np.ndarray
State = dict[str, Array]
ADAM, RMSPROP, ADAGRAD = (cls.update_step for cls in (optimizers.Adam, optimizers.RMSprop, optimizers.Adagrad))
CHECK = "adaptive updates"


def with_settings(rule: Any, optimizer: Any, settings: dict[str, Any], *arguments: Any) -> None:
    """Apply the right rule with other settings of the optimizer."""
    before = vars(optimizer).copy()
    vars(optimizer).update(settings)
    rule(optimizer, *arguments)
    vars(optimizer).update(before)


@planted_fault(optimizers.Adam, "update_step", caught_by=CHECK)
def adam_bias_not_corrected(self: Any, *arguments: Any) -> None:
    """Adam's bias is not corrected: α is the learning rate."""
    with_settings(ADAM, self, {"iterations": 10**6}, *arguments)


@planted_fault(optimizers.Adam, "update_step", caught_by=CHECK)
def adam_steps_counted_from_two(self: Any, *arguments: Any) -> None:
    """Adam's bias is corrected as in the next step: steps are counted from 2."""
    with_settings(ADAM, self, {"iterations": self.iterations + 1}, *arguments)


@planted_fault(optimizers.Adam, "update_step", caught_by=CHECK)
def adam_betas_exchanged(self: Any, *arguments: Any) -> None:
    """β₁ is the rate of the squares and β₂ that of the gradient."""
    with_settings(ADAM, self, {"beta_1": self.beta_2, "beta_2": self.beta_1}, *arguments)


@planted_fault(optimizers.Adam, "update_step", caught_by=CHECK)
def amsgrad_ignored(self: Any, *arguments: Any) -> None:
    """Adam divides by the present v, although amsgrad asks for the largest one."""
    with_settings(ADAM, self, {"amsgrad": False}, *arguments)


@planted_fault(optimizers.Adam, "update_step", caught_by=CHECK)
def adam_epsilon_inside_root(self: Any, W: Array, dW: Array, learning_rate: float, state: State) -> None:
    """Adam divides by √(v + ε) instead of √v + ε."""
    t, m, v = self.iterations + 1, state["momentum"], state["velocity"]
    m += (dW - m) * (1 - self.beta_1)
    v += (dW**2 - v) * (1 - self.beta_2)
    largest = np.maximum(state["velocity_hat"], v, out=state["velocity_hat"]) if self.amsgrad else v
    alpha = learning_rate * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
    W -= alpha * m / np.sqrt(largest + self.epsilon)


@planted_fault(optimizers.RMSprop, "update_step", caught_by=CHECK)
def rmsprop_mean_not_subtracted(self: Any, *arguments: Any) -> None:
    """Centered RMSprop does not subtract the square of the mean gradient."""
    with_settings(RMSPROP, self, {"centered": False}, *arguments)


@planted_fault(optimizers.RMSprop, "update_step", caught_by=CHECK)
def rmsprop_momentum_ignored(self: Any, *arguments: Any) -> None:
    """RMSprop takes each step alone, although it has a momentum."""
    with_settings(RMSPROP, self, {"momentum": 0.0}, *arguments)


@planted_fault(optimizers.RMSprop, "update_step", caught_by=CHECK)
def rmsprop_mean_is_a_sum(self: Any, W: Array, dW: Array, learning_rate: float, state: State) -> None:
    """The squares are added up without the factor 1 − ρ."""
    state["velocity"] += self.rho * dW**2
    RMSPROP(self, W, dW, learning_rate, state)


@planted_fault(optimizers.RMSprop, "update_step", caught_by=CHECK)
def rmsprop_epsilon_left_out(self: Any, *arguments: Any) -> None:
    """RMSprop divides by √v."""
    with_settings(RMSPROP, self, {"epsilon": 0.0}, *arguments)


@planted_fault(optimizers.Adagrad, "update_step", caught_by=CHECK)
def adagrad_squares_forgotten(self: Any, W: Array, dW: Array, learning_rate: float, state: State) -> None:
    """Adagrad keeps the square of the last gradient only."""
    state["accumulator"][...] = 0
    ADAGRAD(self, W, dW, learning_rate, state)


@planted_fault(optimizers.Adagrad, "update_step", caught_by=CHECK)
def adagrad_starts_from_zero(self: Any, W: Array, dW: Array, learning_rate: float, state: State) -> None:
    """The sum of squares starts from 0 instead of ``initial_accumulator_value``."""
    if self.iterations == 0:
        state["accumulator"][...] = 0
    ADAGRAD(self, W, dW, learning_rate, state)
