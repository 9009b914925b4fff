"""Training steps, one for each call, between which the helper threads stay in the compiled loop.

A callback that needs each batch runs between two steps.  Leaving and entering the thread pool at each step takes as
long as a fifth of the article network's step, as both wait for Python's global interpreter lock.  So a job is described
once, with room for many steps.  Each call writes the samples' numbers, targets and learning rate of one step, and
*opens* its passes; a helper that has nothing to do spins until the next passes are open::

    caller   │ write step 0, open │ chunks │ callback │ write step 1, open │ chunks │ callback │ …
    helper   │ spin               │ chunks │ spin                          │ chunks │ spin     │ …

After ``threads.SPIN_SECONDS`` without a step a helper returns to the pool; the next step offers its task again.  A
caller never waits for a helper: any free worker claims the chunks (see ``workers``).  Measured for batches of 100
digits on two cores of an AMD EPYC (Zen 5), with a callback that reads the loss: an epoch takes 1.24 times as long as
without, and 1.43 times if each step is a job of its own.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from scratch.kernels import Rule, threads
from scratch.kernels.job import Job
from scratch.kernels.masks import Dropout, draw_masks
from scratch.kernels.workers import open_passes, run_worker
from scratch.kernels.workspace import Bytes

if TYPE_CHECKING:
    from scratch.kernels.fused_step import FusedStep

Array = NDArray[Any]


class SingleSteps:
    """Steps of one size on one array of samples, by one rule.

    Args:
        job: with room for the numbers, targets and learning rates of its steps.
        buffers: one for each worker.
        dropouts: the Dropout layer before each Dense layer, or None.

    Attributes:
        taken: number of steps that ``take`` was called for.
        complete: whether a step was taken, and the last one is complete.
    """

    def __init__(self, job: Job, buffers: Sequence[Bytes], dropouts: Sequence[Dropout | None]) -> None:
        self.job, self.dropouts = job, dropouts
        self.widths, self.factors = job.layers[:, 0].tolist(), self._factors()
        self.taken, self.complete = 0, False
        self.passes = len(job.pass_starts) - 1
        end = len(job.steps) * self.passes
        self.buffer, *others = buffers
        self.tasks = [partial(run_worker, job, 1 + i, buffer, end) for i, buffer in enumerate(others)]
        self.helpers = [threads.TaskGroup([task]) for task in self.tasks]
        for helper in self.helpers:
            helper.offer(1)  # until it has joined, it has not ended

    def can_take(self, fused: "FusedStep", batch_size: int, rule: Rule) -> bool:
        """Return whether there is room for another step, which trains the same arrays in the same way."""
        job = self.job
        return (
            self.complete
            and self.taken < len(job.steps)
            and job.state.parameters is fused.parameters.flat
            and job.state.arrays is fused.arrays
            and batch_size == job.batch_size
            and rule == job.rule
            and fused.dropouts == self.dropouts
            and self.factors == self._factors()
        )

    def _factors(self) -> list[float]:
        return [dropout.factor for dropout in self.dropouts if dropout]

    def take(self, order: Array, t: Array, step: Array) -> tuple[Array, Array]:
        """Take a step, which is ``complete`` unless the loss is not finite.

        Args:
            order: numbers of its samples (n,); they are not checked.
            t: their targets (n, C).
            step: learning rate and step size (2,).

        Returns:
            Losses (n,) and probabilities (n, C), from before the update.

        Raises:
            MemoryError: if a worker has no memory.
        """
        self.complete = False
        job, n = self.job, self.job.batch_size
        first = self.taken * n
        rows = slice(first, first + n)
        job.order[rows], job.t[rows], job.steps[self.taken] = order, t, step
        if self.factors:
            draw_masks(job.masks, self.dropouts, self.widths, (first, n), 0)
        self.taken += 1
        try:
            self._call_helpers()
            open_passes(job.progress.opened, self.passes)
            run_worker(job, 0, self.buffer, self.taken * self.passes)
        except BaseException:  # such as KeyboardInterrupt: a helper that has joined completes the step
            self._drop_helpers()
            raise
        finally:
            self.complete = int(job.progress.chunks_done[0]) == self.taken * self.passes * job.chunks
        if not self.complete:
            self._drop_helpers()
            for helper in self.helpers:
                helper.raise_error()
        return job.losses[rows], job.probabilities[rows]

    def end(self) -> None:
        """Let the helpers of an unfinished job return to the pool, and wait for them."""
        if self.taken < len(self.job.steps):
            self.job.progress.stop[0] = 1
            self._drop_helpers()

    def _call_helpers(self) -> None:
        """Call those helpers back that have left."""
        for i, helper in enumerate(self.helpers):
            if helper.has_ended():
                helper.raise_error()
                self.helpers[i] = threads.TaskGroup([self.tasks[i]])
                self.helpers[i].offer(1)

    def _drop_helpers(self) -> None:
        for helper in self.helpers:
            helper.drop()
