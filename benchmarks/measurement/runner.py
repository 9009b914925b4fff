"""Run and time a peer: the interface, and the version that runs the peer in this process."""

import time
import tracemalloc
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from benchmarks.peers.base import Outputs, Peer
from benchmarks.peers.registry import create_peer
from benchmarks.tasks import Task, vary
from benchmarks.variants import Variant


class Runner(ABC):
    """Something that runs a peer, used as a context manager.

    Args:
        kind: the name of the peer in ``PEERS``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @abstractmethod
    def open(self, task: Task) -> None:
        """Create the peer for a task, in place of all earlier ones."""

    @abstractmethod
    def select(self, variant: Variant) -> None:
        """Continue with the peer for a variant of the opened task, which must be the article's.

        It is created when it is first selected, and kept, so that the variants can be measured in turns.
        """

    @abstractmethod
    def outputs(self) -> Outputs:
        """Return the outputs that are compared with the reference; see ``same.py``."""

    @abstractmethod
    def measure(self, workload: str, min_seconds: float = 0.0) -> float:
        """Return the seconds that a workload takes, starting from the task's initial weights.

        Args:
            workload: ``'epoch'``, ``'step'``, or ``'predict N'`` or ``'call N'`` for N samples.
            min_seconds: repeat the workload for at least this long, and return the mean.
        """

    @abstractmethod
    def allocated(self) -> float:
        """Return the bytes that Python and NumPy allocate at most during an epoch, besides what was there before."""

    @abstractmethod
    def close(self) -> None:
        """Release the peer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class LocalRunner(Runner):
    """Run the peer in this process."""

    peer: Peer | None = None

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.variants: dict[str, Peer] = {}

    def open(self, task: Task) -> None:
        self.close()  # release the memory of earlier peers first
        self.task, self.peer = task, create_peer(self.kind, task)

    def select(self, variant: Variant) -> None:
        self._opened()
        if variant.name not in self.variants:
            self.variants[variant.name] = create_peer(self.kind, vary(self.task, variant))
        self.peer = self.variants[variant.name]

    def outputs(self) -> Outputs:
        return self._opened().outputs()

    def measure(self, workload: str, min_seconds: float = 0.0) -> float:
        peer = self._opened()
        work = _workload(peer, workload)
        peer.set_weights(peer.task.weights)
        repetitions, start = 0, time.perf_counter()
        while True:
            work()
            repetitions += 1
            seconds = time.perf_counter() - start
            if seconds >= min_seconds:
                return seconds / repetitions

    def allocated(self) -> float:
        peer = self._opened()
        peer.train_step()  # buffers and caches that are kept between epochs do not count
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            peer.train(len(peer.task.x), shuffle=True)
            return float(tracemalloc.get_traced_memory()[1] - before)
        finally:
            tracemalloc.stop()

    def close(self) -> None:
        self.peer, self.variants = None, {}

    def _opened(self) -> Peer:
        if self.peer is None:
            raise ValueError(f"The runner of '{self.kind}' has no task; call open(task) first.")
        return self.peer


def _workload(peer: Peer, workload: str) -> Callable[[], object]:
    name, *count = workload.split()
    if name == "epoch":
        return lambda: peer.train(len(peer.task.x), shuffle=True)
    if name == "step":
        return peer.train_step
    if name not in ("predict", "call"):
        raise ValueError(f"workload must be 'epoch', 'step', 'predict N' or 'call N'; got '{workload}'.")
    x = peer.task.x[: int(count[0])]
    return (lambda: peer.predict(x)) if name == "predict" else (lambda: peer.call(x))
