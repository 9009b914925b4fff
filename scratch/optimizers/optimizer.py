"""``Optimizer``: what all optimizers share: the options, clipping, weight decay, the number of steps and the state.

The order is that of Keras's ``base_optimizer.py``: clip the gradients, decay the weights, then update them.  An
optimizer adds its rule, ``update_step``, and the names of the state arrays that it keeps for each parameter.
"""

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, Self, TypedDict

import numpy as np

from scratch.checks import check_number
from scratch.dropped_names import unknown_arguments
from scratch.kernels import UPDATE_RULES, Rule
from scratch.optimizers import schedules
from scratch.optimizers.schedules import LearningRateSchedule
from scratch.utils import Array

State = Mapping[str, Array]
RENAMED = {
    "lr": "Keras 3 calls it 'learning_rate'",
    "decay": "pass a schedule of scratch.optimizers.schedules as 'learning_rate'",
}
BELOW_ONE = 1 - 2**-24  # the largest float32 number below 1


class Options(TypedDict, total=False):
    """The arguments that all optimizers have; see ``Optimizer``."""

    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None


class Optimizer:
    """Base class of the optimizers.

    Args:
        learning_rate: η, zero or more, or a schedule of ``scratch.optimizers.schedules``.
        weight_decay: λ; before each step W ← W − W·λ·η.
        clipnorm: upper limit of the L2 norm of each gradient.
        clipvalue: each entry of a gradient is clipped to ±clipvalue.
        global_clipnorm: upper limit of the L2 norm of all gradients together.

    Attributes:
        iterations: number of updates so far.
        schedule: the schedule of the learning rate, or None.
        state: state arrays by name, such as ``'momentum'``, and by parameter; empty before the first update.

    Raises:
        TypeError: if an argument is unknown.
        ValueError: if a number is out of range, or more than one kind of clipping is requested.
    """

    initial_value = 0.0  # of the state arrays

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **unknown: object,
    ) -> None:
        for name in unknown_arguments(unknown, *(cls.__name__ for cls in type(self).__mro__)):
            raise TypeError(f"{type(self).__name__} has no argument {name!r}; {RENAMED.get(name, 'leave it out')}.")
        self.schedule: LearningRateSchedule | None = None
        self.learning_rate = learning_rate
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
        self.state: dict[str, dict[str, Array]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"owner": None}  # a copied model is the owner of its optimizer: see Network.__setstate__

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step.  A number or a schedule may be assigned, a number not after a schedule.

        Raises:
            TypeError: if a number is assigned to an optimizer with a schedule.
            ValueError: if the number is out of range.
        """
        return self._learning_rate if self.schedule is None else self.schedule(self.iterations)

    @learning_rate.setter
    def learning_rate(self, rate: float | LearningRateSchedule) -> None:
        if isinstance(rate, LearningRateSchedule):
            self.schedule = rate
        elif self.schedule is not None:
            raise TypeError(
                f"The learning rate of this {type(self).__name__} follows its {type(self.schedule).__name__} and "
                "cannot be set; create the optimizer with a number as learning_rate."
            )
        else:
            self._learning_rate = check_number("learning_rate", rate)

    @property
    def fused_rule(self) -> Rule | None:
        """The numbers by which the fused training step applies this optimizer; None: fit runs layer by layer."""
        return None

    def _rule(self, name: str, momentum: float = 0.0, rho: float = 0.0, epsilon: float = 0.0) -> Rule | None:
        """Return a rule of the fused step with the options of this optimizer; None if a limit is not 0 or more."""
        limits = [limit or 0.0 for limit in (self.clipnorm, self.global_clipnorm, self.clipvalue)]
        if not all(limit >= 0 for limit in limits):
            return None
        if any(limits):  # only the first that is set counts, as in _clip
            limits = [0.0 if any(limits[:i]) else float(limit) for i, limit in enumerate(limits)]
        clipnorm, global_clipnorm, clipvalue = limits
        numbers = UPDATE_RULES.index(name), float(momentum), float(rho), float(epsilon)
        decay = self.weight_decay
        return Rule(*numbers, decay is not None, float(decay or 0), clipvalue, clipnorm, global_clipnorm)

    def _refuse_lr(self, value: object = None) -> NoReturn:
        """Raise an ``AttributeError``, when the old name of ``learning_rate`` is read or assigned."""
        raise AttributeError(f"{type(self).__name__} has no attribute 'lr'; Keras 3 calls it 'learning_rate'.")

    lr = property(_refuse_lr, _refuse_lr)

    def steps(self, count: int, dtype: np.dtype[Any]) -> Array:
        """Return the learning rate and the ``step_size`` of each of the next updates (count, 2)."""
        rates = []
        for i in range(self.iterations, self.iterations + count):
            rate = self._learning_rate if self.schedule is None else self.schedule(i)
            rates.append((rate, self.step_size(rate, i, dtype)))
        return np.array(rates)

    def step_size(self, learning_rate: float, iteration: int, dtype: np.dtype[Any]) -> float:
        """Return what the rule multiplies with in an update, the first of which is 0: the learning rate."""
        return learning_rate

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
        lr = self.learning_rate
        grads = self._clip(grads)
        for key, W in params.items():
            if self.weight_decay is not None:
                W -= W * self.weight_decay * lr
            self.update_step(W, grads[key], lr, self._state_of(key, W))
        self.iterations += 1

    def update_step(self, W: Array, dW: Array, learning_rate: float, state: State) -> None:
        """Update one parameter and its state in place: the rule of the optimizer, entry by entry.

        Args:
            W: parameter, of any shape.
            dW: its clipped gradient, of the same shape; not modified.
            learning_rate: η.
            state: state arrays of the parameter by name, of the same shape.
        """
        raise NotImplementedError(f"{type(self).__name__} must override update_step.")

    def state_order(self, keys: Iterable[str]) -> list[tuple[str, str]]:
        """Return the name and the parameter of each state array, in the order of Keras's variables.

        Args:
            keys: names of the parameters.
        """
        return []

    def state_arrays(self, params: Mapping[str, Array]) -> list[Array]:
        """Return the state arrays in the order of Keras's variables; initial values where there are none yet."""
        return [self._array(name, key, params[key]) for name, key in self.state_order(params)]

    def set_state_arrays(self, params: Mapping[str, Array], arrays: Sequence[Array]) -> None:
        """Replace the state by what ``state_arrays`` returned; no arrays at all are the state before the first update.

        Raises:
            ValueError: if the number or the size of the arrays differs; nothing is changed then.
        """
        state: dict[str, dict[str, Array]] = {}
        for (name, key), array in zip(self.state_order(params) if arrays else [], arrays, strict=True):
            state.setdefault(name, {})[key] = array.astype(params[key].dtype).reshape(params[key].shape)
        self.state = state

    @property
    def numbers(self) -> list[Array]:
        """Iterations and, without a schedule, the learning rate: the first of Keras's variables."""
        rate = [np.array(self.learning_rate, np.float32)] if self.schedule is None else []
        return [np.array(self.iterations, np.int64), *rate]

    @property
    def variables(self) -> list[Array]:
        """Numbers and state arrays: the variables that Keras counts as the optimizer's parameters."""
        return [*self.numbers, *(array for named in self.state.values() for array in named.values())]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments with which the constructor creates such an optimizer, without its state."""
        names = [name for cls in type(self).__mro__[:-1] for name in inspect.signature(cls).parameters]
        config = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return config if self.schedule is None else config | {"learning_rate": schedules.serialize(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a new optimizer with the arguments that ``get_config`` returned."""
        rate = config.get("learning_rate")
        schedule = {"learning_rate": schedules.deserialize(rate)} if isinstance(rate, Mapping) else {}
        return cls(**config | schedule)

    def _state_of(self, key: str, W: Array) -> State:
        """Return the state arrays of a parameter by name, created if there are none of its shape."""
        found = {name: self._array(name, key, W) for name, _ in self.state_order([key])}
        for name, array in found.items():
            self.state.setdefault(name, {})[key] = array
        return found

    def _array(self, name: str, key: str, W: Array) -> Array:
        array = self.state.get(name, {}).get(key)
        # A new layer may reuse the name of a parameter.
        return array if array is not None and array.shape == W.shape else np.full_like(W, self.initial_value)

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


def _norm(g: Array) -> float:
    return math.sqrt(float(np.square(g, dtype=np.float64).sum()))
