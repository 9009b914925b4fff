"""``Uninterrupted``: Ctrl-C during a training step is raised after it, so that a step is complete or not taken."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Uninterrupted:
    """A context that delays Ctrl-C (SIGINT) until its end; it may be entered many times, and is closed once.

    Only the main thread receives signals, and only handlers that Python code has installed can be delayed; elsewhere
    the context does nothing.  Between two entries the handler of before is called at once.  Its replacement stays
    installed until ``close``, since installing it takes longer than all else that a context does.
    """

    def __init__(self) -> None:
        self.handler = signal.default_int_handler
        self.entered = False
        self.received: tuple[int, FrameType | None] | None = None
        self.in_main_thread = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        if self.in_main_thread:
            handler = signal.getsignal(signal.SIGINT)  # a callback may have installed another one
            if handler != self._receive and callable(handler):
                self.handler = handler
                signal.signal(signal.SIGINT, self._receive)
        self.entered = True
        return self

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.entered:
            self.received = number, frame
        else:
            self.handler(number, frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.entered = False
        if self.received is not None:
            received, self.received = self.received, None
            self.handler(*received)

    def close(self) -> None:
        """Install the handler of before again, unless another one has been installed in the meantime."""
        if self.in_main_thread and signal.getsignal(signal.SIGINT) == self._receive:
            signal.signal(signal.SIGINT, self.handler)
