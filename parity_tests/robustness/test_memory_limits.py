"""Training while the address space of the process is nearly exhausted: it succeeds, or raises ``MemoryError``.

A new thread needs memory before it can say that it runs.  If there is none, ``threading.Thread.start`` waits forever,
and Numba crashes.
"""

import collections
import json
import os
import resource
import signal
import sys
import time

import numpy as np
import pytest
from numba import config

from parity_tests.unit.kernels import model_of_the_article, output
from scratch.kernels import threads
from scratch.models import Sequential

SECONDS = 20  # a training takes 20 milliseconds
MIB = 2**20
RNG = np.random.default_rng(0)
X, Y = RNG.random((500, 784), np.float32), RNG.integers(10, size=500)
STACK = 8  # MiB of a new thread: limits just above a multiple of it leave a thread that can do nothing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")


def fit_with(model: Sequential, free: float) -> None:
    """Train in this process, which can allocate so many MiB more, and end it with exit status 0 or 3 (no memory)."""
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + int(free * MIB),) * 2)
    status = 0
    try:
        model.fit(X, Y, batch_size=100, verbose=0)
    except MemoryError:
        status = 3
    os._exit(status)


def exit_status(process: int) -> int | str:
    """Return the exit status of a child process; kill it if it hangs."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return "hangs"


def main(limits: list[float]) -> None:
    """Train once in a child process for each limit; print how often each exit status occurred."""
    model = model_of_the_article(1)
    config.NUMBA_NUM_THREADS = 2
    model.fit(X, Y, batch_size=100, verbose=0)  # loads the kernels of all threads
    threads.run([lambda: time.sleep(0.05)] * 4)
    config.NUMBA_NUM_THREADS = 4
    counts: collections.Counter[int | str] = collections.Counter()
    for free in limits:
        process = os.fork()  # the child has no helper threads yet
        if process == 0:
            fit_with(model, free)
        counts[exit_status(process)] += 1
    print(json.dumps(counts))


def statuses(limits: list[float]) -> dict[str, int]:
    program = f"from parity_tests.robustness.test_memory_limits import main; main({limits})"
    counts: dict[str, int] = json.loads(output(program, OPENBLAS_NUM_THREADS="1"))
    return counts


@pytest.mark.slow
def test_helper_threads_without_memory() -> None:
    counts = statuses([1, *(STACK + extra for extra in (0.02, 0.03, 0.06, 0.1)), 2 * STACK + 0.1, 100])
    assert counts.keys() <= {"0", "3"}
    assert counts["0"] >= 2


@pytest.mark.slow
def test_200_memory_limits() -> None:
    limits = np.concatenate([np.linspace(0, 1, 20), np.linspace(STACK, STACK + 1, 120), np.linspace(STACK, 60, 60)])
    counts = statuses(limits.tolist())
    assert counts.keys() <= {"0", "3"}
    assert counts["0"] >= 60
