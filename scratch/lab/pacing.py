"""``PacedSteps``: the train function of ``fit``, taking as many steps per call as the lab asks for."""

from collections.abc import Sequence
from typing import Any

from scratch.batches import Rows
from scratch.callbacks import Callback
from scratch.execution import Steps, TrainFunction
from scratch.models import Sequential
from scratch.utils import Array


class Pace(Callback):
    """A callback of ``fit`` that decides how many steps a call takes, and records their results."""

    def steps_of_call(self, most: int) -> int:
        """Return how many steps the next call may take."""
        raise NotImplementedError

    def record(self, steps: Steps) -> None:
        """Note the results of a call."""
        raise NotImplementedError


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


def pace_fit(model: Sequential, pace: Pace) -> None:
    """Replace the model's ``make_train_function``: a ``fit`` with the callback ``pace`` takes the steps it asks for.

    Other calls, such as those of ``train_on_batch``, get the model's own train function.
    """

    def make_train_function(
        x: Any, y: Array, batch_size: int, callbacks: Sequence[Callback] = (), sample_weight: Array | None = None
    ) -> TrainFunction:
        inner = type(model).make_train_function(model, x, y, batch_size, callbacks, sample_weight)
        return PacedSteps(inner, pace) if pace in callbacks else inner

    model.make_train_function = make_train_function  # type: ignore[method-assign]
