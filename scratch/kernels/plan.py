"""The plan of a fused training step: its operations, the passes that they form, and the memory that they use.

The operations of a step for L layers, in order::

    gather, forward 0, …, forward L-1, loss, backward L-1, …, backward 1, update 0, …, update L-1

Each operation is partitioned into as many chunks as there are workers.  There are two ways to partition a layer:

- **by samples**, if it is narrow: a chunk is some rows of the batch.  Going from one such layer to the next, forward or
  backward, a chunk needs only what the same chunk has computed, so that no worker waits for another.
- **by units**, if it is wide: at least as many units as the batch has samples, and at least 256 per chunk; never the
  last layer, whose loss needs complete rows.  A chunk is some columns of W, which stay in the cache of the core that
  updates them, and needs the results of all chunks before it.

A *pass* is a sequence of operations between which no worker has to wait.  A new pass begins where the operation before
or after is partitioned by units, and before the updates, which need the gradients of all samples.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import config
from numpy.typing import NDArray

from scratch.kernels import FUSED_ACTIVATIONS
from scratch.kernels.gemm import MIN_PARALLEL_WORK
from scratch.utils import aligned_empty

Array = NDArray[Any]
Weights = Sequence[tuple[Array, Array | None]]
# Columns of the layer table.  The last four are addresses of C-contiguous arrays: W (inputs, units), b (units,) or 0,
# and of one batch the outputs and the gradients with respect to x W + b, both (batch_size, units).
INPUTS, UNITS, ACTIVATION, BY_UNITS, W_ADDRESS, B_ADDRESS, OUT_ADDRESS, DZ_ADDRESS = range(8)
KIND, LAYER = range(2)  # columns of the operation table
GATHER, FORWARD, LOSS, BACKWARD, UPDATE = range(5)  # kinds of operations
PADDING = 8  # int64 numbers in a cache line; two counters in one line would slow each other down ("false sharing")
MIN_UNITS_PER_CHUNK = 256  # of a layer that is partitioned by units; with fewer, a core prefetches its neighbour's
MIN_SAMPLES_PER_CHUNK = 16
ACTIVATION_WORK = 16  # multiplications that take as long as one activation


class Progress(NamedTuple):
    """Counters that the workers share; each is the first element of a cache line of its own.

    Attributes:
        chunks_done: chunks that are finished, over all passes of all steps.
        stop: more than 0 if no further chunk may begin.
        nonfinite_weights: more than 0 if an update has made a weight infinite or NaN.
        passes_started: of each chunk, in how many passes a worker has claimed it (chunks, ``PADDING``).
    """

    chunks_done: Array
    stop: Array
    nonfinite_weights: Array
    passes_started: Array


class Job(NamedTuple):
    """Several training steps, for all workers that execute them.

    Attributes:
        layers: the layer table (L, 8).
        operations: kind and layer of each operation of a step (operations, 2).
        pass_starts: index of the first operation of each pass, then the number of operations (passes + 1,).
        chunks: number of chunks of a pass.
        samples: (N, D) of the weights' dtype; no rows if ``pixels`` are given.
        pixels: (N, D) of bytes; no rows if ``samples`` are given.
        order: rows of the samples, batch after batch (n,).
        t: their targets (n, C).
        x: receives the samples of a batch (1, batch_size, D); (chunks, batch_size, D) if the first layer is
            partitioned by units, so that each chunk has a copy in its core's cache.
        losses: receives the loss of each sample, from before the update of its batch (n,).
        probabilities: receives the outputs likewise (n, C).
        learning_rate: η.
        progress: the shared counters.
    """

    layers: Array
    operations: Array
    pass_starts: Array
    chunks: int
    samples: Array
    pixels: Array
    order: Array
    t: Array
    x: Array
    losses: Array
    probabilities: Array
    learning_rate: float
    progress: Progress


class Plan:
    """Operations, passes and buffers for batches of one size.

    Args:
        weights: W (inputs, units) and b (units,) or None of each layer, first to last, all of one dtype.
        activations: the activation after each layer.
        chunks: number of chunks of a pass.
        batch_size: samples of a batch; the last batch of a job may have fewer.
    """

    def __init__(self, weights: Weights, activations: Sequence[str], chunks: int, batch_size: int) -> None:
        self.chunks, self.batch_size = chunks, batch_size
        wide = [chunks > 1 and W.shape[1] >= max(batch_size, chunks * MIN_UNITS_PER_CHUNK) for W, _ in weights]
        self.by_units = [*wide[:-1], False]  # the loss needs complete rows of logits
        dtype, inputs = weights[0][0].dtype, len(weights[0][0])
        self.x = aligned_empty((chunks if self.by_units[0] else 1, batch_size, inputs), dtype)
        self.outputs = [aligned_empty((batch_size, W.shape[1]), dtype) for W, _ in weights]
        self.gradients = [aligned_empty((batch_size, W.shape[1]), dtype) for W, _ in weights]
        rows = []
        for i, (W, b) in enumerate(weights):
            addresses = [0 if a is None else a.ctypes.data for a in (W, b, self.outputs[i], self.gradients[i])]
            rows.append((*W.shape, FUSED_ACTIVATIONS.index(activations[i]), self.by_units[i], *addresses))
        self.layers = np.array(rows, np.int64)
        self.operations, self.pass_starts = _passes(self.by_units)


def chunk_count(weights: Weights, batch_size: int) -> int:
    """Return the number of chunks that pay off for batches of this size: 1 to ``NUMBA_NUM_THREADS``."""
    work = batch_size * sum(W.size + ACTIVATION_WORK * W.shape[1] for W, _ in weights)
    if work < MIN_PARALLEL_WORK:
        return 1
    widest = max(W.shape[1] for W, _ in weights)
    useful = max(batch_size // MIN_SAMPLES_PER_CHUNK, widest // MIN_UNITS_PER_CHUNK)
    return max(1, min(config.NUMBA_NUM_THREADS, useful))


def _passes(by_units: Sequence[bool]) -> tuple[Array, Array]:
    """Return the operation table and the boundaries of the passes, for layers that are partitioned as given."""
    layers = range(len(by_units))
    forward = [(FORWARD, i) for i in layers]
    backward = [(BACKWARD, i) for i in layers[:0:-1]]
    update = [(UPDATE, i) for i in layers]
    operations = [(GATHER, 0), *forward, (LOSS, layers[-1]), *backward, *update]
    starts = [0]
    for i in range(2, len(operations)):  # gather and forward 0 are one pass: each chunk gathers what it needs itself
        (kind_before, layer_before), (kind, layer) = operations[i - 1], operations[i]
        needs_all_chunks = kind_before != UPDATE if kind == UPDATE else by_units[layer_before] or by_units[layer]
        if needs_all_chunks:
            starts.append(i)
    return np.array(operations), np.array([*starts, len(operations)])
