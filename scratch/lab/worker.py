"""``Worker``: the process that runs Keras, planted faults and the diagnosis, started when it is first needed.

The package that it runs, ``parity_tests.lab_worker``, stands above ``scratch``, which therefore does not import it.
"""

import importlib.util
import os
import struct
import subprocess
import sys
import threading

from scratch.lab.messages import Header, pack, unpack
from scratch.lab.requests import Answer, Fields
from scratch.lab.texts import LabError
from scratch.utils import Array

MODULE = "parity_tests.lab_worker"
TIME_LIMIT = 600.0  # seconds of one answer, in which Keras starts; the diagnosis takes seconds


class Worker:
    """The process, and one request at a time.

    Attributes:
        is_running: whether the process has been started and has not ended.
    """

    def __init__(self) -> None:
        self._is_closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @staticmethod
    def is_available() -> bool:
        """Return whether Keras and ``parity_tests`` are installed."""
        return all(importlib.util.find_spec(name) for name in ("parity_tests", "keras"))

    def __call__(self, method: str, fields: Fields, arrays: dict[str, Array]) -> Answer:
        """Return the answer of the process to a request.

        Raises:
            LabError: if Keras is not installed, or the process has ended.
            ValueError: if the request cannot be answered.
        """
        if not self.is_available():
            raise LabError("no parity")
        with self._lock:
            process = self._started()
            timer = threading.Timer(TIME_LIMIT, process.kill)
            timer.start()
            try:
                header, found = _exchange(process, pack({**fields, "method": method}, arrays))
            except (OSError, ValueError, struct.error):
                self._end()
                raise LabError("worker ended") from None
            finally:
                timer.cancel()
        if "error" in header:
            raise ValueError(header["error"])
        return header["result"], found

    def _started(self) -> subprocess.Popen[bytes]:
        if self._is_closed:
            raise LabError("worker ended")
        if not self.is_running:
            self._end()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        return self._process

    def close(self) -> None:
        """End the process for good."""
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()  # waits, and closes the pipes
            self._process = None


def _exchange(process: subprocess.Popen[bytes], message: bytes) -> tuple[Header, dict[str, Array]]:
    """Send a message preceded by its length, and return the answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(struct.pack("<I", len(message)) + message)
    process.stdin.flush()
    (length,) = struct.unpack("<I", process.stdout.read(4))
    return unpack(process.stdout.read(length))
