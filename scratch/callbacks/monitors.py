"""Callbacks that watch one value: one stops when it no longer improves."""

import sys
import warnings
from typing import Any

from scratch.callbacks.callback import Callback, Logs
from scratch.utils import Array, check_integer, check_name, check_number


class Monitor(Callback):
    """Watches a value.

    Args:
        monitor: the value to watch, such as ``'val_loss'`` or ``'accuracy'``.
        mode: ``'min'``, ``'max'``, or ``'auto'``: losses should fall, all else should rise.
        min_delta: the least change that counts as an improvement.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        self.min_delta = abs(check_number("min_delta", min_delta, minimum=-sys.float_info.max))
        mode = check_name("mode", mode, ("auto", "min", "max"))
        self.sign = -1 if mode == "min" or (mode == "auto" and monitor.endswith("loss")) else 1

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether the value is better than that one; any is better than none."""
        return reference is None or self.sign * (value - reference) > self.min_delta

    def watched(self, logs: Logs | None) -> float | None:
        """The value in those logs; None, with a warning, if it is not there."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            known = ", ".join(logs or {})
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, but there is only {known}.{self._without}",
                stacklevel=3,
            )
        return value

    _without = ""  # what it does without the value, for the warning


class EarlyStopping(Monitor):
    """Stops ``fit`` when a value no longer improves.

    Args:
        monitor: the value to watch, such as ``'val_loss'`` or ``'accuracy'``.
        min_delta: the least change that counts as an improvement.
        patience: epochs without improvement before training stops.
        verbose: 1 says so when it happens.
        mode: ``'min'``, ``'max'``, or ``'auto'``: losses should fall, all else should rise.
        baseline: only a value better than this one starts the patience afresh.
        restore_best_weights: whether to go back to the weights of the best epoch.
        start_from_epoch: epochs to let pass before watching.

    Attributes:
        stopped_epoch: the epoch that training stopped after, 0 if it ran to its end.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = check_integer("patience", patience, minimum=0)
        self.verbose = verbose
        self.baseline = None if baseline is None else check_number("baseline", baseline, minimum=-sys.float_info.max)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = check_integer("start_from_epoch", start_from_epoch, minimum=0)

    def get_state(self) -> dict[str, Any]:
        """The best epoch, and how long ago it was."""
        return {name: getattr(self, name) for name in ("wait", "stopped_epoch", "best_epoch", "best", "best_weights")}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on waiting."""
        vars(self).update(state)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier ``fit``."""
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: list[Array] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best epoch so far."""
        value = self.watched(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.improves(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Say what happened, and restore the best weights."""
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
