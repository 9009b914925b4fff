"""The plan of a fused training step: its operations, the passes that they form, and the memory that they use.

The operations of a step for L layers, in order::

    gather, forward 0, activate 0, …, forward L-1, activate L-1, loss, backward L-1, …, backward 1, update 0, …

``forward`` computes the sums of x W + b, and ``activate`` makes outputs of them.  With clipping by a norm, ``update``
only computes and stores the gradient, and ``apply 0, …, apply L-1`` follow.  Inference ends with the loss.

Each operation is partitioned into as many chunks as there are workers.  There are three ways to partition a layer:

- **by samples**, if it is narrow: a chunk is some rows of the batch.  Going from one such layer to the next, forward or
  backward, a chunk needs only what the same chunk has computed, so that no worker waits for another.
- **by units**, if it is wide: at least as many units as the batch has samples, and at least 256 per chunk; never the
  last layer, whose loss needs complete rows.  A chunk is some columns of W, which stay in the cache of the core that
  updates them, and needs the results of all chunks before it.
- **by inputs**, the first layer of a training with an even number of chunks, if x W is two sums (split-K, see ``gemm``)
  and it has at least two inputs for each sample: half of the chunks compute each sum, for all samples if there are two
  chunks.  So a chunk gathers only its own pixels, and of two chunks, each reads only the rows of W that the same chunk
  updates, which stay in the cache of its core.  By samples, each core would read from
  the other one's cache what that one has updated: half of W, 400 KB of 784 × 256, where the second sums of 100 samples
  are 100 KB.  ``activate`` adds the sums, and is partitioned by samples.  Measured on two cores of an AMD EPYC (Zen 4):
  a step of the article's network with 100 samples takes 355 µs instead of 390, with 32 samples 150 instead of 200.

A *pass* is a sequence of operations between which no worker has to wait.  A new pass begins where the operation before
or after is partitioned by units, except from ``forward`` to ``activate`` of one layer; before ``activate`` of a layer
that is partitioned by inputs; before the updates, which need the gradients of all samples; and before ``apply``.

Memory: one flat array holds the parameters of all layers (see ``parameters``), others of the same layout the
optimizer's state and the gradients, and one more the samples of a batch, and for each layer its outputs, the second
sums if there are two, its dz and, if a Dropout is before it, its inputs after the mask::

    activations  │ x: batch × inputs │ out 0 │ second 0 │ dz 0 │ out 1 │ dz 1 │ …     each begins on a cache line
                                     out     second     dz
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import config
from numpy.typing import NDArray

from scratch.kernels import FUSED_ACTIVATIONS
from scratch.kernels.gemm import MIN_PARALLEL_WORK, split_k
from scratch.kernels.job import (
    ACTIVATE,
    APPLY,
    BACKWARD,
    BY_INPUTS,
    BY_SAMPLES,
    BY_UNITS,
    FORWARD,
    GATHER,
    LOSS,
    UPDATE,
    Layer,
)
from scratch.kernels.packing import NR
from scratch.kernels.parameters import Parameters, Weights, aligned
from scratch.kernels.sparsity import KC, MC
from scratch.kernels.workspace import buffer_for, panel_columns
from scratch.utils import aligned_empty

Array = NDArray[Any]
MIN_UNITS_PER_CHUNK = 256  # of a layer that is partitioned by units; with fewer, a core prefetches its neighbour's
MIN_SAMPLES_PER_CHUNK = 16
MIN_INPUTS_PER_SAMPLE = 2  # of a layer that is partitioned by inputs; with fewer, sums are more to move than half of W
ACTIVATION_WORK = 16  # multiplications that take as long as one activation
UPDATE_ROWS = MC  # of a block of W whose gradient is computed at once: one packed block of x.T
UPDATE_STEP, UPDATE_COLUMNS = 16, NR  # chunks of W begin at multiples of them; each such part has a sum of squares


class Key(NamedTuple):
    """What a plan depends on, apart from the network.

    Attributes:
        chunks: number of chunks of a pass.
        batch_size: samples of a batch; the last batch of a job may have fewer.
        updates: kinds of the operations that update: ``UPDATE``, or ``UPDATE, APPLY``; none for inference.
        dropped: whether there is a Dropout before each layer.
    """

    chunks: int
    batch_size: int
    updates: Sequence[int]
    dropped: Sequence[bool]


class Plan:
    """Operations, passes and buffers for batches of one size.

    Args:
        parameters: of all layers.
        activations: the activation after each layer.
        key: what else it depends on.
    """

    def __init__(self, parameters: Parameters, activations: Sequence[str], key: Key) -> None:
        self.key = key
        chunks, batch_size, updates, dropped = key
        self.chunks, self.batch_size = chunks, batch_size
        shapes = [shape for shape, _ in parameters.shapes]
        partitions = _partitions(shapes, key)
        self.operations, self.pass_starts = _passes(partitions, updates)
        clips_by_norm = APPLY in updates
        dtype = parameters.flat.dtype
        rows: list[Layer] = []
        # If the first layer is partitioned by units, each chunk has a copy of the samples in its core's cache.
        x_size, copies = aligned(batch_size * shapes[0][0]), chunks if partitions[0] == BY_UNITS else 1
        size, blocks = x_size * copies, 0
        for i, (inputs, units) in enumerate(shapes):
            x, x_step = (rows[-1].out, 0) if rows else (0, x_size if copies > 1 else 0)
            if rows and dropped[i]:
                x, size = size, size + aligned(batch_size * inputs)
            split, outputs = split_k(inputs, units), aligned(batch_size * units)
            second = size + outputs
            dz = second + (outputs if split < inputs else 0)
            kind = FUSED_ACTIVATIONS.index(activations[i])
            squares, blocks = blocks, blocks + math.ceil(inputs / UPDATE_STEP) * math.ceil(units / UPDATE_COLUMNS) + 1
            offsets = *parameters.offsets[i], x, x_step, size, second, dz, squares, blocks
            rows.append(Layer(inputs, units, kind, partitions[i], split, *offsets))
            has_dz = updates or i == len(shapes) - 1  # the loss always writes it
            size = dz + (outputs if has_dz else 0)
        self.layers = np.array(rows, np.int64)
        self.activations = aligned_empty((size,), dtype)
        widest = max(panel_columns(units) for _, units in shapes)
        columns = max(
            batch_size * widest,
            *(min(inputs, KC) * panel_columns(units) for inputs, units in shapes),
            *(min(units, KC) * panel_columns(inputs) for inputs, units in shapes[1:]),
        )
        self.buffer_sizes = columns, UPDATE_ROWS * widest if updates else 0
        self.buffers = [buffer_for(dtype, *self.buffer_sizes, widest) for _ in range(chunks)]
        self.gradients = np.zeros(parameters.flat.size if clips_by_norm else 0, dtype)
        self.squares = np.zeros(blocks if clips_by_norm else 0)


def chunk_count(weights: Weights, batch_size: int) -> int:
    """Return the number of chunks that pay off for batches of this size: 1 to ``NUMBA_NUM_THREADS``."""
    work = batch_size * sum(W.size + ACTIVATION_WORK * W.shape[1] for W, _ in weights)
    if work < MIN_PARALLEL_WORK:
        return 1
    widest = max(W.shape[1] for W, _ in weights)
    useful = max(batch_size // MIN_SAMPLES_PER_CHUNK, widest // MIN_UNITS_PER_CHUNK)
    return max(1, min(config.NUMBA_NUM_THREADS, useful))


def _partitions(shapes: Sequence[tuple[int, int]], key: Key) -> list[int]:
    """Return how each layer of a network is partitioned."""
    chunks, batch_size, updates, _ = key
    wide = [chunks > 1 and units >= max(batch_size, chunks * MIN_UNITS_PER_CHUNK) for _, units in shapes[:-1]]
    partitions = [*(BY_UNITS if is_wide else BY_SAMPLES for is_wide in wide), BY_SAMPLES]
    inputs, units = shapes[0]
    is_split = split_k(inputs, units) < inputs and inputs >= MIN_INPUTS_PER_SAMPLE * batch_size
    if updates and chunks % 2 == 0 and is_split and partitions[0] == BY_SAMPLES:
        partitions[0] = BY_INPUTS
    return partitions


def _passes(partitions: Sequence[int], updates: Sequence[int]) -> tuple[Array, Array]:
    """Return the operation table and the boundaries of the passes, for layers that are partitioned as given."""
    layers = range(len(partitions))
    operations = [
        (GATHER, 0),
        *((kind, i) for i in layers for kind in (FORWARD, ACTIVATE)),
        (LOSS, layers[-1]),
        *((BACKWARD, i) for i in (layers[:0:-1] if updates else ())),
        *((kind, i) for kind in updates for i in layers),
    ]
    starts = [0]
    for i in range(2, len(operations)):  # gather and forward 0 are one pass: each chunk gathers what it needs itself
        (kind_before, layer_before), (kind, layer) = operations[i - 1], operations[i]
        if kind >= UPDATE:
            needs_all_chunks = kind_before != kind
        elif kind == ACTIVATE:
            needs_all_chunks = partitions[layer] == BY_INPUTS
        else:
            needs_all_chunks = BY_UNITS in (partitions[layer_before], partitions[layer])
        if needs_all_chunks:
            starts.append(i)
    return np.array(operations), np.array([*starts, len(operations)])
