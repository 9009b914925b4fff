"""``SGD``: stochastic gradient descent (確率的勾配降下法), with momentum if requested."""

from collections.abc import Iterable
from typing import Unpack

from scratch.checks import check_boolean, check_number
from scratch.kernels import Rule
from scratch.optimizers.optimizer import Optimizer, Options, State
from scratch.optimizers.schedules import LearningRateSchedule
from scratch.utils import Array


class SGD(Optimizer):
    """W ← W − η·dW, or with momentum v ← m·v − η·dW, W ← W + v (Nesterov: W ← W + m·v − η·dW).

    The formulas are those of ``keras/src/optimizers/sgd.py``.

    Args:
        learning_rate: η, zero or more, or a schedule.
        momentum: m, between 0 and 1.
        nesterov: whether to apply Nesterov momentum.
        *positional: weight decay and clipping by position, in the order of ``Optimizer``.
        **options: weight decay and clipping by name.

    Raises:
        ValueError: as ``Optimizer``.
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *positional: float | None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(learning_rate, *positional, **options)
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.nesterov = check_boolean("nesterov", nesterov)

    @property
    def v(self) -> dict[str, Array]:
        """Velocities by parameter name; empty without momentum."""
        return self.state.setdefault("momentum", {})

    @v.setter
    def v(self, velocities: dict[str, Array]) -> None:
        self.state["momentum"] = velocities

    @property
    def fused_rule(self) -> Rule | None:
        """The rule by which the fused training step applies this optimizer.

        A subclass does not inherit it: see ``scratch.fusion``.
        """
        name = "sgd" if self.momentum == 0 else "nesterov" if self.nesterov else "momentum"
        return self._rule(name, self.momentum)

    def state_order(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        """Return one velocity for each parameter, or nothing without momentum."""
        return [("momentum", key) for key in keys] if self.momentum != 0 else []

    def update_step(self, W: Array, dW: Array, learning_rate: float, state: State) -> None:
        """Apply the formulas of the class to one parameter."""
        if self.momentum == 0:
            W -= learning_rate * dW
            return
        v = state["momentum"]
        v *= self.momentum
        v -= learning_rate * dW
        W += self.momentum * v - learning_rate * dW if self.nesterov else v
