"""Callbacks that watch one value: one stops when it no longer improves, one saves the model when it does."""

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scratch.callbacks.callback import BATCH_EVENTS, Callback, Logs
from scratch.callbacks.frequency import Frequency
from scratch.files import make_folder, remove_leftovers
from scratch.utils import Array, check_integer, check_name, check_number, overridden

if TYPE_CHECKING:
    from scratch.models import Sequential


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


class ModelCheckpoint(Monitor):
    """Saves the model during ``fit``, each file whole or not at all.

    Args:
        filepath: where to, ending in ``.keras``, or in ``.weights.h5`` for weights alone.  ``{epoch}``, ``{batch}`` and
            the names in the logs, such as ``{val_loss:.2f}``, are filled in.
        monitor: the value that says what is best, such as ``'val_loss'`` or ``'accuracy'``.
        verbose: 1 says what is saved, and why.
        save_best_only: whether to save only if the value is better than at all saves before.
        save_weights_only: whether to save the weights alone.
        mode: ``'min'``, ``'max'``, or ``'auto'``: losses should fall, all else should rise.
        save_freq: ``'epoch'``, or a number of batches.
        initial_value_threshold: only a value better than this one is worth saving.

    Raises:
        ValueError: if the ending or another argument is wrong; during ``fit``, if ``filepath`` names a value that the
            logs don't have.
        FileError: during ``fit``, if the file can't be written; the one before it is kept.
    """

    model: "Sequential"
    _without = " The model is saved all the same."

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.frequency = Frequency(save_freq)
        self.best = initial_value_threshold
        if initial_value_threshold is not None:
            self.best = check_number("initial_value_threshold", initial_value_threshold, minimum=-sys.float_info.max)
        ending = ".weights.h5" if save_weights_only else ".keras"
        if not self.filepath.endswith(ending):
            raise ValueError(
                f"filepath must end in {ending} with save_weights_only={save_weights_only}; got {self.filepath!r}."
            )
        self._folders: set[Path] = set()  # that were there or were made
        self._files: set[Path] = set()  # that were saved; the first time there may be what a killed process left

    @property
    def every_batch(self) -> bool:
        """Whether it saves after a number of batches."""
        return self.frequency.every is not None or overridden(self, ModelCheckpoint, *BATCH_EVENTS)

    def get_state(self) -> dict[str, Any]:
        """The best value, and the batches since the last save."""
        return {"best": self.best, "batches": self.frequency.batches}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.best, self.frequency.batches = state["best"], state["batches"]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take note of the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save after every so many batches."""
        if self.frequency.after_batch():
            self._save(self._epoch, {"batch": batch + 1, **(logs or {})}, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save after every epoch."""
        if self.frequency.after_epoch():
            self._save(epoch, logs or {}, logs)

    def _save(self, epoch: int, words: Logs, logs: Logs | None) -> None:
        try:
            file = Path(self.filepath.format(epoch=epoch + 1, **words))
        except (AttributeError, LookupError, ValueError, TypeError) as error:
            known = ", ".join(["epoch", *words])
            raise ValueError(f"filepath {self.filepath!r} can't be filled in from {known}: {error!r}.") from error
        action = f"saving model to {file}"
        if self.save_best_only and (value := self.watched(logs)) is not None:
            best = "None" if self.best is None else f"{self.best:.5f}"
            if not self.improves(value, self.best):
                self._say(epoch, f"{self.monitor} did not improve from {best}")
                return
            self.best = value
            action = f"{self.monitor} improved from {best} to {value:.5f}, {action}"
        self._say(epoch, action)
        self._make_folder(file.parent)
        if file not in self._files:
            remove_leftovers(file)
            self._files.add(file)
        if self.save_weights_only:
            self.model.save_weights(file)
        else:
            self.model.save(file)
        self._say(epoch, f"finished saving model to {file}")

    def _make_folder(self, folder: Path) -> None:
        """Make it the first time; if it has gone by the next, something is wrong that another folder would hide."""
        if folder not in self._folders:
            make_folder(folder)
            self._folders.add(folder)

    def _say(self, epoch: int, what: str) -> None:
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: {what}")
