"""``CSVLogger``: the loss and the metrics of each epoch in a CSV file."""

import csv
import errno
import io
import os
from pathlib import Path
from typing import Any

from scratch.callbacks.callback import Callback, Logs
from scratch.files import FileError, check_writable, write_bytes


class CSVLogger(Callback):
    """Writes one line per epoch to a CSV file, at the end of the epoch, below a header line.

    As in Keras, the values of the first epoch are the columns, and their ``val_`` values too if it had no validation;
    what a later epoch lacks is NA, and what the first one lacks is left out.

    The content of an existing file is kept until the first line of this run replaces it atomically.  If a line cannot
    be written completely, the lines before it are kept.

    Args:
        filename: the file to write.
        separator: the character between two values.
        append: whether to append to an existing file instead of replacing it.

    Raises:
        ValueError: if ``separator`` is not one character.
        FileError: during ``fit``, if the file cannot be written.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        try:
            csv.writer(io.StringIO(), delimiter=separator)
        except (TypeError, ValueError):
            raise ValueError(f"separator must be one character, such as ',' or ';'; got {separator!r}.") from None
        self.filename, self.separator, self.append = filename, separator, append
        self._columns: list[str] = []
        self._start = 0  # size of the file, in bytes, before this run's first line
        self._lines = ""  # all lines of this run

    def get_state(self) -> dict[str, Any]:
        """Return the columns, the lines written so far, and their position in the file."""
        return {"columns": self._columns, "start": self._start, "lines": self._lines}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the file: keep the saved lines and remove lines that were written after the backup."""
        self._columns = state.get("columns", [])  # version 0.1 saved none
        self._start, self._lines = min(state["start"], self._size()), state["lines"]
        if self._lines:
            self._replace(self._lines)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check that the file can be written, before the first epoch is trained."""
        check_writable(self.filename)
        self._columns, self._start, self._lines = [], self._size() if self.append else 0, ""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's line, and above the first line the header."""
        logs, text = logs or {}, io.StringIO()
        if not self._columns:
            validated = any(name.startswith("val_") for name in logs)
            self._columns = ["epoch", *logs, *(() if validated else (f"val_{name}" for name in logs))]
        writer = csv.DictWriter(text, self._columns, "NA", "ignore", delimiter=self.separator)
        if self._start == 0 and not self._lines:
            writer.writeheader()
        writer.writerow({"epoch": epoch, **logs})
        lines = text.getvalue()
        if self._lines:
            self._append(lines)
        else:
            self._replace(lines)
        self._lines += lines

    def _size(self) -> int:
        """Return the size of the file in bytes; 0 if it does not exist."""
        return os.path.getsize(self.filename) if os.path.exists(self.filename) else 0

    def _replace(self, lines: str) -> None:
        """Replace everything below the content that the file had before this run."""
        before = Path(self.filename).read_bytes()[: self._start] if self._start else b""
        write_bytes(self.filename, before + lines.encode())

    def _append(self, lines: str) -> None:
        """Append to the file, which a user may be watching; if the disk is full, remove the part that was written."""
        content = lines.encode()
        try:
            with open(self.filename, "ab", buffering=0) as file:
                size = file.tell()
                try:
                    if file.write(content) < len(content):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                except OSError:
                    file.truncate(size)
                    raise
        except OSError as error:
            raise FileError(f"{self.filename} can't be written: {error.strerror or error}.") from error
