"""Concurrency: many readers or one writer of a model's parameters, and training steps that Ctrl-C does not split.

Inference reads the parameters of a model within ``SharedLock.reading``, a training step changes them within
``SharedLock.writing``: a prediction during ``fit`` sees the parameters before or after a step.  A step also runs within
``Uninterrupted``: ``KeyboardInterrupt`` is raised before or after it.
"""

import signal
import threading
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Self


class SharedLock:
    """A lock for many readers or one writer.

    A waiting writer has precedence over new readers.  A thread that writes may also read, and write again, within: a
    ``train_step`` of the user's own may call ``predict``.
    """

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.readers = 0
        self.writer: int | None = None  # identifier of the writing thread
        self.waiting_writers = 0

    def __reduce__(self) -> tuple[type["SharedLock"], tuple[()]]:
        return SharedLock, ()  # a copied or unpickled model has a lock of its own

    def reading(self) -> AbstractContextManager[None]:
        """Return a context in which no other thread writes."""
        return _Reading(self)

    def writing(self) -> AbstractContextManager[None]:
        """Return a context in which no other thread reads or writes."""
        return _Writing(self)


class _Reading(AbstractContextManager[None]):
    def __init__(self, lock: SharedLock) -> None:
        self.lock = lock
        self.is_writer = lock.writer == threading.get_ident()

    def __enter__(self) -> None:
        lock = self.lock
        if not self.is_writer:
            with lock.condition:
                while lock.writer is not None or lock.waiting_writers:
                    lock.condition.wait()
                lock.readers += 1

    def __exit__(self, *_: object) -> None:
        lock = self.lock
        if not self.is_writer:
            with lock.condition:
                lock.readers -= 1
                if not lock.readers:
                    lock.condition.notify_all()


class _Writing(AbstractContextManager[None]):
    def __init__(self, lock: SharedLock) -> None:
        self.lock = lock
        self.is_writer = lock.writer == threading.get_ident()

    def __enter__(self) -> None:
        lock = self.lock
        if not self.is_writer:
            with lock.condition:
                lock.waiting_writers += 1
                try:
                    while lock.writer is not None or lock.readers:
                        lock.condition.wait()
                    lock.writer = threading.get_ident()
                finally:
                    lock.waiting_writers -= 1

    def __exit__(self, *_: object) -> None:
        lock = self.lock
        if not self.is_writer:
            with lock.condition:
                lock.writer = None
                lock.condition.notify_all()


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
