"""``CSVLogger``: the loss and the metrics of each epoch in a CSV file."""

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from scratch.callbacks.callback import Callback, Logs
from scratch.files import FileError, remove_leftovers, replacing


class CSVLogger(Callback):
    """Writes one line per epoch to a CSV file, at the end of the epoch, below a header line.

    The content of an existing file is kept until the first line of this run is written.

    Args:
        filename: the file to write.
        separator: the character between two values.
        append: whether to append to an existing file instead of replacing it.

    Raises:
        FileError: during ``fit``, if the file cannot be written.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = filename, separator, append
        self._start = 0  # size of the file, in bytes, before this run's first line
        self._lines = ""  # all lines of this run

    def get_state(self) -> dict[str, Any]:
        """Return the lines written so far and their position in the file."""
        return {"start": self._start, "lines": self._lines}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the file: keep the saved lines and remove lines that were written after the backup."""
        self._start, self._lines = min(state["start"], self._size()), state["lines"]
        if self._lines:
            before = Path(self.filename).read_bytes()[: self._start]
            with replacing(self.filename) as part:  # atomic: if the disk is full, the existing lines are kept
                part.write_bytes(before + self._lines.encode())

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check that the file can be written, before the first epoch is trained."""
        size = self._size()
        remove_leftovers(self.filename)
        self._start, self._lines = size if self.append else 0, ""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's line, and above the first line the header."""
        row = {"epoch": epoch, **(logs or {})}
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), delimiter=self.separator)
        if self._start == 0 and not self._lines:
            writer.writeheader()
        writer.writerow(row)
        self._write(text.getvalue())

    def _size(self) -> int:
        """Return the size of the file in bytes; create the file if it does not exist."""
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
