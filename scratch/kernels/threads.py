"""Several tasks on several cores: whoever has time takes the next one.

The caller works too, and never waits for a helper that hasn't begun, so a busy machine costs time but never a stop.
Helpers sleep while there is nothing to do.  But to wake a core takes up to 50 µs, as long as a task may last, so before
it falls asleep a helper listens for a fraction of a millisecond whether the bell rings for the next job, and so does
the caller for the end of this one.  Both do so without the interpreter's lock, and the bell is best rung by a kernel,
which doesn't hold it either: who has to wait for that lock sleeps after all.  Two Python threads may both be callers.
What a task computes doesn't depend on who computes it, so the bits don't depend on the number of threads.
"""

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from queue import Empty, SimpleQueue

import numpy as np
from numba import config

from scratch.kernels.atomics import count, look
from scratch.kernels.jit import compiled
from scratch.utils import Array

Task = Callable[[], object]
PATIENCE = 0.3e-3  # seconds before who waits falls asleep
bell = np.zeros(1, np.int64)  # how often it has rung: there is work
idle = np.zeros(1, np.int64)  # how often a helper has begun to listen


class _Job:
    """Tasks that wait to be done, and the news of the helpers that have come to do them."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.waiting = deque(tasks)
        self.errors: list[BaseException] = []
        self.came: list[None] = []
        self.helping: deque[None] = deque()
        self.went: SimpleQueue[None] = SimpleQueue()

    def work(self) -> None:
        """Do what nobody has begun."""
        while True:
            try:
                task = self.waiting.popleft()
            except IndexError:
                return
            try:
                task()
            except Exception as error:
                self.errors.append(error)

    def help(self) -> None:
        """Do the same, and tell the caller.  Who comes before it takes a task can't be overlooked."""
        self.helping.append(None)
        self.came.append(None)
        try:
            self.work()
        except BaseException as error:  # a helper lives on, whatever a task does
            self.errors.append(error)
        finally:
            self.helping.pop()
            self.went.put(None)


_jobs: "SimpleQueue[_Job] | None" = None
_count = 0
_lock = threading.Lock()


def run(tasks: Sequence[Task]) -> None:
    """Do all tasks, on at most ``NUMBA_NUM_THREADS`` cores; return when the last is done.

    Raises:
        Exception: what a task has raised, after all have ended.
        KeyboardInterrupt: after those that had begun have ended; the others are dropped.
    """
    job, before = _Job(tasks), int(idle[0])
    try:
        if len(tasks) > 1 and config.NUMBA_NUM_THREADS > 1:
            jobs = _helpers()
            for _ in range(min(len(tasks) - 1, _count)):
                jobs.put(job)
        job.work()
        if job.came:
            _listen(idle, before + len(job.came), looks())
        gone = 0
        while gone < len(job.came):
            job.went.get()
            gone += 1
    except BaseException:  # the user has interrupted, and may have left the count wrong
        job.waiting.clear()
        while job.helping:
            time.sleep(0.001)
        raise
    if job.errors:
        raise job.errors[0]


def _helpers() -> "SimpleQueue[_Job]":
    global _jobs, _count
    with _lock:
        if _jobs is None:
            jobs: SimpleQueue[_Job] = SimpleQueue()
            _count = 0
            for i in range(config.NUMBA_NUM_THREADS - 1):
                try:
                    threading.Thread(target=_help, args=(jobs,), name=f"scratch-{i + 1}", daemon=True).start()
                except RuntimeError:  # the system allows no more
                    break
                _count += 1
            _jobs = jobs
        return _jobs


def _help(jobs: "SimpleQueue[_Job]") -> None:
    while True:
        rung = int(bell[0])
        try:
            job = jobs.get_nowait()
        except Empty:
            _rest(idle, bell, rung + 1, looks())
            job = jobs.get()
        job.help()


@cache
def looks() -> int:
    """How often a counter can be looked at in that time: on one processor four times as often as on another."""
    nothing, often, shortest = np.zeros(1, np.int64), 10_000, math.inf
    for _ in range(9):
        begun = time.perf_counter()
        _listen(nothing, 1, often)
        shortest = min(shortest, time.perf_counter() - begun)
    return int(often * PATIENCE / shortest)


@compiled
def _listen(counter: Array, number: int, looks: int) -> None:
    """Wait until the counter has come to that number, but not for long."""
    for _ in range(looks):
        if look(counter, 0) >= number:
            return


@compiled
def _rest(idle: Array, bell: Array, number: int, looks: int) -> None:
    """Tell that a helper has nothing to do, and listen for the bell."""
    count(idle, 0)
    _listen(bell, number, looks)


def _forget() -> None:
    """A forked child has none of its parent's threads, and perhaps a lock that one of them held."""
    global _jobs, _lock
    _jobs, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget)
