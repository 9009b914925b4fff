"""Several tasks on several cores: whoever has time takes the next one.

The caller works too, and never waits for a helper that hasn't begun, so a busy machine costs time but never a stop.
Helpers sleep while there is nothing to do; no core is kept spinning.  Kernels run without the interpreter's lock, so
two Python threads may both be callers.  What a task computes doesn't depend on who computes it, so the bits don't
depend on the number of threads.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from numba import config

Task = Callable[[], object]


class _Job:
    """Tasks that wait to be done, and the news of those that are."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.waiting = deque(tasks)
        self.done: SimpleQueue[Exception | None] = SimpleQueue()

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
                self.done.put(error)
            else:
                self.done.put(None)


_jobs: "SimpleQueue[_Job] | None" = None
_lock = threading.Lock()


def run(tasks: Sequence[Task]) -> None:
    """Do all tasks, on at most ``NUMBA_NUM_THREADS`` cores; return when the last is done.

    Raises:
        Exception: what a task has raised, after all have ended.
    """
    job = _Job(tasks)
    for _ in range(min(len(tasks), config.NUMBA_NUM_THREADS) - 1):
        _helpers().put(job)
    job.work()
    errors = [error for error in (job.done.get() for _ in tasks) if error]
    if errors:
        raise errors[0]


def _helpers() -> "SimpleQueue[_Job]":
    global _jobs
    with _lock:
        if _jobs is None:
            _jobs = SimpleQueue()
            for i in range(config.NUMBA_NUM_THREADS - 1):
                threading.Thread(target=_help, args=(_jobs,), name=f"scratch-{i + 1}", daemon=True).start()
        return _jobs


def _help(jobs: "SimpleQueue[_Job]") -> None:
    while True:
        jobs.get().work()


def _forget() -> None:
    """A forked child has none of its parent's threads, and perhaps a lock that one of them held."""
    global _jobs, _lock
    _jobs, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
