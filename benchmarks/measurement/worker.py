"""Run a peer in a process of its own, so that peers share no threads, no memory and no Keras backend.

``Worker`` starts ``python -m benchmarks.measurement.worker KIND`` and has the methods of ``LocalRunner``. Each call is
sent to the standard input of the process as a pickled pair (method, arguments); the answer, a pickled pair (succeeded,
result or error message), is read from its standard output.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from benchmarks.measurement.runner import LocalRunner, Runner
from benchmarks.peers.base import Outputs
from benchmarks.peers.registry import PEERS, peer_class
from benchmarks.tasks import Task
from benchmarks.variants import Variant

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 600.0  # seconds for one call


def child_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a process that finds these packages: that of this process, and other variables."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables, "PYTHONPATH": path}


class WorkerError(RuntimeError):
    """A worker that ended, timed out or raised; the message is one line."""


class Worker(Runner):
    """Run the peer in a process of its own.

    Args:
        kind: the name of the peer in ``PEERS``.
        environment: environment variables for the process, in addition to those of this process.
        timeout: seconds that one call may take; after that the process is killed.
    """

    def __init__(self, kind: str, environment: dict[str, str] | None = None, timeout: float = TIMEOUT) -> None:
        super().__init__(kind)
        self.timeout = timeout
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.measurement.worker", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=child_environment(**PEERS[kind].environment | (environment or {})),
        )

    def open(self, task: Task) -> None:
        self._call("open", task)

    def select(self, variant: Variant) -> None:
        self._call("select", variant)

    def outputs(self) -> Outputs:
        return self._call("outputs")

    def measure(self, workload: str, min_seconds: float = 0.0) -> float:
        return self._call("measure", workload, min_seconds)

    def allocated(self) -> float:
        return self._call("allocated")

    def _call(self, method: str, *arguments: Any) -> Any:
        timer = threading.Timer(self.timeout, self.process.kill)
        timer.start()
        try:
            pickle.dump((method, arguments), self.process.stdin, protocol=5)
            self.process.stdin.flush()
            succeeded, result = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise WorkerError(self._cause_of_exit(timed_out=not timer.is_alive())) from None
        finally:
            timer.cancel()
        if not succeeded:
            raise WorkerError(f"{PEERS[self.kind].title} failed: {result}")
        return result

    def _cause_of_exit(self, timed_out: bool) -> str:
        title, status = PEERS[self.kind].title, self.process.wait()
        if timed_out:
            return f"{title} did not answer within {self.timeout:g} s and was killed."
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"The process of {title} ended with status {status}: {lines[-1] if lines else 'no error output'}"

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # the process ends at the end of its input
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def serve(kind: str) -> None:
    """Answer calls from standard input until it is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep what libraries print out of the stream of answers
    peer_class(kind)  # import the framework now, while other workers start too
    runner = LocalRunner(kind)
    while True:
        try:
            method, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = True, getattr(runner, method)(*arguments)
        except Exception as error:
            answer = False, f"{type(error).__name__}: {error}".strip().splitlines()[0]
        pickle.dump(answer, answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
