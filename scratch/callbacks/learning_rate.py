"""Callbacks that set the learning rate at the beginning or at the end of an epoch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from scratch.callbacks.callback import Callback, Logs
from scratch.callbacks.monitor import Monitor
from scratch.checks import check_integer, check_number
from scratch.dropped_names import renamed
from scratch.utils import print_now, warn_user


class LearningRateScheduler(Callback):
    """Sets the learning rate at the beginning of every epoch, and adds it to the logs at the end.

    η ← schedule(epoch, η).  Source: ``keras/src/callbacks/learning_rate_scheduler.py``.

    Args:
        schedule: a function of the number of the epoch, from 0, and the current learning rate, that returns the new
            one.  It is called once for every epoch, also if the run is resumed within the epoch.
        verbose: 1 prints a line for every epoch, 0 prints nothing.

    Raises:
        ValueError: during ``fit``, if ``schedule`` does not return a float of 0 or more.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose
        self.epoch: int | None = None  # the last epoch whose learning rate was set

    def get_state(self) -> dict[str, Any]:
        """Return the epoch whose learning rate was set."""
        return {"epoch": self.epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the epoch whose learning rate was set: the optimizer of the resumed run has this learning rate."""
        self.epoch = state["epoch"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget the epochs of an earlier ``fit``."""
        self.epoch = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the learning rate, except in an epoch that is resumed."""
        if epoch == self.epoch:
            return
        optimizer = self.model.optimizer
        try:
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        except TypeError:  # as in Keras, a function of the epoch alone
            rate = self.schedule(epoch)
        if not isinstance(rate, float | np.floating):
            raise ValueError(f"The output of the `schedule` function should be a float. Got: {rate!r}")
        optimizer.learning_rate = check_number("The output of the `schedule` function", rate)
        self.epoch = epoch
        if self.verbose:
            print_now(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add the learning rate to the logs."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class ReduceLROnPlateau(Monitor):
    """Reduces the learning rate when a monitored value has stopped improving, and adds it to the logs.

    η ← max(factor·η, min_lr).  Source: ``keras/src/callbacks/reduce_lr_on_plateau.py``.

    Args:
        monitor: the name of the value, such as ``'val_loss'`` or ``'accuracy'``.
        factor: the new learning rate divided by the old one, below 1.
        patience: the number of epochs without improvement after which the learning rate is reduced.
        verbose: 1 prints a line when the learning rate is reduced, 0 prints nothing.
        mode: ``'min'``, ``'max'`` or ``'auto'``; see ``Monitor``.
        min_delta: the smallest change that counts as an improvement.
        cooldown: the number of epochs after a reduction that do not count as epochs without improvement.
        min_lr: lower limit of the learning rate.

    Attributes:
        best: the best value so far, or None.
        wait: the number of epochs without improvement.
        cooldown_counter: the number of epochs of the cooldown that are left.

    Raises:
        ValueError: if an argument has a wrong type or range; at the beginning of ``fit``, as ``Monitor``.
    """

    @renamed(epsilon="min_delta")
    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = check_number("factor", factor)
        if self.factor >= 1:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}")
        self.patience = check_integer("patience", patience, minimum=0)
        self.verbose = verbose
        self.cooldown = check_integer("cooldown", cooldown, minimum=0)
        self.min_lr = check_number("min_lr", min_lr)
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.wait = self.cooldown_counter = 0

    def get_state(self) -> dict[str, Any]:
        """Return the best value so far, the number of epochs since then, and what is left of the cooldown."""
        return {name: getattr(self, name) for name in ("best", "wait", "cooldown_counter")}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what ``get_state`` returned."""
        vars(self).update(state)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the state, so that the object can be used for several calls of ``fit``.

        Raises:
            TypeError: if the learning rate follows a schedule.
        """
        super().on_train_begin(logs)
        optimizer = self.model.optimizer
        if optimizer.schedule is not None:
            raise TypeError(
                f"ReduceLROnPlateau cannot reduce the learning rate of this {type(optimizer).__name__}, which follows "
                f"its {type(optimizer.schedule).__name__}; create the optimizer with a number as learning_rate."
            )
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the value with the best so far, and reduce the learning rate if the patience is exhausted."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = logs.get(self.monitor)
        if value is None:
            warn_user(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs)}."
            )
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        if float(optimizer.learning_rate) <= self.min_lr:
            return
        optimizer.learning_rate = max(float(optimizer.learning_rate) * self.factor, self.min_lr)
        self.cooldown_counter, self.wait = self.cooldown, 0
        if self.verbose:
            new = optimizer.learning_rate
            print_now(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
