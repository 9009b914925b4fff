"""``PacedSteps``: the train function of ``fit``, taking as many steps per call as the lab asks for."""

from collections.abc import Sequence
from typing import Protocol

from scratch.batches import Rows
from scratch.execution import Steps, TrainFunction


class Pace(Protocol):
    """What decides how many steps are taken, and is told what they gave."""

    def steps_of_call(self, most: int) -> int:
        """Return how many steps the next call may take."""

    def record(self, steps: Steps) -> None:
        """Note the results of a call."""


class PacedSteps:
    """A train function that takes as many steps per call as the training is asked for.

    Args:
        inner: the train function of ``fit``.
        pace: says how many steps may be taken, and records what they gave.
    """

    def __init__(self, inner: TrainFunction, pace: Pace) -> None:
        self.inner, self.pace = inner, pace

    @property
    def steps_per_call(self) -> int:
        """Number of batches of the next call."""
        return self.pace.steps_of_call(self.inner.steps_per_call)

    @steps_per_call.setter
    def steps_per_call(self, value: int) -> None:
        raise AttributeError("The training of the lab decides how many steps a call takes.")

    def __call__(self, batches: Sequence[Rows]) -> Steps:
        """Take steps on the batches."""
        steps = self.inner(batches)
        self.pace.record(steps)
        return steps
