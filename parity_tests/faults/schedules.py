"""Faults in the schedules of the learning rate."""

from bisect import bisect_right
from typing import Any

from parity_tests.faults.catalogue import planted_fault
from scratch.optimizers.schedules import ExponentialDecay, PiecewiseConstantDecay

CHECK = "schedules"
EXPONENTIAL, PIECEWISE = ExponentialDecay.__call__, PiecewiseConstantDecay.__call__


@planted_fault(ExponentialDecay, "__call__", caught_by=CHECK, backends=("numpy", "numba"))
def decay_steps_counted_from_one(self: Any, step: int) -> float:
    """The first step already decays."""
    return EXPONENTIAL(self, step + 1)


@planted_fault(ExponentialDecay, "__call__", caught_by=CHECK)
def staircase_ignored(self: Any, step: int) -> float:
    """The learning rate decays in every step, although staircase asks for stairs."""
    return float(self.initial_learning_rate * self.decay_rate ** (step / self.decay_steps))


@planted_fault(PiecewiseConstantDecay, "__call__", caught_by=CHECK)
def boundary_belongs_to_the_next_piece(self: Any, step: int) -> float:
    """The value changes at the boundary, not after it."""
    return float(self.values[bisect_right(self.boundaries, step)])


@planted_fault(PiecewiseConstantDecay, "__call__", caught_by=CHECK, backends=("numpy", "numba"))
def schedule_asked_once_per_epoch(self: Any, step: int) -> float:
    """The learning rate is that of the first step of the epoch, which has three."""
    return PIECEWISE(self, step // 3 * 3)
