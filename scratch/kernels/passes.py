"""The passes of a fused training step, compiled: what one worker does with one chunk.

The operations are those of ``numba_ops`` and ``gemm``, applied to a part of each array and in the same order, so that a
fused step and a step layer by layer give the same bits, as long as the weights are finite.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import carray, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from scratch.kernels.arrays import (
    MIN_ROWS_TO_TRANSPOSE,
    all_finite,
    column_sums,
    copy,
    product_with_transpose,
    transposed,
)
from scratch.kernels.atomics import fetch_add, load
from scratch.kernels.elementwise import activate, activation_gradient, softmax_cross_entropy
from scratch.kernels.gemm import Tile, product_tile
from scratch.kernels.jit import compiled, compiled_without_fma, inlined
from scratch.kernels.plan import (
    ACTIVATION,
    B_ADDRESS,
    BACKWARD,
    BY_UNITS,
    DZ_ADDRESS,
    FORWARD,
    GATHER,
    INPUTS,
    KIND,
    LAYER,
    LOSS,
    OUT_ADDRESS,
    UNITS,
    UPDATE,
    W_ADDRESS,
    Job,
)
from scratch.kernels.simd import MR
from scratch.pixels import WHITE

Array = NDArray[Any]
COLUMN_STEP = 64  # chunks of columns begin at multiples of it: whole panels of a product
BLOCK_SIZE = 1 << 16  # numbers of W that are transposed, or of dW that are computed, at once: they stay in the cache


class Batch(NamedTuple):
    """Samples ``first`` to ``first + n - 1`` of a job."""

    first: int
    n: int


@inlined
def run_chunk(job: Job, number: int, chunk: int) -> bool:
    """Execute one chunk of one pass; return False, and do nothing, if the loss of the batch forbids its update.

    Args:
        job: the training steps.
        number: of the pass, counted from the first pass of the first step.
        chunk: which part of the pass.
    """
    passes, batch_size = len(job.pass_starts) - 1, job.x.shape[1]
    step, number = number // passes, number % passes
    first = step * batch_size
    batch = Batch(first, min(batch_size, len(job.order) - first))
    is_update = number == passes - 1
    if is_update and not _losses_are_finite(job, batch):
        return False
    # The first step does not know whether the weights are finite, and lets the product scan them.
    finite = step > 0 and load(job.progress.nonfinite_weights) == 0
    for i in range(job.pass_starts[number], job.pass_starts[number + 1]):
        kind, layer = job.operations[i, KIND], job.operations[i, LAYER]
        if kind == GATHER:
            _gather(job, layer, batch, chunk)
        elif kind == FORWARD:
            _forward(job, layer, batch, chunk, finite)
        elif kind == LOSS:
            _loss(job, layer, batch, chunk)
        elif kind == BACKWARD:
            _backward(job, layer, batch, chunk, finite)
        elif kind == UPDATE:
            _update(job, layer, batch, chunk)
    return True


@inlined
def _losses_are_finite(job: Job, batch: Batch) -> bool:
    return all_finite(job.losses.reshape(1, -1), np.int64(0), np.int64(1), batch.first, batch.first + batch.n)


@inlined
def _gather(job: Job, layer: int, batch: Batch, chunk: int) -> None:
    """Copy the samples of the batch, or the chunk's, to where the first layer reads them."""
    i0, i1, _, _ = _tile(job, layer, batch.n, job.layers[layer, INPUTS], chunk)
    x = _inputs(job, layer, batch.n, chunk)
    for i in range(i0, i1):
        row = job.order[batch.first + i]
        if len(job.pixels) > 0:
            _scale_pixels(job.pixels[row], x[i])
        else:
            copy(job.samples[row], x[i])


@inlined
def _forward(job: Job, layer: int, batch: Batch, chunk: int, finite: bool) -> None:
    """Compute activation(x W + b)."""
    H = job.layers[layer, UNITS]
    i0, i1, j0, j1 = _tile(job, layer, batch.n, H, chunk)
    x, W, out = _inputs(job, layer, batch.n, chunk), _weights(job, layer), _outputs(job, layer, batch.n)
    bias = np.zeros(H, job.t.dtype)
    if job.layers[layer, B_ADDRESS] != 0:
        copy(_bias(job, layer), bias)
    product_tile(x, np.bool_(False), W, finite, bias, (i0, i1, j0, j1), out[i0:i1])
    for i in range(i0, i1):
        activate(job.layers[layer, ACTIVATION], out[i, j0:j1])


@inlined
def _loss(job: Job, layer: int, batch: Batch, chunk: int) -> None:
    """Compute losses and probabilities, and the gradients with respect to the logits."""
    logits, dz = _outputs(job, layer, batch.n), _gradients(job, layer, batch.n)
    i0, i1, _, _ = _tile(job, layer, batch.n, job.layers[layer, UNITS], chunk)
    n = job.t.dtype.type(batch.n)
    for i in range(i0, i1):
        sample = batch.first + i
        loss = softmax_cross_entropy(logits[i], job.t[sample], n, job.probabilities[sample], dz[i])
        job.losses[sample] = loss


@inlined
def _backward(job: Job, layer: int, batch: Batch, chunk: int, finite: bool) -> None:
    """Compute dz of the layer before, from dz of this layer: activation'(out) · (dz W.T)."""
    D, H, n = job.layers[layer, INPUTS], job.layers[layer, UNITS], batch.n
    i0, i1, j0, j1 = _tile(job, layer, n, D, chunk)
    dz, W = _gradients(job, layer, n), _weights(job, layer)
    out, dz_before = _outputs(job, layer - 1, n), _gradients(job, layer - 1, n)
    step = _block_rows(H)
    for j in range(j0, j1, step):
        end = min(j + step, j1)
        if n < MIN_ROWS_TO_TRANSPOSE:
            dx = product_with_transpose(dz[i0:i1], W[j:end])
        else:
            dx, zeros = np.empty((i1 - i0, end - j), W.dtype), np.zeros(end - j, W.dtype)
            tile = i0, i1, np.int64(0), end - j
            product_tile(dz, np.bool_(False), transposed(W[j:end]), finite, zeros, tile, dx)
        for i in range(i0, i1):
            activation = job.layers[layer - 1, ACTIVATION]
            activation_gradient(activation, dx[i - i0], out[i, j:end], dz_before[i, j:end])


@inlined
def _update(job: Job, layer: int, batch: Batch, chunk: int) -> None:
    """Compute dW = x.T dz block by block, and apply each block to W at once; chunk 0 updates b too."""
    D, H, dtype = job.layers[layer, INPUTS], job.layers[layer, UNITS], job.t.dtype
    i0, i1, j0, j1 = _tile(job, layer, D, H, chunk)
    x, W, dz = _inputs(job, layer, batch.n, chunk), _weights(job, layer), _gradients(job, layer, batch.n)
    learning_rate, step = dtype.type(job.learning_rate), _block_rows(H)
    finite = all_finite(dz, np.int64(0), batch.n, j0, j1)
    dW, zeros = np.empty((step, H), dtype), np.zeros(H, dtype)
    for i in range(i0, i1, step):
        end = min(i + step, i1)
        product_tile(x, np.bool_(True), dz, finite, zeros, (i, end, j0, j1), dW)
        nonfinite = 0
        if j1 - j0 == H:  # complete rows are one contiguous array, and one loop is faster
            nonfinite += apply_update(W[i:end].reshape(-1), dW[: end - i].reshape(-1), learning_rate)
        else:
            for r in range(i, end):
                nonfinite += apply_update(W[r, j0:j1], dW[r - i, j0:j1], learning_rate)
        if nonfinite > 0:
            fetch_add(job.progress.nonfinite_weights, 1)
    if chunk == 0 and job.layers[layer, B_ADDRESS] != 0:
        apply_update(_bias(job, layer), column_sums(dz), learning_rate)


@compiled_without_fma  # SGD.update rounds the product and the difference separately
def apply_update(W: Array, dW: Array, learning_rate: float) -> Any:
    """Subtract η·dW from W, both 1-D; return how many weights are infinite or NaN afterwards."""
    nonfinite = np.int32(0)
    for i in range(len(W)):
        W[i] -= learning_rate * dW[i]
        nonfinite += np.int32(W[i] - W[i] != 0)
    return nonfinite


@compiled
def _scale_pixels(pixels: Array, x: Array) -> None:
    """Convert bytes to numbers 0 to 1, as ``Pixels.astype`` does."""
    for i in range(len(x)):
        x[i] = np.float32(pixels[i]) / WHITE


@compiled
def _tile(job: Job, layer: int, rows: int, columns: int, chunk: int) -> Tile:
    """Return the part of an array that belongs to a chunk: some columns if partitioned by units, else some rows."""
    by_units = job.layers[layer, BY_UNITS] != 0
    size, step = (columns, COLUMN_STEP) if by_units else (rows, MR)
    length = step * ((size + step * job.chunks - 1) // (step * job.chunks))
    start, end = min(chunk * length, size), min((chunk + 1) * length, size)
    i0, i1, j0, j1 = 0, rows, 0, columns
    if by_units:
        j0, j1 = start, end
    else:
        i0, i1 = start, end
    return i0, i1, j0, j1


@inlined
def _block_rows(columns: int) -> int:
    """Return how many rows of so many numbers are a block."""
    return max(COLUMN_STEP, BLOCK_SIZE // columns // COLUMN_STEP * COLUMN_STEP)


@compiled
def _inputs(job: Job, layer: int, n: int, chunk: int) -> Array:
    """Return the inputs of a layer (n, inputs)."""
    if layer == 0:
        return job.x[chunk if job.layers[0, BY_UNITS] else 0][:n]
    return _outputs(job, layer - 1, n)


@compiled
def _outputs(job: Job, layer: int, n: int) -> Array:
    """Return the outputs of a layer, which are logits before the last activation (n, units)."""
    return carray(_pointer(job.layers[layer, OUT_ADDRESS], job.t), (n, job.layers[layer, UNITS]))


@compiled
def _gradients(job: Job, layer: int, n: int) -> Array:
    """Return dz, the gradients with respect to x W + b (n, units)."""
    return carray(_pointer(job.layers[layer, DZ_ADDRESS], job.t), (n, job.layers[layer, UNITS]))


@compiled
def _weights(job: Job, layer: int) -> Array:
    """Return W (inputs, units)."""
    shape = job.layers[layer, INPUTS], job.layers[layer, UNITS]
    return carray(_pointer(job.layers[layer, W_ADDRESS], job.t), shape)


@compiled
def _bias(job: Job, layer: int) -> Array:
    """Return b (units,)."""
    return carray(_pointer(job.layers[layer, B_ADDRESS], job.t), (1, job.layers[layer, UNITS]))[0]


@intrinsic
def _pointer(typing_context: Any, address: Any, like: Any) -> Any:
    """Return the address as a pointer to numbers of the dtype of ``like``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(like.dtype)(types.int64, like), generate
