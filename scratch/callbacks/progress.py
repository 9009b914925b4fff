"""The progress of ``fit``, ``evaluate`` and ``predict``: a live bar in a terminal, else one line per epoch.

The texts are those of Keras's ``keras/src/utils/progbar.py``.  Unlike Keras, only complete lines go into a file.
"""

import os
import shutil
import sys
import time
from typing import Any

from scratch.callbacks.callback import Callback, Logs, may_skip_batches
from scratch.utils import encodable, print_now

BAR_WIDTH = 20  # characters
INTERVAL = 0.05  # seconds between two updates of the bar


def interactive() -> bool:
    """Return whether standard output is a terminal or a notebook, where a line can be overwritten."""
    if "ipykernel.zmqshell" in sys.modules:  # in a notebook's own process; a client imports ipykernel only
        return True
    isatty = getattr(sys.stdout, "isatty", None)  # standard output may be closed, or an object with little but write()
    is_open = not getattr(sys.stdout, "closed", False)
    return isatty is not None and is_open and isatty() and os.environ.get("TERM") != "dumb"


def has_colours() -> bool:
    """Return whether standard output shows colours, and the environment variable NO_COLOR does not forbid them."""
    return interactive() and not os.environ.get("NO_COLOR")


class ProgbarLogger(Callback):
    """Prints the progress of ``fit``, ``evaluate`` or ``predict``.

    With ``verbose=1`` a line consists of the step, the bar, the time and the columns that ``_columns`` returns; with
    ``verbose=2`` it has no bar.  The time is the estimated remaining time, in the final line the elapsed time.
    """

    _in_fit = False
    _first_step: int | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Suppress the bars of the validations within ``fit``."""
        self._in_fit = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """End the suppression."""
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Print a headline if there are several epochs, and start a bar."""
        if self.params["epochs"] > 1:
            print_now(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._start()

    @may_skip_batches
    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Record the first step, which is not 0 in an epoch that is resumed."""
        if self._first_step is None:
            self._first_step = batch

    @may_skip_batches
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Update the bar."""
        self._update(batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Print the final line."""
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start a bar, except within ``fit``."""
        if not self._in_fit:
            self._start()

    @may_skip_batches
    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Update the bar, except within ``fit``."""
        if not self._in_fit:
            self._update(batch + 1, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Print the final line, except within ``fit``."""
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Start a bar."""
        self._start()

    @may_skip_batches
    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Update the bar."""
        self._update(batch + 1, None)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Print the final line."""
        self._finish(None)

    def _columns(self, seconds_per_step: float, logs: Logs | None) -> list[str]:
        """Return the columns after the time, in the order in which they are printed.  Add a column here."""
        return [
            f"{format_duration(seconds_per_step)}/step",
            *(f"{name}: {format_value(value)}" for name, value in (logs or {}).items()),
        ]

    def _start(self) -> None:
        self._start_time = self._update_time = time.perf_counter()
        self._first_step = None
        self._first_step_end: float | None = None  # set only if the first call was for a single step
        self._length = 0  # characters that the last update printed after the bar

    def _update(self, step: int, logs: Logs | None) -> None:
        now = time.perf_counter()
        if step - (self._first_step or 0) == 1:
            self._first_step_end = now
        if self.params["verbose"] == 1 and interactive() and now - self._update_time >= INTERVAL:
            self._update_time = now
            self._print(step, now, logs, final=False)

    def _finish(self, logs: Logs | None) -> None:
        self._print(self.params["steps"], time.perf_counter(), logs, final=True)

    def _print(self, step: int, now: float, logs: Logs | None, *, final: bool) -> None:
        steps, elapsed = self.params["steps"], now - self._start_time
        seconds_per_step = self._seconds_per_step(step, now)
        count = f"{step:{len(str(steps))}d}/{steps}"
        time_text = f"{elapsed:.0f}s" if final else format_remaining(seconds_per_step * (steps - step))
        columns = " - ".join(self._columns(seconds_per_step, logs))
        filled = BAR_WIDTH * step // steps
        mark = encodable("━", "-")
        done, left = mark * filled, mark * (BAR_WIDTH - filled)
        if self.params["verbose"] == 2:
            print_now(f"{count} - {time_text} - {columns}")
        elif not interactive():
            print_now(f"{count} {done}{left} {time_text} {columns}")
        else:
            head = f"{count} {done}{left} {time_text}"
            # A line that reaches the last column of the terminal wraps, and the next update would start below it.
            available = shutil.get_terminal_size().columns - len(f"{head} ") - 1
            if not final and available < 0:
                return
            columns = columns if final else columns[:available]
            padding = " " * (self._length - len(columns))  # overwrites the end of a longer line
            self._length = len(columns)
            if has_colours():
                head = f"\x1b[1m{count}\x1b[0m \x1b[32m{done}\x1b[0m\x1b[37m{left}\x1b[0m \x1b[1m{time_text}\x1b[0m"
            print_now(f"\r{head} {columns}{padding}", end="\n" if final else "")

    def _seconds_per_step(self, step: int, now: float) -> float:
        """Return the mean time of the steps; the first, which may include compilation, counts only if it is alone."""
        steps = step - (self._first_step or 0)
        if self._first_step_end is not None and steps > 1:
            return (now - self._first_step_end) / (steps - 1)
        return (now - self._start_time) / max(1, steps)


def format_value(value: float) -> str:
    """Return the value with four decimals; in scientific notation up to 0.001."""
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def format_duration(seconds: float) -> str:
    """Return the time of a step, as an integer number of ``s``, ``ms`` or ``us``."""
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def format_remaining(seconds: float) -> str:
    """Return a remaining time as ``h:mm:ss``, ``m:ss`` or seconds with an ``s``."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest}s"
