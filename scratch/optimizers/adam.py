"""``Adam``: steps of about the same size for every parameter, from running means of the gradient and its square."""

from collections.abc import Iterable
from typing import Any, Unpack

import numpy as np

from scratch.checks import check_boolean, check_number
from scratch.kernels import Rule
from scratch.optimizers.optimizer import BELOW_ONE, Optimizer, Options, State
from scratch.optimizers.schedules import LearningRateSchedule
from scratch.utils import Array


class Adam(Optimizer):
    """m ← m + (1 − β₁)·(dW − m), v ← v + (1 − β₂)·(dW² − v), W ← W − α·m / (√v + ε).

    In step t, counted from 1, α = η·√(1 − β₂ᵗ) / (1 − β₁ᵗ): it corrects the bias of m and v, which start at 0.  With
    ``amsgrad``, v̂ ← max(v̂, v) takes the place of v in the last formula.  The formulas and their order are those of
    ``keras/src/optimizers/adam.py`` (Kingma and Ba, 2015, section 2; Reddi et al., 2018).

    Args:
        learning_rate: η, zero or more, or a schedule.
        beta_1: β₁, 0 or more, below 1.
        beta_2: β₂, 0 or more, below 1.
        epsilon: ε, zero or more.
        amsgrad: whether to divide by the largest v so far.
        *positional: weight decay and clipping by position, in the order of ``Optimizer``.
        **options: weight decay and clipping by name.

    Raises:
        ValueError: as ``Optimizer``.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *positional: float | None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, *positional, **options)
        self.beta_1 = check_number("beta_1", beta_1, 0, BELOW_ONE)
        self.beta_2 = check_number("beta_2", beta_2, 0, BELOW_ONE)
        self.epsilon = check_number("epsilon", epsilon)
        self.amsgrad = check_boolean("amsgrad", amsgrad)

    @property
    def fused_rule(self) -> Rule | None:
        """The rule by which the fused training step applies this optimizer."""
        return self._rule("amsgrad" if self.amsgrad else "adam", self.beta_1, self.beta_2, self.epsilon)

    def state_order(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        """Return m and v of each parameter, called momentum and velocity as in Keras; with amsgrad then each v̂."""
        names = list(keys)
        order = [(name, key) for key in names for name in ("momentum", "velocity")]
        return order + [("velocity_hat", key) for key in names if self.amsgrad]

    def step_size(self, learning_rate: float, iteration: int, dtype: np.dtype[Any]) -> Any:
        """Return α of step t = iteration + 1, as Keras computes it in the dtype of W."""
        number = dtype.type
        t = number(iteration + 1)
        return number(learning_rate) * np.sqrt(1 - number(self.beta_2) ** t) / (1 - number(self.beta_1) ** t)

    def update_step(self, W: Array, dW: Array, learning_rate: float, state: State) -> None:
        """Apply the formulas of the class to one parameter."""
        m, v = state["momentum"], state["velocity"]
        alpha = self.step_size(learning_rate, self.iterations, W.dtype)
        m += (dW - m) * (1 - self.beta_1)
        v += (np.square(dW) - v) * (1 - self.beta_2)
        if self.amsgrad:
            v = np.maximum(state["velocity_hat"], v, out=state["velocity_hat"])
        W -= m * alpha / (np.sqrt(v) + self.epsilon)
