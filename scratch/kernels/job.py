"""The description of training or inference steps that Python gives to the compiled core.

A ``Job`` names all that the workers read and write: samples, parameters, activations, results; the table of layers and
the table of operations (see ``plan``); and the counters by which workers claim chunks (see ``workers``).
"""

from typing import Any, NamedTuple

from numpy.typing import NDArray

from scratch.kernels import Rule
from scratch.kernels.masks import Masks

Array = NDArray[Any]
KIND, LAYER = range(2)  # columns of the operation table
GATHER, FORWARD, ACTIVATE, LOSS, BACKWARD, UPDATE, APPLY = range(7)  # kinds of operations
BY_SAMPLES, BY_UNITS, BY_INPUTS = range(3)  # ways to partition a layer: see ``plan``
PADDING = 8  # int64 numbers in a cache line; two counters in one line would slow each other down ("false sharing")


class Layer(NamedTuple):
    """A row of the layer table; all are int64 numbers.

    Attributes:
        inputs: number of inputs.
        units: number of outputs.
        activation: its index in ``FUSED_ACTIVATIONS``.
        partition: ``BY_SAMPLES``, ``BY_UNITS`` or ``BY_INPUTS``.
        split: how many inputs the first of the two sums of x W has; all if there is one sum (see ``gemm.split_k``).
        W: where W (inputs, units) begins in the parameters.
        b: where b (units,) begins; -1 without a bias.
        x: where the inputs (batch_size, inputs) begin in the activations; the outputs of the layer before, or what
            Dropout has made of them.
        x_step: where the copy of the next chunk begins, counted from there; 0 if all chunks read the same inputs.
        out: where the outputs (batch_size, units) begin in the activations.
        second: where the second sums of x W (batch_size, units) begin there.
        dz: where the gradients with respect to x W + b (batch_size, units) begin there.
        squares: where the sums of squares of the parts of dW begin; that of db is the last.
        squares_end: where those of the next layer begin.
    """

    inputs: int
    units: int
    activation: int
    partition: int
    split: int
    W: int
    b: int
    x: int
    x_step: int
    out: int
    second: int
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
    """The numbers of the samples (N·D,), read where they lie: one of the arrays; the others are empty.

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
        layers: the layer table, a ``Layer`` in each row (L, 14).
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
