"""``BackupAndRestore``: a training that is killed and started again ends as if it had never been, bit for bit.

A backup holds all that ``fit`` needs to go on: the weights, the optimizer, the model's random generator, the place in
the epoch, the running means, and what the other callbacks' ``get_state`` returns: the history, the table of a
``CSVLogger``, the patience of an ``EarlyStopping``, the best of a ``ModelCheckpoint``.  Beside it stands what it is a
backup of, so that it can't go on as another training.  Nothing outside the model and its callbacks is restored.
"""

import copy
import json
import os
import time
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scratch.callbacks.callback import Callback, Logs, may_skip_batches
from scratch.callbacks.frequency import Frequency
from scratch.files import FileError, make_folder, remove_leftovers
from scratch.saving.npz import read_arrays, write_arrays
from scratch.utils import Array, check_integer, check_number

if TYPE_CHECKING:
    from scratch.layers import Layer

State = dict[str, Any]
DATA = "x", "y", "validation x", "validation y"
REFERENCE = "$array"  # in the JSON, in the place of an array
SHARE = 0.02  # of the time that save_freq="auto" may cost


@dataclass
class Start:
    """Where ``fit`` begins, and with what; a callback may move the beginning in ``on_train_begin``."""

    epoch: int
    batch_size: int
    shuffle: bool
    data: list[Array]  # x and y, and those to validate with
    callbacks: Sequence[Callback]
    step: int = 0
    logs: Logs = field(default_factory=dict)  # of the steps before


class BackupAndRestore(Callback):
    """Backs up ``fit`` as it goes, and lets the next ``fit`` with the same arguments go on where it was interrupted.

    It is told everything after all other callbacks, whose ``get_state`` and ``set_state`` it uses.

    Args:
        backup_dir: a folder for the backups of this training; it is made if it is not there.
        save_freq: ``'epoch'``, a number of batches, or (not in Keras) ``'auto'``: after a batch, as soon as the last
            backup is so long ago that all of them together cost 2 % of the time.
        double_checkpoint: whether to keep the backup before the last, too, in case the last can't be read.
        delete_checkpoint: whether to delete the backup when ``fit`` has come to its end.
        settings: (not in Keras) whatever else must be the same when ``fit`` goes on, by names for an error message.

    Raises:
        ValueError: if an argument is wrong.
        FileError: during ``fit``, if the folder can't be written to (the last backup is kept), or if the backup in it
            can't be read or is another training's; then nothing has changed.
    """

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
        """Go on from the backup, or make the first, so that a folder that can't be written to is found now."""
        start = self.model.start
        assert start is not None
        self._start = start
        self._callbacks = [c for c in start.callbacks if type(c).get_state is not Callback.get_state]
        self._training = self._describe(start)
        self._not_before = 0.0  # the next backup shows how long one takes
        self._means: list[Any] = []  # of the steps before, until the epoch begins
        make_folder(self.folder)
        for file in (self.latest, self.previous):
            remove_leftovers(file)
        self._draws = self.model.rng.bit_generator.state  # before the epoch's order is drawn
        saved = self._read()
        if saved is None:
            self._save(start.epoch, 0, start.logs)
        else:
            self._resume(saved)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Go on with the running means; note what will draw the order."""
        self._epoch = epoch
        self._draws = self.model.rng.bit_generator.state
        for mean, (total, count) in zip(self.model.running_means(), self._means, strict=False):
            mean.total, mean.count = total, count
        self._means = []

    @may_skip_batches
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Back up, if it is time; an epoch that was stopped will end at once."""
        if self._due(self.frequency.after_batch()) and not self.model.stop_training:
            self._save(self._epoch, batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Back up, if it is time."""
        self._draws = self.model.rng.bit_generator.state
        if self._due(self.frequency.after_epoch()):
            self._save(epoch + 1, 0, logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Delete the backup."""
        if self.delete_checkpoint:
            self.delete()

    def delete(self) -> None:
        """Delete the backups, and the folder if nothing else is in it."""
        for file in (self.previous, self.latest):
            file.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _due(self, asked_for: bool) -> bool:
        return time.perf_counter() >= self._not_before if self.auto else asked_for

    def _save(self, epoch: int, step: int, logs: Logs | None) -> None:
        begun = time.perf_counter()
        if self.double_checkpoint and self.latest.exists():
            os.replace(self.latest, self.previous)
        write_arrays(self.latest, _pack({"training": self._training, **self._state(epoch, step, logs)}))
        took = time.perf_counter() - begun
        self._not_before = begun + took + took / SHARE

    def _state(self, epoch: int, step: int, logs: Logs | None) -> State:
        model, optimizer = self.model, self.model.optimizer
        assert optimizer is not None
        return {
            "epoch": epoch,
            "step": step,
            "logs": logs or {},
            "stopped": model.stop_training,
            "weights": list(model.params.values()),
            "velocities": [optimizer.v.get(key) for key in model.params],
            "iterations": optimizer.iterations,
            "learning_rate": optimizer.learning_rate,
            "generator": self._draws,
            "means": [[mean.total, mean.count] for mean in model.running_means()] if step else [],
            "callbacks": [callback.get_state() for callback in self._callbacks],
        }

    def _resume(self, saved: State) -> None:
        """Go on from a backup of this very training; if that fails, all is as it was."""
        was, now = saved["training"], self._training
        changed = [name for name in {**was, **now} if was.get(name) != now.get(name)]
        if changed:
            first, rest = changed[0], f", and {len(changed) - 1} more that differ" if changed[1:] else ""
            what = f"{first} was {was.get(first)} and is now {now.get(first)}{rest}"
            raise FileError(f"{self.latest} is the backup of another training: {what}. {self._way_out}")
        start, epochs = self._start, self.params["epochs"]
        before = copy.deepcopy(self._state(start.epoch, start.step, start.logs))
        try:
            if saved["epoch"] > epochs:
                raise ValueError(f"it is {saved['epoch']} epochs on, and epochs={epochs}")
            self._restore(saved)
        except FileError:  # another file can't be written; the backup is good
            self._restore(before)
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            self._restore(before)
            raise FileError(f"{self.latest} can't be gone on from ({error}). {self._way_out}") from error
        if self.params["verbose"]:
            next_step = f"at epoch {start.epoch + 1}, batch {start.step + 1}"
            place = next_step if start.epoch < epochs else "after the last epoch"
            print(f"Resumed {place}, from {self.folder}.", flush=True)

    @property
    def _way_out(self) -> str:
        return f"Start with the arguments it was made with, or delete the folder {self.folder} to begin anew."

    def _restore(self, state: State) -> None:
        model, optimizer, start = self.model, self.model.optimizer, self._start
        assert optimizer is not None
        model.set_weights(state["weights"])
        optimizer.v = {
            key: v.astype(W.dtype).reshape(W.shape)
            for (key, W), v in zip(model.params.items(), state["velocities"], strict=True)
            if v is not None
        }
        optimizer.iterations = check_integer("iterations", state["iterations"], minimum=0)
        optimizer.learning_rate = check_number("learning_rate", state["learning_rate"])
        model.rng.bit_generator.state = state["generator"]
        self._means = [(float(total), int(count)) for total, count in state["means"]]
        for callback, its in zip(self._callbacks, state["callbacks"], strict=True):
            callback.set_state(its)
        start.epoch, start.step = (check_integer(name, state[name], minimum=0) for name in ("epoch", "step"))
        start.logs = {name: float(value) for name, value in state["logs"].items()}
        if state["stopped"]:
            start.epoch = self.params["epochs"]

    def _read(self) -> State | None:
        """The last backup, or the one before if that is all that can be read; None if there is none."""
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
                    warnings.warn(f"{problem} Going on from the backup before it.", stacklevel=2)
            return saved
        if problem:
            raise FileError(f"{problem} Delete the folder {self.folder} to begin anew.")
        return None

    def _describe(self, start: Start) -> dict[str, str]:
        """What must be the same when ``fit`` goes on, for a person to read."""
        model, optimizer, loss = self.model, self.model.optimizer, self.model.loss
        assert optimizer is not None
        assert loss is not None
        fixed = ("momentum", "nesterov", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
        options = [f"{name}={getattr(optimizer, name)}" for name in fixed]
        return {
            "format": "1",
            **{name: str(value) for name, value in self.settings.items()},
            "backend": model.backend,
            **{f"layer {i}": _layer(layer) for i, layer in enumerate(model.layers, 1)},
            "optimizer": ", ".join([type(optimizer).__name__, *options]),
            "loss": f"{type(loss).__name__}, {loss.op}, {loss.reduction}, label_smoothing={loss.label_smoothing}",
            "metrics": ", ".join(metric.name for metric in model.metrics),
            "callbacks": ", ".join(type(callback).__name__ for callback in self._callbacks),
            **{name: _array(array) for name, array in zip(DATA, start.data, strict=False)},
            "batch_size": str(start.batch_size),
            "shuffle": str(start.shuffle),
        }


def _layer(layer: "Layer") -> str:
    weights = [f"{key} {W.dtype} {W.shape}" for key, W in layer.params.items()]
    return ", ".join([type(layer).__name__, layer.activation, *weights])


def _array(array: Array) -> str:
    checksum = 0
    for start in range(0, len(array), 4096):  # rows that may have to be copied
        checksum = zlib.crc32(np.ascontiguousarray(array[start : start + 4096]).data, checksum)
    return f"{array.dtype} {array.shape} with checksum {checksum:08x}"


def _pack(state: State) -> dict[str, Array]:
    """The state as arrays: what it holds of them, and the rest as JSON that says where they belong."""
    arrays: dict[str, Array] = {}

    def refer(value: object) -> dict[str, str]:
        if not isinstance(value, np.ndarray | np.generic):
            raise ValueError(f"A backup can't hold {value!r}: get_state() may return numbers, texts, lists and arrays.")
        name = f"array {len(arrays)}"
        arrays[name] = np.asarray(value)
        return {REFERENCE: name}

    text = json.dumps(state, default=refer)
    return {"state": np.frombuffer(text.encode(), np.uint8), **arrays}


def _unpack(file: Path) -> State:
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
