"""The plan of a fused training step: its operations, the passes that they form, and the memory that they use.

The operations of a step for L layers, in order::

    gather, forward 0, …, forward L-1, loss, backward L-1, …, backward 1, update 0, …, update L-1

With clipping by a norm, ``update`` only computes and stores the gradient, and ``apply 0, …, apply L-1`` follow.
Inference ends with the loss.

Each operation is partitioned into as many chunks as there are workers.  There are two ways to partition a layer:

- **by samples**, if it is narrow: a chunk is some rows of the batch.  Going from one such layer to the next, forward or
  backward, a chunk needs only what the same chunk has computed, so that no worker waits for another.
- **by units**, if it is wide: at least as many units as the batch has samples, and at least 256 per chunk; never the
  last layer, whose loss needs complete rows.  A chunk is some columns of W, which stay in the cache of the core that
  updates them, and needs the results of all chunks before it.

A *pass* is a sequence of operations between which no worker has to wait.  A new pass begins where the operation before
or after is partitioned by units, before the updates, which need the gradients of all samples, and before ``apply``.

Memory: one flat array holds the parameters of all layers, W0, b0, W1, b1, …, others of the same layout the optimizer's
state and the gradients, and one more the samples of a batch, and for each layer its outputs, its dz and, if a Dropout
is before it, its inputs after the mask.  Each part begins on a cache line::

    parameters  │ W0: inputs × units │ b0 │ W1 │ b1 │ …   activations  │ x: batch × inputs │ out 0 │ dz 0 │ out 1 │ …
                0                    b    W                            0                   out     dz
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import config
from numpy.typing import NDArray

from scratch.kernels import FUSED_ACTIVATIONS, Rule
from scratch.kernels.gemm import MIN_PARALLEL_WORK
from scratch.kernels.masks import Masks
from scratch.kernels.packing import PANEL
from scratch.kernels.sparsity import KC
from scratch.kernels.workspace import buffer_for, panel_columns
from scratch.utils import aligned_empty

Array = NDArray[Any]
Weights = Sequence[tuple[Array, Array | None]]
KIND, LAYER = range(2)  # columns of the operation table
GATHER, FORWARD, LOSS, BACKWARD, UPDATE, APPLY = range(6)  # kinds of operations
PADDING = 8  # int64 numbers in a cache line; two counters in one line would slow each other down ("false sharing")
ALIGNMENT = 16  # float32 numbers in a cache line
MIN_UNITS_PER_CHUNK = 256  # of a layer that is partitioned by units; with fewer, a core prefetches its neighbour's
MIN_SAMPLES_PER_CHUNK = 16
ACTIVATION_WORK = 16  # multiplications that take as long as one activation
UPDATE_ROWS = 64  # of a block of W whose gradient is computed at once
UPDATE_STEP, UPDATE_COLUMNS = 16, PANEL  # chunks of W begin at multiples of them; each such part has a sum of squares


class Layer(NamedTuple):
    """A row of the layer table; all are int64 numbers.

    Attributes:
        inputs: number of inputs.
        units: number of outputs.
        activation: its index in ``FUSED_ACTIVATIONS``.
        by_units: 1 if the layer is partitioned by units, 0 if by samples.
        W: where W (inputs, units) begins in the parameters.
        b: where b (units,) begins; -1 without a bias.
        x: where the inputs (batch_size, inputs) begin in the activations; the outputs of the layer before, or what
            Dropout has made of them.
        x_step: where the copy of the next chunk begins, counted from there; 0 if all chunks read the same inputs.
        out: where the outputs (batch_size, units) begin in the activations.
        dz: where the gradients with respect to x W + b (batch_size, units) begin there.
        squares: where the sums of squares of the parts of dW begin; that of db is the last.
        squares_end: where those of the next layer begin.
    """

    inputs: int
    units: int
    activation: int
    by_units: int
    W: int
    b: int
    x: int
    x_step: int
    out: int
    dz: int
    squares: int
    squares_end: int


class State(NamedTuple):
    """What the training steps read and change.

    Attributes:
        parameters: of all layers (P,).
        arrays: state arrays of the optimizer, one after the other (k·P,).
        gradients: of a batch (P,); empty unless they are clipped by a norm.
        squares: sums of squares of their parts, float64.
        activations: the outputs and dz of all layers for a batch.
    """

    parameters: Array
    arrays: Array
    gradients: Array
    squares: Array
    activations: Array


class Step(NamedTuple):
    """The learning rate of an update, and what its rule multiplies with: the learning rate, or α of Adam."""

    learning_rate: float
    size: float


class Progress(NamedTuple):
    """Counters that the workers share; each is the first element of a cache line of its own.

    Attributes:
        chunks_done: chunks that are finished, over all passes of all steps.
        stop: more than 0 if no further chunk may begin.
        opened: number of passes, over all steps, that may begin.
        passes_started: of each chunk, in how many passes a worker has claimed it (chunks, ``PADDING``).
    """

    chunks_done: Array
    stop: Array
    opened: Array
    passes_started: Array


class Samples(NamedTuple):
    """The samples (N, D), read where they lie: one of the arrays; the others have no rows.

    Attributes:
        pixels: bytes, of which 255 means 1.
        float32: numbers.
        float64: numbers.
    """

    pixels: Array
    float32: Array
    float64: Array


class Job(NamedTuple):
    """Several steps of a training or of an inference, for all workers that execute them.

    Attributes:
        layers: the layer table, a ``Layer`` in each row (L, 12).
        operations: kind and layer of each operation of a step (operations, 2).
        pass_starts: index of the first operation of each pass, then the number of operations (passes + 1,).
        chunks: number of chunks of a pass.
        batch_size: samples of a step; the last one may have fewer.
        buffer_sizes: of the buffer of a worker, for ``workspace``.
        samples: all samples.
        order: rows of the samples, batch after batch (n,).
        t: their targets (n, C).
        state: what the steps read and change.
        losses: receives the loss of each sample, from before the update of its batch (n,).
        probabilities: receives the outputs likewise (n, C).
        rule: of the optimizer.
        steps: a ``Step`` in each row, float64 (steps, 2).
        masks: of Dropout.
        progress: the shared counters.
    """

    layers: Array
    operations: Array
    pass_starts: Array
    chunks: int
    batch_size: int
    buffer_sizes: tuple[int, int]
    samples: Samples
    order: Array
    t: Array
    state: State
    losses: Array
    probabilities: Array
    rule: Rule
    steps: Array
    masks: Masks
    progress: Progress


class Parameters:
    """The parameters of all layers in one flat array.

    Args:
        weights: W (inputs, units) and b (units,) or None of each layer, first to last, all of one dtype; are copied.

    Attributes:
        flat: all parameters.
        offsets: where W and b of each layer begin; -1 without a bias.
    """

    def __init__(self, weights: Weights) -> None:
        self.shapes = [(W.shape, None if b is None else b.shape) for W, b in weights]
        self.offsets, size = [], 0
        for W, b in weights:
            start_of_b = size + _aligned(W.size)
            self.offsets.append((size, -1 if b is None else start_of_b))
            size = start_of_b + (0 if b is None else _aligned(b.size))
        self.flat = self.zeros(size, weights[0][0].dtype)
        for arrays, views in zip(weights, self.views(self.flat), strict=True):
            for array, view in zip(arrays, views, strict=True):
                if array is not None and view is not None:
                    view[...] = array

    @staticmethod
    def zeros(size: int, dtype: np.dtype[Any]) -> Array:
        """Return an aligned flat array of zeros."""
        flat = aligned_empty((size,), dtype)
        flat[:] = 0
        return flat

    def views(self, flat: Array) -> list[tuple[Array, Array | None]]:
        """Return the parts of a flat array of this layout, with the shapes of W and b of each layer."""

        def view(start: int, shape: tuple[int, ...] | None) -> Any:
            return None if shape is None else flat[start : start + math.prod(shape)].reshape(shape)

        return [
            (view(start, shape), view(start_of_b, shape_of_b))
            for (start, start_of_b), (shape, shape_of_b) in zip(self.offsets, self.shapes, strict=True)
        ]


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
        wide = [chunks > 1 and units >= max(batch_size, chunks * MIN_UNITS_PER_CHUNK) for _, units in shapes]
        self.by_units = [*wide[:-1], False]  # the loss needs complete rows of logits
        self.operations, self.pass_starts = _passes(self.by_units, updates)
        clips_by_norm = APPLY in updates
        dtype = parameters.flat.dtype
        rows: list[Layer] = []
        # If the first layer is partitioned by units, each chunk has a copy of the samples in its core's cache.
        x_size = _aligned(batch_size * shapes[0][0])
        size, blocks = x_size * (chunks if self.by_units[0] else 1), 0
        for i, (inputs, units) in enumerate(shapes):
            x, x_step = (rows[-1].out, 0) if rows else (0, x_size if self.by_units[0] else 0)
            if rows and dropped[i]:
                x, size = size, size + _aligned(batch_size * inputs)
            dz = size + _aligned(batch_size * units)
            kind = FUSED_ACTIVATIONS.index(activations[i])
            squares, blocks = blocks, blocks + math.ceil(inputs / UPDATE_STEP) * math.ceil(units / UPDATE_COLUMNS) + 1
            offsets = *parameters.offsets[i], x, x_step, size, dz, squares, blocks
            rows.append(Layer(inputs, units, kind, self.by_units[i], *offsets))
            has_dz = updates or i == len(shapes) - 1  # the loss always writes it
            size = dz + (_aligned(batch_size * units) if has_dz else 0)
        self.layers = np.array(rows, np.int64)
        self.activations = aligned_empty((size,), dtype)
        widest = max(panel_columns(units) for _, units in shapes)
        columns = max(
            batch_size * widest,
            *(min(inputs, KC) * panel_columns(units) for inputs, units in shapes),
            *(min(units, KC) * panel_columns(inputs) for inputs, units in shapes[1:]),
        )
        self.buffer_sizes = columns, UPDATE_ROWS * widest
        self.buffers = [buffer_for(dtype, *self.buffer_sizes, widest) for _ in range(chunks)]
        self.gradients = np.zeros(parameters.flat.size if clips_by_norm else 0, dtype)
        self.squares = np.zeros(blocks if clips_by_norm else 0)


def _aligned(size: int) -> int:
    return math.ceil(size / ALIGNMENT) * ALIGNMENT


def chunk_count(weights: Weights, batch_size: int) -> int:
    """Return the number of chunks that pay off for batches of this size: 1 to ``NUMBA_NUM_THREADS``."""
    work = batch_size * sum(W.size + ACTIVATION_WORK * W.shape[1] for W, _ in weights)
    if work < MIN_PARALLEL_WORK:
        return 1
    widest = max(W.shape[1] for W, _ in weights)
    useful = max(batch_size // MIN_SAMPLES_PER_CHUNK, widest // MIN_UNITS_PER_CHUNK)
    return max(1, min(config.NUMBA_NUM_THREADS, useful))


def _passes(by_units: Sequence[bool], updates: Sequence[int]) -> tuple[Array, Array]:
    """Return the operation table and the boundaries of the passes, for layers that are partitioned as given."""
    layers = range(len(by_units))
    forward = [(FORWARD, i) for i in layers]
    backward = [(BACKWARD, i) for i in (layers[:0:-1] if updates else ())]
    operations = [
        (GATHER, 0),
        *forward,
        (LOSS, layers[-1]),
        *backward,
        *((kind, i) for kind in updates for i in layers),
    ]
    starts = [0]
    for i in range(2, len(operations)):  # gather and forward 0 are one pass: each chunk gathers what it needs itself
        (kind_before, layer_before), (kind, layer) = operations[i - 1], operations[i]
        needs_all_chunks = kind_before != kind if kind >= UPDATE else by_units[layer_before] or by_units[layer]
        if needs_all_chunks:
            starts.append(i)
    return np.array(operations), np.array([*starts, len(operations)])
