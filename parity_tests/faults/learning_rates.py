"""Faults in the callbacks that change the learning rate or end the training."""

from typing import Any

from parity_tests.faults.catalogue import planted_fault
from scratch.callbacks import LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN
from scratch.callbacks.monitor import Monitor

CHECK = "learning rates"
ON_EPOCH_BEGIN, ON_EPOCH_END = LearningRateScheduler.on_epoch_begin, ReduceLROnPlateau.on_epoch_end


@planted_fault(LearningRateScheduler, "on_epoch_begin", caught_by=CHECK, backends=("numpy", "numba"))
def scheduled_epochs_counted_from_one(self: Any, epoch: int, logs: Any = None) -> None:
    """The schedule is asked for the next epoch: it counts from 1."""
    ON_EPOCH_BEGIN(self, epoch + 1, logs)


@planted_fault(LearningRateScheduler, "on_epoch_begin", caught_by=CHECK)
def schedule_ignored(self: Any, epoch: int, logs: Any = None) -> None:
    """The learning rate stays as it is."""


@planted_fault(ReduceLROnPlateau, "on_epoch_end", caught_by=CHECK, backends=("numpy", "numba"))
def cooldown_ignored(self: Any, epoch: int, logs: Any = None) -> None:
    """The epochs after a reduction count as epochs without improvement."""
    self.cooldown_counter = 0
    ON_EPOCH_END(self, epoch, logs)


@planted_fault(ReduceLROnPlateau, "on_epoch_end", caught_by=CHECK)
def reduced_below_the_minimum(self: Any, epoch: int, logs: Any = None) -> None:
    """The learning rate has no lower limit."""
    self.min_lr = 0.0
    ON_EPOCH_END(self, epoch, logs)


@planted_fault(ReduceLROnPlateau, "on_epoch_end", caught_by=CHECK)
def patience_exceeded_by_one(self: Any, epoch: int, logs: Any = None) -> None:
    """The learning rate is reduced one epoch too late."""
    self.patience += 1
    ON_EPOCH_END(self, epoch, logs)
    self.patience -= 1


@planted_fault(TerminateOnNaN, "on_batch_end", caught_by=CHECK, backends=("numpy", "numba"))
def nan_not_noticed(self: Any, batch: int, logs: Any = None) -> None:
    """NaN is compared with ==, which is never true."""
    self.model.stop_training = logs["loss"] == float("nan")


@planted_fault(Monitor, "_sign", caught_by=CHECK)
def smaller_is_always_better(self: Any) -> int:
    """``mode`` has no effect: a smaller value is an improvement."""
    return -1


@planted_fault(TerminateOnNaN, "__init__", caught_by=CHECK)
def error_not_raised(self: Any, raise_error: bool = False) -> None:
    """``raise_error`` has no effect."""
    self.raise_error = False
