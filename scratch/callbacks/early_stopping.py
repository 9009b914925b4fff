"""``EarlyStopping``: end ``fit`` when a monitored value has stopped improving."""

import sys
from typing import Any

from scratch.callbacks.callback import Logs
from scratch.callbacks.monitor import Monitor
from scratch.checks import check_integer, check_number
from scratch.utils import Array, print_now, warn_user


class EarlyStopping(Monitor):
    """Stops ``fit`` when a monitored value has stopped improving.

    Args:
        monitor: the name of the value, such as ``'val_loss'`` or ``'accuracy'``.
        min_delta: the smallest change that counts as an improvement.
        patience: the number of epochs without improvement after which training stops.
        verbose: 1 prints a line when training stops, 0 prints nothing.
        mode: ``'min'``, ``'max'`` or ``'auto'``; see ``Monitor``.
        baseline: if given, only an improvement to a value better than this one resets the patience.
        restore_best_weights: whether to restore the weights of the best epoch at the end of ``fit``.
        start_from_epoch: the number of epochs to wait before the value is monitored.

    Attributes:
        stopped_epoch: the epoch after which training was stopped, or 0.
        best: the best value so far, or None.
        best_epoch: the epoch of that value.
        best_weights: the weights of that epoch with ``restore_best_weights=True``, else None.
        wait: the number of epochs without improvement.

    Raises:
        ValueError: if an argument has a wrong type or range; at the beginning of ``fit``, if ``mode`` is ``'auto'`` and
            ``monitor`` is neither the loss nor a metric of the model.
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
        """Return the best epoch so far and the number of epochs since then."""
        return {name: getattr(self, name) for name in ("wait", "stopped_epoch", "best_epoch", "best", "best_weights")}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the best epoch and the number of epochs since then."""
        vars(self).update(state)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the state, so that the object can be used for several calls of ``fit``."""
        super().on_train_begin(logs)
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: list[Array] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the value with the best so far, and stop training if the patience is exhausted."""
        value = self._monitored_value(logs or {})
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
        """Restore the best weights; with ``verbose=1`` print what has happened."""
        if self.stopped_epoch and self.verbose:
            print_now(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print_now(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def _monitored_value(self, logs: Logs) -> float | None:
        value = logs.get(self.monitor)
        if value is None:
            warn_user(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(logs)}"
            )
        return value
