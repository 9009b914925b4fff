"""Schedules: learning rates that change with the number of steps, passed to an optimizer as ``learning_rate``.

The formulas are those of ``keras/src/optimizers/schedules/learning_rate_schedule.py``, computed in float32 as there.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scratch.checks import check_boolean, check_list, check_name, check_number
from scratch.dropped_names import refuse_in_constructor
from scratch.utils import Configured


def _number(argument: str, value: object) -> float:
    """Return a number of Python that is 0 or more; an integer, also of NumPy, stays one in ``get_config``."""
    number = check_number(argument, value)
    return int(number) if isinstance(value, int | np.integer) else number


def _numbers(argument: str, values: Sequence[float]) -> list[float]:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    return [_number(f"each entry of {argument}", value) for value in check_list(argument, listed)]


class LearningRateSchedule(Configured):
    """Base class of schedules: a function of the number of steps so far that returns the learning rate of the next."""

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        raise NotImplementedError(f"{type(self).__name__} must override __call__.")


class ExponentialDecay(LearningRateSchedule):
    """η(t) = η₀·r^(t / T).

    Args:
        initial_learning_rate: η₀, zero or more.
        decay_steps: T, above zero.
        decay_rate: r, zero or more.
        staircase: whether t / T is rounded down, so that the learning rate changes every T steps.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        **unknown: object,
    ) -> None:
        refuse_in_constructor(self, unknown)
        self.initial_learning_rate = check_number("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _number("decay_steps", decay_steps)
        self.decay_rate = check_number("decay_rate", decay_rate)
        self.staircase = check_boolean("staircase", staircase)
        if self.decay_steps == 0:
            raise ValueError(f"Argument `decay_steps` must be > 0. Received: decay_steps={decay_steps}")

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        power = np.float32(step) / np.float32(self.decay_steps)
        if self.staircase:
            power = np.floor(power)
        return float(np.float32(self.initial_learning_rate) * np.float32(self.decay_rate) ** power)


class PiecewiseConstantDecay(LearningRateSchedule):
    """η(t) = values[0] up to step boundaries[0], then values[1] up to step boundaries[1], …, then values[-1].

    Args:
        boundaries: numbers of steps, in increasing order, as a list, a tuple or an array.
        values: learning rates of zero or more, one more than there are boundaries.

    Raises:
        ValueError: if the numbers of boundaries and values do not fit, or one of them is out of range.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], **unknown: object) -> None:
        refuse_in_constructor(self, unknown)
        self.boundaries, self.values = _numbers("boundaries", boundaries), _numbers("values", values)
        if len(self.boundaries) != len(self.values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. Received: "
                f"boundaries={boundaries} of length {len(self.boundaries)}, and values={values} of length "
                f"{len(self.values)}."
            )
        if self.boundaries != sorted(set(self.boundaries)):
            raise ValueError(f"boundaries must increase from entry to entry; got {boundaries}.")

    def __call__(self, step: int) -> float:
        """Return the learning rate after ``step`` steps."""
        return float(np.float32(self.values[bisect_left(self.boundaries, step)]))


SCHEDULES: dict[str, type[LearningRateSchedule]] = {
    "ExponentialDecay": ExponentialDecay,
    "PiecewiseConstantDecay": PiecewiseConstantDecay,
}


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """Return the class and the config of a schedule."""
    return {"class_name": type(schedule).__name__, "config": schedule.get_config()}


def deserialize(config: Mapping[str, Any]) -> LearningRateSchedule:
    """Return the schedule that ``serialize``, of scratch or of Keras, has described.

    Raises:
        ValueError: if the class is unknown; the message lists the known ones.
    """
    cls = SCHEDULES[check_name("learning rate schedule", config.get("class_name"), SCHEDULES)]
    return cls.from_config({name: value for name, value in config["config"].items() if name != "name"})
