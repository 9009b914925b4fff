"""``ModelCheckpoint``: save the model, or its weights, during ``fit``."""

import os
import sys
from pathlib import Path
from typing import Any

from scratch.callbacks.callback import Logs, may_skip_batches
from scratch.callbacks.frequency import Frequency
from scratch.callbacks.monitor import Monitor
from scratch.checks import check_number
from scratch.files import check_writable, make_folder, named
from scratch.saving import archive, weights
from scratch.utils import print_now, warn_user


class ModelCheckpoint(Monitor):
    """Saves the model or its weights during ``fit``; each file is replaced atomically.

    Args:
        filepath: the file, which ends in ``.keras``, or in ``.weights.h5`` with ``save_weights_only=True``.  It may
            contain ``{epoch}``, ``{batch}`` and names of the logs, such as ``{val_loss:.2f}``; missing folders are
            created.
        monitor: the name of the value that decides which model is the best, such as ``'val_loss'`` or ``'accuracy'``.
        verbose: 1 prints a line for each save, 0 prints nothing.
        save_best_only: whether to save only if the monitored value is better than at each earlier save.
        save_weights_only: whether to save the weights only, instead of the complete model.
        mode: ``'min'``, ``'max'`` or ``'auto'``; see ``Monitor``.
        save_freq: ``'epoch'`` or a number of batches.
        initial_value_threshold: with ``save_best_only=True``, the value that the first save must improve on.

    Attributes:
        best: the best monitored value so far, or None.

    Raises:
        ValueError: if an argument is wrong; during ``fit``, if ``mode`` is ``'auto'`` and ``monitor`` is neither the
            loss nor a metric of the model, or if ``filepath`` contains a name that is not in the logs.
        FileError: during ``fit``, if the model cannot be saved or the file cannot be written, where possible before the
            first epoch; the previous file is kept.
    """

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
        if save_weights_only and not self.filepath.endswith(".weights.h5"):
            raise ValueError(
                "When using `save_weights_only=True` in `ModelCheckpoint`, the filepath provided must end in "
                f"`.weights.h5` (Keras weights format). Received: filepath={self.filepath}"
            )
        if not save_weights_only and not self.filepath.endswith(".keras"):
            raise ValueError(
                f"The filepath provided must end in `.keras` (Keras model format). Received: filepath={self.filepath}"
            )
        self._folders: set[Path] = set()  # folders that exist or were created by this callback

    @property
    def needs_batch_events(self) -> bool:
        """Whether ``save_freq`` is a number of batches, or a subclass overrides a batch method."""
        return self.frequency.every is not None or super().needs_batch_events

    def get_state(self) -> dict[str, Any]:
        """Return the best value and the number of batches since the last save."""
        return {"best": self.best, "batches": self.frequency.batches}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the best value and the number of batches since the last save."""
        self.best, self.frequency.batches = state["best"], state["batches"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check before the training that the model can be saved, and its file written if its folder is known."""
        super().on_train_begin(logs)
        with named(Path(self.filepath)):
            (weights.to_hdf5 if self.save_weights_only else archive.to_entries)(self.model)
        folder = Path(self.filepath).parent
        if "{" not in str(folder):
            self._make_folder(folder)
            check_writable(self.filepath)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember the epoch, for the file names of saves after batches."""
        self._epoch = epoch

    @may_skip_batches
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save the model if ``save_freq`` batches have been trained since the last save."""
        if self.frequency.after_batch():
            self._save(self._epoch, logs or {}, {"batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save the model if ``save_freq='epoch'``."""
        if self.frequency.after_epoch():
            self._save(epoch, logs or {}, {})

    def _save(self, epoch: int, logs: Logs, batch: dict[str, int]) -> None:
        file = self._file({"epoch": epoch + 1, **batch, **logs})
        if not self._should_save(epoch, logs, file):
            return
        self._make_folder(file.parent)
        if self.save_weights_only:
            self.model.save_weights(file)
        else:
            self.model.save(file)
        self._print(epoch, f"finished saving model to {file}")

    def _make_folder(self, folder: Path) -> None:
        if folder not in self._folders:  # a folder that disappears later is an error, not created again
            make_folder(folder)
            self._folders.add(folder)

    def _file(self, values: dict[str, Any]) -> Path:
        """Return the file name with the values filled in."""
        try:
            return Path(self.filepath.format(**values))
        except (AttributeError, LookupError, ValueError, TypeError) as error:
            raise ValueError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error!r}. '
                f"Available names are: {', '.join(values)}."
            ) from error

    def _should_save(self, epoch: int, logs: Logs, file: Path) -> bool:
        """Return whether to save, and print the reason."""
        if not self.save_best_only:
            self._print(epoch, f"saving model to {file}")
            return True
        value = logs.get(self.monitor)
        if value is None:
            warn_user(f"Can save best model only with {self.monitor} available.")
            return self.best is None  # the best model so far is not overwritten
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self.improves(value, self.best):
            self._print(epoch, f"{self.monitor} did not improve from {best}")
            return False
        self._print(epoch, f"{self.monitor} improved from {best} to {value:.5f}, saving model to {file}")
        self.best = value
        return True

    def _print(self, epoch: int, text: str) -> None:
        if self.verbose:
            print_now(f"\nEpoch {epoch + 1}: {text}")
