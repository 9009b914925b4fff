"""``Adagrad``: the gradient divided by the root of the sum of all its squares so far."""

from collections.abc import Iterable
from typing import Unpack

import numpy as np

from scratch.checks import check_number
from scratch.kernels import Rule
from scratch.optimizers.optimizer import Optimizer, Options, State
from scratch.optimizers.schedules import LearningRateSchedule
from scratch.utils import Array


class Adagrad(Optimizer):
    """h ← h + dW², W ← W − η·dW / √(h + ε).

    The formulas are those of ``keras/src/optimizers/adagrad.py`` (Duchi et al., 2011).

    Args:
        learning_rate: η, zero or more, or a schedule.
        initial_accumulator_value: the first h of every entry, zero or more.
        epsilon: ε, zero or more.
        *positional: weight decay and clipping by position, in the order of ``Optimizer``.
        **options: weight decay and clipping by name.

    Raises:
        ValueError: as ``Optimizer``.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *positional: float | None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, *positional, **options)
        self.initial_accumulator_value = check_number("initial_accumulator_value", initial_accumulator_value)
        self.initial_value = self.initial_accumulator_value
        self.epsilon = check_number("epsilon", epsilon)

    @property
    def fused_rule(self) -> Rule | None:
        """The rule by which the fused training step applies this optimizer."""
        return self._rule("adagrad", epsilon=self.epsilon)

    def state_order(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        """Return h of each parameter, called accumulator as in Keras."""
        return [("accumulator", key) for key in keys]

    def update_step(self, W: Array, dW: Array, learning_rate: float, state: State) -> None:
        """Apply the formulas of the class to one parameter."""
        h = state["accumulator"]
        h += np.square(dW)
        W -= learning_rate * dW / np.sqrt(h + self.epsilon)
