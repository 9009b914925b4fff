"""Callbacks: what ``fit``, ``evaluate`` and ``predict`` tell, and to whom."""

import csv
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from scratch.utils import Array, check_integer, check_name, check_number

if TYPE_CHECKING:
    from scratch.training import Trainer

Logs = dict[str, float]


class Callback:
    """Base class: every method does nothing until it is overridden.

    Attributes:
        model: the model at work.
        params: ``{'verbose': …, 'epochs': …, 'steps': …}``.
    """

    model: "Trainer"
    params: dict[str, Any]

    def set_model(self, model: "Trainer") -> None:
        """Take note of the model."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Take note of the parameters."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch of ``fit``."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch of ``fit``; ``logs`` are that epoch's."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; the first is 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step; the first is 0."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; ``logs`` are the epoch's running means."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of ``on_train_batch_end``."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before ``evaluate`` and before an epoch's validation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After ``evaluate`` and after an epoch's validation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch is evaluated."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch is evaluated."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before ``predict``."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After ``predict``."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch is predicted."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch is predicted."""


class CallbackList(Callback):
    """Several callbacks, told everything in their order."""

    def __init__(self, callbacks: Sequence[Callback], model: "Trainer", params: dict[str, Any]) -> None:
        self.callbacks = callbacks
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise ValueError(f"callbacks must hold Callback objects; got {callback!r}.")
            callback.set_model(model)
            callback.set_params(params)
        for event in EVENTS:
            setattr(self, event, self._teller([getattr(callback, event) for callback in callbacks]))

    @staticmethod
    def _teller(listeners: list[Callable[..., None]]) -> Callable[..., None]:
        def tell(*args: Any) -> None:
            for listen in listeners:
                listen(*args)

        return tell


EVENTS = [name for name in vars(Callback) if name.startswith("on_")]


class History(Callback):
    """What ``fit`` returns.

    Attributes:
        history: a list with one value an epoch for each of ``accuracy``, ``loss``, ``val_accuracy``, ``val_loss``.
        epoch: the numbers of those epochs; the first is 0.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Count the epochs of this ``fit`` only; values of an earlier one stay, as in Keras."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch's values."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """A callback made of functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs))``.

    Raises:
        TypeError: if there is no such event; the message lists them.
    """

    def __init__(self, **functions: Callable[..., Any]) -> None:
        for event, function in functions.items():
            if event not in EVENTS:
                raise TypeError(f"LambdaCallback has no event {event!r}: choose from {', '.join(EVENTS)}.")
            setattr(self, event, function)


class CSVLogger(Callback):
    """Writes one line an epoch to a CSV file, at once, so that nothing is lost if training stops.

    Args:
        filename: where to write.
        separator: between two values.
        append: go on at the end of the file, if there is one.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = filename, separator, append
        self._file: TextIO | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file."""
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115  (closed below)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line, and the names above the first."""
        assert self._file is not None
        row = {"epoch": epoch, **(logs or {})}
        writer = csv.DictWriter(self._file, list(row), delimiter=self.separator)
        if self._file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        assert self._file is not None
        self._file.close()


class EarlyStopping(Callback):
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
        self.monitor = monitor
        self.min_delta = abs(check_number("min_delta", min_delta, minimum=-sys.float_info.max))
        self.patience = check_integer("patience", patience, minimum=0)
        self.verbose = verbose
        mode = check_name("mode", mode, ("auto", "min", "max"))
        self.sign = -1 if mode == "min" or (mode == "auto" and monitor.endswith("loss")) else 1
        self.baseline = None if baseline is None else check_number("baseline", baseline, minimum=-sys.float_info.max)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = check_integer("start_from_epoch", start_from_epoch, minimum=0)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier ``fit``."""
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: list[Array] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare with the best epoch so far."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            known = ", ".join(logs or {})
            warnings.warn(f"EarlyStopping watches {self.monitor!r}, but there is only {known}.", stacklevel=2)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self._improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self._improves(value, self.baseline):
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

    def _improves(self, value: float, reference: float | None) -> bool:
        return reference is None or self.sign * (value - reference) > self.min_delta
