"""Keras's progress: a live bar in a terminal, one line an epoch anywhere else.

The texts are those of ``keras/src/utils/progbar.py``.  Unlike Keras, nothing but whole lines goes into a file.
"""

import shutil
import sys
import time
from typing import Any

from scratch.callbacks.callback import BATCH_EVENTS, Callback, Logs
from scratch.utils import overridden

WIDTH = 20  # characters of the bar
INTERVAL = 0.05  # seconds between two drawings


def interactive() -> bool:
    """Whether someone is watching: a terminal or a notebook, where a line can be drawn over."""
    return sys.stdout.isatty() or "ipykernel" in sys.modules


class ProgbarLogger(Callback):
    """Shows how far ``fit``, ``evaluate`` or ``predict`` is."""

    _in_fit = False
    _before: int | None = None  # steps before those that are counted

    @property
    def every_batch(self) -> bool:
        """Whether a subclass wants to; a bar need not be told of every batch."""
        return overridden(self, ProgbarLogger, *BATCH_EVENTS)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """An epoch's validation will not show a bar of its own."""
        self._in_fit = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start a bar, under a headline if there is more than one epoch."""
        if self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}", flush=True)
        self._start()

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Note the first step, which is not 0 in a resumed epoch."""
        if self._before is None:
            self._before = batch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Draw."""
        self._draw(batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the final line."""
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start a bar, unless inside ``fit``."""
        if not self._in_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Draw, unless inside ``fit``."""
        if not self._in_fit:
            self._draw(batch + 1, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the final line, unless inside ``fit``."""
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Start a bar."""
        self._start()

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Draw."""
        self._draw(batch + 1, None)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Write the final line."""
        self._finish(None)

    def _start(self) -> None:
        self._began = self._drawn = time.perf_counter()
        self._before = None
        self._first_done: float | None = None  # when the first was, if it was one alone
        self._length = 0

    def _draw(self, step: int, logs: Logs | None) -> None:
        now = time.perf_counter()
        if step - (self._before or 0) == 1:
            self._first_done = now
        if self.params["verbose"] == 1 and interactive() and now - self._drawn >= INTERVAL:
            self._drawn = now
            self._write(step, now, logs, final=False)

    def _finish(self, logs: Logs | None) -> None:
        self._write(self.params["steps"], time.perf_counter(), logs, final=True)

    def _write(self, step: int, now: float, logs: Logs | None, *, final: bool) -> None:
        steps = self.params["steps"]
        # The first step, which may include compiling, does not count towards the estimate if there are others.
        done = step - (self._before or 0)
        if self._first_done is not None and done > 1:
            per_step = (now - self._first_done) / (done - 1)
        else:
            per_step = (now - self._began) / max(1, done)
        count = f"{step:{len(str(steps))}d}/{steps}"
        spent = f"{now - self._began:.0f}s" if final else _remaining(per_step * (steps - step))
        rest = f"{_duration(per_step)}/step"
        rest += "".join(f" - {name}: {format_value(value)}" for name, value in (logs or {}).items())
        if self.params["verbose"] == 2:
            print(f"{count} - {spent} - {rest}", flush=True)
            return
        full = WIDTH * step // steps
        done, left = _drawable("━") * full, _drawable("━") * (WIDTH - full)
        if not interactive():
            print(f"{count} {done}{left} {spent} {rest}", flush=True)
            return
        # A line that reaches the edge would wrap, and the next drawing start below it.
        room = shutil.get_terminal_size().columns - len(f"{count} {done}{left} {spent} ") - 1
        rest = rest if final else rest[: max(room, 0)]
        padding = " " * (self._length - len(rest))
        self._length = len(rest)
        head = f"\x1b[1m{count}\x1b[0m \x1b[32m{done}\x1b[0m\x1b[37m{left}\x1b[0m \x1b[1m{spent}\x1b[0m"
        print(f"\r{head} {rest}{padding}", end="\n" if final else "", flush=True)


def format_value(value: float) -> str:
    """Four decimals, or for a small number four decimals and an exponent."""
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"


def _duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _remaining(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest}s"


def _drawable(character: str) -> str:
    """The character, or a hyphen where the output's encoding has no such thing."""
    try:
        character.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "-"
    return character
