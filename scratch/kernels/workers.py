"""The workers of a job: every thread executes chunks of passes, until all steps are done.

Why this is safe
----------------

``chunks_done`` counts the finished chunks of all passes.  ``passes_started[c]`` counts the passes in which a worker has
claimed chunk c.

*No two threads write the same memory.*  A worker claims chunk c of pass p by changing ``passes_started[c]`` from p to
p + 1 in one atomic ``compare_exchange``, which succeeds for one worker only.  The chunks of one pass write different
rows or different columns of each array.

*A pass starts only when the previous one is complete.* Workers claim only chunks of pass p = ``chunks_done`` //
chunks, and every chunk is counted once, when it is finished.  So no chunk of pass p is claimed before p · chunks
chunks are finished, and as this holds for all passes, those are the chunks of the passes 0 to p - 1.  What they wrote
is visible to the worker, because the ``fetch_add`` after a chunk and the ``load`` before a claim are sequentially
consistent.  A worker that has read an outdated ``chunks_done`` cannot claim anything: every chunk of an earlier pass
p has been claimed, so ``passes_started[c]`` is greater than p.

*A step begins only when it is described.* Workers claim only chunks of passes that are *opened*.  The thread that
opens a pass has written samples, targets and learning rate before its ``fetch_add``, so they are visible to every
worker whose ``load`` finds the pass open.

*A busy machine cannot block a job.*  Chunks are not bound to threads: a worker takes its own chunk first, because that
chunk's data are in its cache, and then any unclaimed one.  So a worker waits only while all chunks of the pass are
claimed, each by a thread that computes without waiting for anything.  The operating system may suspend such a thread,
but the thread finishes its chunk once it runs again.  A worker that finds nothing to claim ``spin_count()`` times in a
row sleeps for ``BACKOFF_SECONDS``, so that its core is free for that thread, or returns if all passes that are open are
done.  If a worker raises an exception, its chunk may never be finished; it sets ``stop``, and all workers return.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from numpy.typing import NDArray

from scratch.kernels import threads
from scratch.kernels.atomics import compare_exchange, fetch_add, load
from scratch.kernels.jit import kernel
from scratch.kernels.job import Job
from scratch.kernels.passes import run_chunk
from scratch.kernels.workspace import Bytes, workspace

Array = NDArray[Any]
BACKOFF_SECONDS = 50e-6


def run_workers(job: Job, buffers: Sequence[Bytes]) -> None:
    """Execute all steps of a job in the threads of the pool, with one buffer for each worker."""
    passes = len(job.steps) * (len(job.pass_starts) - 1)
    open_passes(job.progress.opened, passes)
    threads.run([partial(run_worker, job, chunk, buffer, passes) for chunk, buffer in enumerate(buffers)])


def run_worker(job: Job, own: int, buffer: Bytes, end: int) -> None:
    """Execute chunks until pass ``end`` would begin, or no pass is open for a while.

    Sleep for BACKOFF_SECONDS whenever all chunks of the open pass are claimed for a while.

    Args:
        job: the steps of a training or of an inference.
        own: the chunk that this worker claims first.
        buffer: of this worker.
        end: number of that pass, over all steps.
    """
    progress = job.progress
    try:
        while not worker_loop(job, own, buffer, end, threads.wake_counter, threads.spin_count()):
            if progress.chunks_done[0] == progress.opened[0] * job.chunks:
                return
            time.sleep(BACKOFF_SECONDS)
    except Exception:  # MemoryError: the chunk that this worker has claimed will never be done
        job.progress.stop[0] = 1
        raise


@kernel
def worker_loop(job: Job, own: int, buffer: Bytes, end: int, wake_counter: Array, spin_count: int) -> bool:
    """Execute chunks until pass ``end`` would begin, or ``stop``; return False if it could claim nothing for a while.

    Args:
        job: the steps of a training or of an inference.
        own: the chunk that this worker claims first.
        buffer: of this worker.
        end: number of that pass, over all steps.
        wake_counter: is incremented, to notify idle helper threads of the job.
        spin_count: how often to look for an unclaimed chunk without success before returning False.
    """
    fetch_add(wake_counter, 1)
    progress, chunks = job.progress, job.chunks
    columns, numbers = job.buffer_sizes
    space = workspace(buffer, columns, numbers, job.state.parameters)
    spins = spin_count
    while spins > 0:
        spins -= 1
        current = load(progress.chunks_done) // chunks
        if current == end or load(progress.stop) > 0:
            return True
        if current == load(progress.opened):
            while spins > 0 and load(progress.opened) == current:  # one load, for which spins are counted
                spins -= 1
            continue
        for i in range(chunks):
            chunk = (own + i) % chunks
            started = progress.passes_started[chunk]
            if load(started) == current and compare_exchange(started, current, current + 1):
                if not run_chunk(job, current, chunk, space):
                    fetch_add(progress.stop, 1)
                    return True
                fetch_add(progress.chunks_done, 1)
                spins = spin_count
                break
    return False


@kernel
def open_passes(opened: Array, passes: int) -> None:
    """Let workers begin so many more passes."""
    fetch_add(opened, passes)
