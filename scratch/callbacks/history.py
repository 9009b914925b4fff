"""What happened, epoch by epoch: in memory and in a file."""

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from scratch.callbacks.callback import Callback, Logs
from scratch.files import FileError, remove_leftovers, replacing


class History(Callback):
    """What ``fit`` returns.

    Attributes:
        history: a list with one value an epoch for each of ``accuracy``, ``loss``, ``val_accuracy``, ``val_loss``.
        epoch: the numbers of those epochs; the first is 0.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def get_state(self) -> dict[str, Any]:
        """All values so far."""
        return {"history": self.history, "epoch": self.epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on after those values."""
        self.history, self.epoch = state["history"], state["epoch"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Count the epochs of this ``fit`` only; values of an earlier one stay, as in Keras."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch's values."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class CSVLogger(Callback):
    """Writes one line an epoch to a CSV file, at once, so that nothing is lost if training stops.

    Args:
        filename: where to write; what an earlier training wrote there stays until the first line of this one.
        separator: between two values.
        append: go on at the end of the file, if there is one.

    Raises:
        FileError: during ``fit``, if the file can't be written.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = filename, separator, append
        self._start, self._lines = 0, ""  # where this training's lines begin, and all of them

    def get_state(self) -> dict[str, Any]:
        """The lines so far, and where they begin."""
        return {"start": self._start, "lines": self._lines}

    def set_state(self, state: dict[str, Any]) -> None:
        """Leave those lines in the file, and no later ones."""
        self._start, self._lines = min(state["start"], self._size()), state["lines"]
        if self._lines:
            before = Path(self.filename).read_bytes()[: self._start]
            with replacing(self.filename) as part:  # on a full disk the lines that are there stay
                part.write_bytes(before + self._lines.encode())

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Find out now whether the file can be written."""
        size = self._size()
        remove_leftovers(self.filename)
        self._start, self._lines = size if self.append else 0, ""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line, and the names above the first."""
        row = {"epoch": epoch, **(logs or {})}
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), delimiter=self.separator)
        if self._start == 0 and not self._lines:
            writer.writeheader()
        writer.writerow(row)
        self._write(text.getvalue())

    def _size(self) -> int:
        with self._opened() as file:
            return file.tell()

    def _write(self, lines: str) -> None:
        with self._opened() as file:
            if not self._lines:
                file.truncate(self._start)
            file.write(lines)
        self._lines += lines

    @contextmanager
    def _opened(self) -> Iterator[TextIO]:
        try:
            with open(self.filename, "a", newline="") as file:
                yield file
        except OSError as error:
            raise FileError(f"{self.filename} can't be written: {error.strerror or error}.") from error
