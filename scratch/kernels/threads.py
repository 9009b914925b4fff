"""A thread pool for compiled kernels: free workers take the next unclaimed task.

``run(tasks)`` executes callables on several cores and returns when all are done.  Tasks last 50 microseconds and more,
which is as long as an operating system takes to wake a sleeping thread, so two things differ from
``concurrent.futures.ThreadPoolExecutor``:

- The caller is a worker too.  It waits only for helper threads that have joined its task group, never for one
  that has not been scheduled yet, so a busy machine makes a job slower but cannot block it.
- A thread that has nothing to do spins for ``SPIN_SECONDS`` on an atomic counter before it sleeps.  Helpers wait for
  ``wake_counter``, which counts notifications of new work; the caller waits for ``idle_counter``, which counts how
  often a helper ran out of work.  Both spin in compiled code that does not hold Python's global interpreter lock (GIL):
  a thread that has to wait for the GIL sleeps after all.  For the same reason a notification is best sent by compiled
  code: ``fetch_add(wake_counter, 1)``.

Several Python threads may call ``run`` at the same time.  The result of a task does not depend on the thread that
executes it, so the bits of a result do not depend on the number of threads.
"""

import _thread
import math
import mmap
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from queue import Empty, SimpleQueue

import numpy as np
from numba import config

from scratch.kernels.atomics import fetch_add, load
from scratch.kernels.jit import kernel
from scratch.utils import Array

Task = Callable[[], object]
SPIN_SECONDS = 0.3e-3
# Bytes.  Numba crashes in a thread that cannot allocate any memory: a helper is started only if there is room for its
# stack (usually 8 MiB) and for the work of all threads, and ends if there is too little for its own.
STACK_AND_WORK, HELPER_MEMORY = 10 << 20, 1 << 20
POLL_SECONDS = 1e-3  # between two checks, after an interrupt, whether helpers are still active
wake_counter = np.zeros(1, np.int64)
idle_counter = np.zeros(1, np.int64)


class TaskGroup:
    """Tasks for several threads, and the helpers that have joined them.

    Attributes:
        idle_before: ``idle_counter`` when the group was created.
        queue: through which the tasks were offered to the helpers.
        unclaimed: tasks that no thread has taken yet.  ``deque.popleft`` is atomic: each task is taken once.
        joined: one entry for each helper that has joined, added before the helper looks for a task.  When the caller
            finds no unclaimed task, every helper that has taken one is therefore in this list.
        active: one entry for each helper that has joined and not left.
        finished: one entry for each helper that has left.
        errors: exceptions that tasks raised.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.unclaimed = deque(tasks)
        self.idle_before = int(idle_counter[0])
        self.queue: SimpleQueue[TaskGroup] | None = None
        self.errors: list[BaseException] = []
        self.joined: list[None] = []
        self.active: deque[None] = deque()
        self.finished: SimpleQueue[None] = SimpleQueue()

    def offer(self, helpers: int) -> None:
        """Let so many helpers join, if there are as many; return at once."""
        if helpers > 0 and config.NUMBA_NUM_THREADS > 1:
            self.queue = _start_helpers()
            for _ in range(min(helpers, _helpers)):
                self.queue.put(self)

    def run_tasks(self) -> None:
        """Execute tasks until none is unclaimed."""
        while True:
            try:
                task = self.unclaimed.popleft()
            except IndexError:
                return
            try:
                task()
            except Exception as error:
                self.errors.append(error)

    def run_helper(self) -> None:
        """Execute tasks in a helper thread, registered so that the caller waits for it."""
        self.active.append(None)
        self.joined.append(None)
        try:
            self.run_tasks()
        except BaseException as error:  # such as SystemExit; the helper thread must survive it
            self.errors.append(error)
        finally:
            self.active.pop()
            self.finished.put(None)

    def wait_for_helpers(self) -> None:
        """Wait until every helper that has joined has left."""
        if self.joined:
            _spin_wait(idle_counter, self.idle_before + len(self.joined), spin_count())
        left = 0
        while left < len(self.joined):
            self.finished.get()
            left += 1

    def drop(self) -> None:
        """Drop the tasks that have not begun, and wait for the others; also after an interrupt anywhere."""
        self.unclaimed.clear()
        while self.active and self.queue is _queue:  # a forked child has no helpers, and another queue
            time.sleep(POLL_SECONDS)

    def raise_error(self) -> None:
        """Raise the first exception that a task raised, if any."""
        if self.errors:
            raise self.errors[0]

    def has_ended(self) -> bool:
        """Return whether the only helper has left; a forked child has none of its parent's."""
        return not self.finished.empty() or self.queue is not _queue


_queue: "SimpleQueue[TaskGroup] | None" = None  # for the helper threads; None before these are started
_helpers = 0
_lock = threading.Lock()


def run(tasks: Sequence[Task]) -> None:
    """Execute all tasks on at most ``NUMBA_NUM_THREADS`` cores; return when the last one is done.

    Raises:
        Exception: the first exception that a task raised, after all tasks have ended.
        KeyboardInterrupt: after the tasks that had begun have ended; the other tasks are dropped.
    """
    if len(tasks) == 1:  # needs no helper: inference with one sample takes 2 µs less
        tasks[0]()
        return
    group = TaskGroup(tasks)
    try:
        group.offer(len(tasks) - 1)
        group.run_tasks()
        group.wait_for_helpers()
    except BaseException:  # KeyboardInterrupt may be raised at any line above, so ``finished`` may be miscounted
        group.drop()
        raise
    group.raise_error()


def _start_helpers() -> "SimpleQueue[TaskGroup]":
    """Return the queue of task groups; start the helper threads on the first call."""
    global _queue, _helpers
    with _lock:
        if _queue is None:
            queue: SimpleQueue[TaskGroup] = SimpleQueue()
            _helpers = 0
            for _ in range(config.NUMBA_NUM_THREADS - 1):
                try:  # not threading.Thread, whose start() waits forever for a thread that runs out of memory first
                    mmap.mmap(-1, STACK_AND_WORK).close()  # address space, which malloc may take from freed arrays
                    _thread.start_new_thread(_helper_loop, (queue,))
                except (OSError, MemoryError, RuntimeError):  # the system allows no more memory or threads
                    break
                _helpers += 1
            _queue = queue
        return _queue


def _helper_loop(queue: "SimpleQueue[TaskGroup]") -> None:
    global _helpers
    try:
        bytearray(HELPER_MEMORY)
    except MemoryError:
        with _lock:
            _helpers -= 1
        return
    while True:
        wakes = int(wake_counter[0])
        try:
            group = queue.get_nowait()
        except Empty:
            _announce_idle(idle_counter, wake_counter, wakes + 1, spin_count())
            group = queue.get()
        group.run_helper()


@cache
def spin_count() -> int:
    """Return how often a thread can read a counter in ``SPIN_SECONDS``: processors differ by a factor of four."""
    counter, reads, shortest = np.zeros(1, np.int64), 10_000, math.inf
    for _ in range(9):
        start = time.perf_counter()
        _spin_wait(counter, 1, reads)
        shortest = min(shortest, time.perf_counter() - start)
    return int(reads * SPIN_SECONDS / shortest)


@kernel
def _spin_wait(counter: Array, target: int, spins: int) -> None:
    """Wait until the counter has reached the target, for at most so many spins."""
    for _ in range(spins):
        if load(counter) >= target:
            return


@kernel
def _announce_idle(idle_counter: Array, wake_counter: Array, target: int, spins: int) -> None:
    """Count one more idle helper, then spin until new work is notified."""
    fetch_add(idle_counter, 1)
    _spin_wait(wake_counter, target, spins)


def _reset_after_fork() -> None:
    """Discard the helper threads, which a forked child does not have, and the lock, which one may have held."""
    global _queue, _lock
    _queue, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_reset_after_fork)
