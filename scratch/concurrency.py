"""``Uninterrupted``: Ctrl-C during a training step is raised after it, so that a step is complete or not taken."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Uninterrupted:
    """A context that delays Ctrl-C (SIGINT) until its end.

    Only the main thread receives signals, and only handlers that Python code has installed can be delayed; elsewhere
    the context does nothing.
    """

    def __enter__(self) -> Self:
        self.received: tuple[int, FrameType | None] | None = None
        self.handler = None
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                signal.signal(signal.SIGINT, self._receive)
                self.handler = handler
        return self

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number, frame

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.handler is not None:
            signal.signal(signal.SIGINT, self.handler)
            if self.received is not None:
                self.handler(*self.received)
