"""A peer in a process of its own: its threads, its memory and its Keras backend are nobody else's.

``Bench`` holds a peer and times it.  ``Worker`` starts ``python -m benchmarks.measurement.worker KIND``, which holds
a ``Bench`` and answers what it is asked over its standard input and output, in pickles.  Both have the same methods,
so that a caller need not know which one it has.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.measurement.tasks import Array, Task
from benchmarks.peers.base import PEERS, make

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 600.0  # seconds for one answer


class Bench:
    """A peer in this process.

    Args:
        kind: which of ``PEERS``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def open(self, task: Task) -> None:
        """Make the peer, with a task; another one before it is gone."""
        self.peer, self.task = None, task
        self.peer = make(self.kind, task)

    def evidence(self) -> dict[str, Array]:
        """What the peer computes; see ``same.py``."""
        assert self.peer is not None
        return self.peer.evidence()

    def measure(self, question: str, at_least: float = 0.0) -> float:
        """Seconds that something takes, from the task's first weights.

        Args:
            question: ``'epoch'``, ``'step'``, ``'predict N'`` or ``'call N'`` for N samples.
            at_least: what is short is repeated for so many seconds; the mean counts.
        """
        assert self.peer is not None
        work = self._work(question)
        self.peer.set_weights(self.task.weights)
        times, start = 0, time.perf_counter()
        while True:
            work()
            times += 1
            seconds = time.perf_counter() - start
            if seconds >= at_least:
                return seconds / times

    def _work(self, question: str) -> Any:
        peer, (what, *number) = self.peer, question.split()
        if what == "epoch":
            return lambda: peer.train(len(self.task.x), shuffle=True)
        if what == "step":
            return peer.step
        x = self.task.x[: int(number[0])]
        function = {"predict": peer.predict, "call": peer.call}[what]
        return lambda: function(x)

    def close(self) -> None:
        """Let go of the peer."""
        self.peer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class WorkerError(RuntimeError):
    """A worker that died, hangs or failed; the message is one line."""


class Worker(Bench):
    """A peer in a process of its own.

    Args:
        kind: which of ``PEERS``.
        environment: variables for the process, on top of ours.
        patience: seconds that one answer may take; then the process is stopped.
    """

    def __init__(self, kind: str, environment: dict[str, str] | None = None, patience: float = PATIENCE) -> None:
        super().__init__(kind)
        self.patience = patience
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **PEERS[kind].environment, **(environment or {})}
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.measurement.worker", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=variables,
        )

    def open(self, task: Task) -> None:
        self._ask("open", task)

    def evidence(self) -> dict[str, Array]:
        return self._ask("evidence")

    def measure(self, question: str, at_least: float = 0.0) -> float:
        return self._ask("measure", question, at_least)

    def _ask(self, method: str, *arguments: Any) -> Any:
        timer = threading.Timer(self.patience, self.process.kill)
        timer.start()
        try:
            pickle.dump((method, arguments), self.process.stdin, protocol=5)
            self.process.stdin.flush()
            fine, answer = pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise WorkerError(self._epitaph(late=not timer.is_alive())) from None
        finally:
            timer.cancel()
        if not fine:
            raise WorkerError(f"{PEERS[self.kind].title} failed: {answer}")
        return answer

    def _epitaph(self, late: bool) -> str:
        title, code = PEERS[self.kind].title, self.process.wait()
        if late:
            return f"{title} gave no answer in {self.patience:g} s and was stopped."
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"{title} died with status {code}: {lines[-1] if lines else 'it said nothing'}"

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # the process ends when there is nothing more to read
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def serve(kind: str) -> None:
    """Answer until the questions end."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    for package in PEERS[kind].needs:  # now, while other workers do the same
        import_module(package)
    bench = Bench(kind)
    while True:
        try:
            method, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = True, getattr(bench, method)(*arguments)
        except Exception as error:
            answer = False, f"{type(error).__name__}: {error}".strip().splitlines()[0]
        pickle.dump(answer, answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
