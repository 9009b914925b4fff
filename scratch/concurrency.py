"""``Uninterrupted``: Ctrl-C during a training step is raised after it, so that a step is complete or not taken."""

import signal
import threading
from _signal import signal as set_handler  # type: ignore[import-not-found]  # without enums, which take 6 µs of a step
from types import FrameType, TracebackType
from typing import Any, Self


class Uninterrupted:
    """A context that delays Ctrl-C (SIGINT) until its end; it may be entered again and again.

    Only the main thread receives signals, and a handler that was not installed from Python could not be installed
    again; elsewhere, and with such a handler, the context does nothing.
    """

    def __init__(self) -> None:
        in_main_thread = threading.current_thread() is threading.main_thread()
        self.delays = in_main_thread and signal.getsignal(signal.SIGINT) is not None
        self.received = False
        self.handler: Any = None

    def __enter__(self) -> Self:
        if self.delays:
            self.handler = set_handler(signal.SIGINT, self._receive)
        return self

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.delays:
            set_handler(signal.SIGINT, self.handler)
            if self.received:
                self.received = False
                signal.raise_signal(signal.SIGINT)
