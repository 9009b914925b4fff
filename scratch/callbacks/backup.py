"""``BackupAndRestore``: a resumed training run is bit-identical to an uninterrupted one.

A backup holds the state of the running ``fit`` (``FitState``): the parameters, the optimizer, the model's random
generator, the place in the epoch, the running means, and what the other callbacks' ``get_state`` returns.  It also
holds a description of the training, so that it cannot be resumed as a different training.  Nothing outside the model
and its callbacks is restored.
"""

import copy
import json
import os
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from scratch.callbacks.callback import Callback, Logs, may_skip_batches
from scratch.callbacks.frequency import Frequency
from scratch.files import FileError, make_folder
from scratch.layer import Layer
from scratch.layer_stack import LayerStack
from scratch.saving.npz import read_arrays, write_arrays
from scratch.utils import Array, print_now, warn_user

State = dict[str, Any]
REFERENCE = "$array"  # key in the JSON for an array that is stored beside it
MAX_OVERHEAD = 0.02  # fraction of the training time that save_freq="auto" may spend on backups


class BackupAndRestore(Callback):
    """Save the state of ``fit`` regularly, and let the next ``fit`` with the same arguments resume from it.

    ``fit`` calls this callback after all others, whose states it saves.

    Args:
        backup_dir: folder for the backups of this training; it is created if it does not exist.
        save_freq: ``'epoch'``, a number of batches, or (not in Keras) ``'auto'``: after a batch, as often as
            backups take at most 2 % of the time.
        double_checkpoint: whether to keep the previous backup as well, in case the latest cannot be read.
        delete_checkpoint: whether to delete the backup at the end of ``fit``.
        settings: (not in Keras) further values that must be the same when ``fit`` is resumed, by name.

    Raises:
        ValueError: if an argument is wrong.
        FileError: during ``fit``, if the folder is not writable (the latest backup is kept), or if the backup cannot be
            read or belongs to another training; nothing is changed then.
    """

    called_last = True  # it saves the states of the others

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
        *,
        settings: dict[str, Any] | None = None,
    ) -> None:
        if not os.fspath(backup_dir):
            raise ValueError("backup_dir must name a folder; got an empty name.")
        self.folder = Path(backup_dir)
        self.latest, self.previous = self.folder / "latest.npz", self.folder / "previous.npz"
        self.auto = save_freq == "auto"
        self.frequency = Frequency("epoch" if self.auto else save_freq)
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self.settings = settings or {}

    @property
    def needs_batch_events(self) -> bool:
        """Whether ``save_freq`` is a number of batches, or a subclass overrides a batch method."""
        return self.frequency.every is not None or super().needs_batch_events

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Resume from the backup, or write the first one, so that an unwritable folder is detected now."""
        self._training = self._describe()
        self._not_before = 0.0  # the first backup shows how long one takes
        make_folder(self.folder)
        saved = self._read()
        if saved is None:
            self.save()
        else:
            self._resume(saved)

    @may_skip_batches
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if a backup is due; not in an epoch that was stopped, which ends now."""
        if self._is_due(self.frequency.after_batch()) and not self.model.stop_training:
            self.save()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save if a backup is due."""
        if self._is_due(self.frequency.after_epoch()):
            self.save()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Delete the backups, unless ``delete_checkpoint`` is False."""
        if self.delete_checkpoint:
            self.delete()

    def save(self) -> None:
        """Write a backup now; ``fit`` must be between two steps, or between two epochs.

        Raises:
            FileError: if it cannot be written; the latest one is kept.
        """
        start = time.perf_counter()
        if self.double_checkpoint and self.latest.exists():
            os.replace(self.latest, self.previous)
        write_arrays(self.latest, _pack({"training": self._training, **self.model.fit_state.get_state()}))
        seconds = time.perf_counter() - start
        self._not_before = start + seconds + seconds / MAX_OVERHEAD

    def delete(self) -> None:
        """Delete the backups, and the folder if it is empty then."""
        for file in (self.previous, self.latest):
            file.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _is_due(self, by_count: bool) -> bool:
        return time.perf_counter() >= self._not_before if self.auto else by_count

    def _resume(self, saved: State) -> None:
        """Restore a backup of this very training; if that fails, restore the state from before."""
        stored, current = saved["training"], self._training
        changed = [name for name in {**stored, **current} if stored.get(name) != current.get(name)]
        if changed:
            first, rest = changed[0], f", and {len(changed) - 1} more that differ" if changed[1:] else ""
            difference = f"{first} was {stored.get(first)} and is now {current.get(first)}{rest}"
            raise FileError(f"{self.latest} is the backup of another training: {difference}. {self._way_out}")
        state, epochs = self.model.fit_state, self.params["epochs"]
        before = copy.deepcopy(state.get_state())
        try:
            if saved["epoch"] > epochs:
                raise ValueError(f"it is at epoch {saved['epoch']}, and epochs={epochs}")
            state.set_state(saved, epochs)
        except FileError:  # another file is not writable; the backup is valid
            state.set_state(before, epochs)
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            state.set_state(before, epochs)
            raise FileError(f"{self.latest} cannot be resumed from ({error}). {self._way_out}") from error
        if self.params["verbose"]:
            next_step = f"at epoch {state.epoch + 1}, batch {state.step + 1}"
            place = next_step if state.epoch < epochs else "after the last epoch"
            print_now(f"Resumed {place}, from {self.folder}.")

    @property
    def _way_out(self) -> str:
        return f"Use the arguments that it was made with, or delete the folder {self.folder} to start again."

    def _read(self) -> State | None:
        """Return the latest backup, or the previous one if only that is readable; None if there is none."""
        problem = None
        for file in filter(Path.exists, (self.latest, self.previous)):
            try:
                saved = _unpack(file)
            except FileError as error:
                problem = problem or error
                continue
            if file is self.previous:
                os.replace(file, self.latest)
                if problem:
                    warn_user(f"{problem} Resuming from the previous backup.")
            return saved
        if problem:
            raise FileError(f"{problem} Delete the folder {self.folder} to start again.")
        return None

    def _describe(self) -> dict[str, str]:
        """Return what must be the same when ``fit`` is resumed, as readable text by name."""
        model, state = self.model, self.model.fit_state
        optimizer, loss = model.optimizer, model.loss
        # A number may be changed by callbacks, and is part of the state.
        changing = {} if optimizer.schedule else {"learning_rate"}
        options = [f"{name}={value}" for name, value in optimizer.get_config().items() if name not in changing]
        loss_options = [f"{name}={getattr(loss, name)}" for name in ("label_smoothing", *loss.op_options)]
        return {
            "format": "1",
            **{name: str(value) for name, value in self.settings.items()},
            "backend": model.backend,
            **{f"layer {i}": _layer(layer) for i, layer in enumerate(model.layers, 1)},
            "optimizer": ", ".join([type(optimizer).__name__, *options]),
            "loss": ", ".join([type(loss).__name__, str(loss.op), loss.reduction, *loss_options]),
            "metrics": ", ".join(metric.name for metric in model.metrics),
            "callbacks": ", ".join(type(callback).__name__ for callback in state.stateful_callbacks()),
            **{name: _array(array) for name, array in state.data.items()},
            "batch_size": str(state.batch_size),
            "shuffle": str(state.shuffle),
            **state.options,
        }


def _layer(layer: Layer) -> str:
    """Describe a layer and its parameters."""
    if isinstance(layer, LayerStack):
        return f"{type(layer).__name__} of {'; '.join(map(_layer, layer.layers))}"
    settings = [f"{name}={value}" for name in layer.settings if (value := getattr(layer, name)) is not None]
    weights = [f"{key} {W.dtype} {W.shape}" for key, W in layer.weights_by_name.items()]
    return ", ".join([type(layer).__name__, layer.activation, *settings, *weights])


def _array(array: Array) -> str:
    """Describe an array by dtype, shape and checksum."""
    if not hasattr(array, "dtype"):
        raise ValueError(
            "BackupAndRestore resumes trainings on arrays only, because a generator or data set may give other batches "
            "after an interruption; pass arrays to fit, or leave BackupAndRestore out."
        )
    checksum = 0
    for start in range(0, len(array), 4096):  # copies at most that many rows of a non-contiguous array
        checksum = zlib.crc32(np.ascontiguousarray(array[start : start + 4096]).data, checksum)
    return f"{array.dtype} {array.shape} with checksum {checksum:08x}"


def _pack(state: State) -> dict[str, Array]:
    """Return the state as arrays by name: those it contains, and the rest as JSON with references to them."""
    arrays: dict[str, Array] = {}

    def refer(value: object) -> dict[str, str]:
        if not isinstance(value, np.ndarray | np.generic):
            raise ValueError(f"get_state() must return numbers, texts, lists, dicts and arrays; got {value!r}.")
        name = f"array {len(arrays)}"
        arrays[name] = np.asarray(value)
        return {REFERENCE: name}

    text = json.dumps(state, default=refer)
    return {"state": np.frombuffer(text.encode(), np.uint8), **arrays}


def _unpack(file: Path) -> State:
    """Return the state that ``_pack`` converted."""
    arrays = read_arrays(file)

    def look_up(found: State) -> Any:
        return arrays[found[REFERENCE]][()] if REFERENCE in found else found

    try:
        state: State = json.loads(arrays["state"].tobytes(), object_hook=look_up)
        if not isinstance(state["training"], dict):
            raise TypeError("no training in it")
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise FileError(f"{file} is not a backup ({error!r}).") from error
    return state
