"""The passes of a fused training step, compiled: what one worker does with one chunk.

The operations are those of ``numba_ops`` and ``gemm``, applied to a part of each array and in the same order, so that a
fused step and a step layer by layer give the same bits.  (Only the norms of gradients, for ``clipnorm``, are summed in
another order here, in float64: see ``updates``.)

``run_chunk`` passes each operation the parts of the job that it needs: Numba takes longer to compile calls with all of
the job's arrays.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratch.kernels import Rule
from scratch.kernels.arrays import clear, copy, sum_columns
from scratch.kernels.elementwise import activate, activation_gradient, softmax_cross_entropy
from scratch.kernels.gemm import Bias, add_product, add_sums, product_tile
from scratch.kernels.jit import Bool, Int, inlined, subroutine
from scratch.kernels.job import (
    ACTIVATE,
    APPLY,
    BACKWARD,
    BY_INPUTS,
    BY_UNITS,
    FORWARD,
    GATHER,
    KIND,
    LAYER,
    LOSS,
    UPDATE,
    Job,
    Layer,
    Samples,
    State,
    Step,
)
from scratch.kernels.masks import Masks, drop
from scratch.kernels.micro_kernel import Output
from scratch.kernels.packing import Factor, Tile, pack_columns, packed, pieces
from scratch.kernels.plan import UPDATE_COLUMNS, UPDATE_ROWS, UPDATE_STEP
from scratch.kernels.simd import get, matrix_view, put, vector_view
from scratch.kernels.sparsity import GROUP, KC, Block
from scratch.kernels.updates import clip_and_apply, use_bias_gradient, use_gradient
from scratch.kernels.workspace import Workspace
from scratch.pixels import WHITE

Array = NDArray[Any]


class Batch(NamedTuple):
    """Samples ``first`` to ``first + n - 1`` of a job, and the step that is taken with them."""

    first: int
    n: int
    step: Step


@subroutine
def describe(layers: Array, i: int) -> Layer:
    """Return a row of the layer table."""
    row = layers[i]
    offsets = row[5], row[6], row[7], row[8], row[9], row[10], row[11], row[12], row[13]
    return Layer(row[0], row[1], row[2], row[3], row[4], *offsets)


@inlined
def run_chunk(job: Job, number: int, chunk: int, space: Workspace) -> bool:
    """Execute one chunk of a pass.

    Args:
        job: the training steps.
        number: of the pass, counted over all steps.
        chunk: of the pass.
        space: of this thread.

    Returns:
        False if the step must not update the parameters, because a loss of its batch is infinite or NaN.
    """
    pass_starts, operations, layers = job.pass_starts, job.operations, job.layers
    passes, batch_size, samples = len(pass_starts) - 1, job.batch_size, len(job.order)
    step, number = number // passes, number % passes
    first = step * batch_size
    batch = Batch(first, min(batch_size, samples - first), Step(job.steps[step, 0], job.steps[step, 1]))
    if operations[pass_starts[number], KIND] == UPDATE and not _losses_are_finite(job.losses, batch):
        return False
    for i in range(pass_starts[number], pass_starts[number + 1]):
        kind, index = operations[i, KIND], operations[i, LAYER]
        layer = describe(layers, index)
        tile = _tile(kind, layer, batch.n, job.chunks, chunk)
        if kind == GATHER:
            place = layer.x + chunk * layer.x_step
            _gather(job.samples, job.order, job.state.activations, layer, batch, tile, place)
            if job.masks.starts[0] >= 0:
                places = place, place, layer.inputs
                drop(job.masks, index, batch.first, tile, job.state.activations, places)
        elif kind == FORWARD:
            _forward(job.state, layer, batch, tile, chunk, job.chunks, space)
        elif kind == ACTIVATE:
            _activate(job.state.activations, job.masks, job.layers, index, batch, tile)
        elif kind == LOSS:
            _loss(job.state.activations, job.t, job.losses, job.probabilities, layer, batch, tile)
        elif kind == BACKWARD:
            _backward(job.state, job.masks, job.layers, index, batch, tile, space)
        elif kind == UPDATE:
            _update(job.rule, job.state, layer, batch, tile, chunk, space)
        elif kind == APPLY:
            clip_and_apply(job.rule, batch.step, job.state, layer, tile, chunk == 0)
    return True


@subroutine
def _losses_are_finite(losses: Array, batch: Batch) -> bool:
    nonfinite = 0
    for i in range(batch.first, batch.first + batch.n):
        nonfinite += losses[i] - losses[i] != 0  # ∞ - ∞ and NaN - NaN are NaN
    return nonfinite == 0


@inlined
def _gather(samples: Samples, order: Array, x: Array, layer: Layer, batch: Batch, tile: Tile, place: Int) -> None:
    """Copy a tile of the batch's samples to x, from ``place`` on, where the first layer reads it in x's dtype."""
    (i0, i1, k0, k1), D = tile, layer.inputs
    for i in range(i0, i1):
        source, destination = order[batch.first + i] * D + k0, place + i * D + k0
        if len(samples.float32) > 0:
            copy(samples.float32, source, x, destination, k1 - k0)
        elif len(samples.float64) > 0:
            copy(samples.float64, source, x, destination, k1 - k0)
        else:
            _scale_pixels(samples.pixels, source, x, destination, k1 - k0)


@subroutine
def _scale_pixels(pixels: Array, start: int, x: Array, place: Int, count: Int) -> None:
    """Copy bytes as numbers 0 to 1, as ``Pixels.astype`` converts them."""
    for i in range(count):
        put(x, place + i, np.float32(get(pixels, start + i)) / WHITE)


@inlined
def _forward(state: State, layer: Layer, batch: Batch, tile: Tile, chunk: int, chunks: int, space: Workspace) -> None:
    """Compute the sums of x W + b; if the layer is partitioned by inputs, one of the two."""
    (i0, _, j0, j1), H, n = tile, layer.units, batch.n
    x = matrix_view(state.activations, layer.x + chunk * layer.x_step, n, layer.inputs)
    W = matrix_view(state.parameters, layer.W, layer.inputs, H)
    for number in range(2):
        first, last = _sum_range(layer, number)
        if first < last and (layer.partition != BY_INPUTS or number == _sum_of(chunk, chunks)):
            C = Output(state.activations, (layer.second if number else layer.out) + i0 * H + j0, H, j1 - j0)
            b = Bias(state.parameters, np.int64(-1) if number else layer.b)
            product_tile(Factor(x, np.bool_(False)), Factor(W, np.bool_(False)), b, (first, last, tile), C, space)


@inlined
def _sum_of(chunk: int, chunks: int) -> int:
    """Return which sum of a layer that is partitioned by inputs a chunk computes: the second half of them, sum 1."""
    return 2 * chunk // chunks


@inlined
def _sum_range(layer: Layer, number: Int) -> tuple[Int, Int]:
    """Return the inputs of sum 0 or 1 of x W: the first input, and the one after the last."""
    return (layer.split, layer.inputs) if number else (np.int64(0), layer.split)


@inlined
def _activate(numbers: Array, masks: Masks, layers: Array, index: int, batch: Batch, tile: Tile) -> None:
    """Compute activation(x W + b), from its sums, and what a Dropout after it keeps."""
    layer, (i0, i1, j0, j1) = describe(layers, index), tile
    H = layer.units
    if layer.split < layer.inputs:
        place, columns = i0 * H + j0, j1 - j0
        second, C = Output(numbers, layer.second + place, H, columns), Output(numbers, layer.out + place, H, columns)
        add_sums(second, i1 - i0, C)
    count, length = pieces(tile, H)
    for r in range(count):
        activate(layer.activation, vector_view(numbers, layer.out + (i0 + r) * H + j0, length))
    if masks.starts[index + 1] >= 0:
        places = layer.out, describe(layers, index + 1).x, H
        drop(masks, index + 1, batch.first, tile, numbers, places)


@inlined
def _loss(
    numbers: Array, t: Array, losses: Array, probabilities: Array, layer: Layer, batch: Batch, tile: Tile
) -> None:
    """Compute losses and probabilities, and the gradients with respect to the logits."""
    logits = matrix_view(numbers, layer.out, batch.n, layer.units)
    dz, (start, end, _, _) = matrix_view(numbers, layer.dz, batch.n, layer.units), tile
    n = t.dtype.type(batch.n)
    for i in range(start, end):
        sample = batch.first + i
        losses[sample] = softmax_cross_entropy(logits, i, t, sample, n, probabilities, dz)


@inlined
def _backward(
    state: State, masks: Masks, layers: Array, index: int, batch: Batch, tile: Tile, space: Workspace
) -> None:
    """Compute dz of the layer before, from dz of this layer: activation'(out) · (dz W.T), and the mask if any."""
    layer, before = describe(layers, index), describe(layers, index - 1)
    D, n = layer.inputs, batch.n
    numbers, (i0, _, j0, j1) = state.activations, tile
    dz = matrix_view(numbers, layer.dz, n, layer.units)
    W = matrix_view(state.parameters, layer.W, D, layer.units)
    no_bias, part = Bias(state.parameters, np.int64(-1)), (np.int64(0), layer.units, tile)
    C = Output(numbers, before.dz + i0 * D + j0, D, j1 - j0)
    product_tile(Factor(dz, np.bool_(False)), Factor(W, np.bool_(True)), no_bias, part, C, space)
    if masks.starts[index] >= 0:
        drop(masks, index, batch.first, tile, numbers, (before.dz, before.dz, D))
    count, length = pieces(tile, D)
    for r in range(count):
        start = (i0 + r) * D + j0
        dx, out = vector_view(numbers, before.dz + start, length), vector_view(numbers, before.out + start, length)
        activation_gradient(before.activation, dx, out)


@inlined
def _update(rule: Rule, state: State, layer: Layer, batch: Batch, tile: Tile, chunk: int, space: Workspace) -> None:
    """Compute dW = x.T dz, some rows at a time, and update these rows of W at once; chunk 0 updates b too."""
    n, (i0, i1, j0, j1) = batch.n, tile
    x = matrix_view(state.activations, layer.x + chunk * layer.x_step, n, layer.inputs)
    dz = matrix_view(state.activations, layer.dz, n, layer.units)
    columns = j1 - j0
    is_finite: Bool = np.bool_(True)
    for k in range(0, n, KC):
        last = min(k + KC, n)
        block = packed(space.columns, k, last - k, columns)
        is_finite &= pack_columns(Factor(dz, np.bool_(False)), (k, last, j0, j1), block)
    for i in range(i0, i1, UPDATE_ROWS):
        end = min(i + UPDATE_ROWS, i1)
        clear(space.numbers, np.int64(0), (end - i) * columns)
        C = Output(space.numbers, np.int64(0), columns, columns)
        for k in range(0, n, KC):
            last = min(k + KC, n)
            block = packed(space.columns, k, last - k, columns)
            add_product(Factor(x, np.bool_(True)), Block(i, end, k, last), is_finite, block, C, space)
        use_gradient(rule, batch.step, state, layer, (i, end, j0, j1), space)
    if chunk == 0 and layer.b >= 0:
        sum_columns(dz, space.sums, space.numbers)
        use_bias_gradient(rule, batch.step, state, layer, space)


@subroutine
def _tile(kind: int, layer: Layer, n: int, chunks: int, chunk: int) -> Tile:
    """Return the part of the array that an operation computes, which belongs to a chunk.

    Args:
        kind: of the operation.
        layer: whose inputs, outputs or parameters they are.
        n: number of samples.
        chunks: of the pass.
        chunk: of the pass.
    """
    rows = layer.inputs if kind >= UPDATE else n
    columns = layer.inputs if kind in (GATHER, BACKWARD) else layer.units
    if layer.partition == BY_UNITS:
        if kind == GATHER:
            return 0, rows, np.int64(0), columns
        start, end = _range(columns, np.int64(UPDATE_COLUMNS), chunks, chunk)
        return 0, rows, start, end
    if layer.partition == BY_INPUTS and kind in (GATHER, FORWARD):
        start, end = _range(rows, np.int64(GROUP), chunks // 2, chunk % (chunks // 2))
        first, last = _sum_range(layer, _sum_of(chunk, chunks))
        return (start, end, first, last) if kind == GATHER else (start, end, 0, columns)
    start, end = _range(rows, UPDATE_STEP if kind >= UPDATE else GROUP, chunks, chunk)
    return start, end, 0, columns


@inlined
def _range(size: Int, step: Int, chunks: int, chunk: int) -> tuple[Int, Int]:
    """Return where a chunk of ``size`` rows or columns begins and ends: at multiples of ``step``."""
    length = step * ((size + step * chunks - 1) // (step * chunks))
    return min(chunk * length, size), min((chunk + 1) * length, size)
