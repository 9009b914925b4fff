"""Training steps for Dense layers in a row, a softmax with its cross-entropy, and plain SGD, many of them in one call.

Layer by layer, every operation would wait for all cores to finish the one before, and for Python.  Here a step is a few
passes, in each of which a core does its share.  Of a wide layer, with more units than the batch has samples, that is a
share of the units: forward, a core reads only what it has itself written of W, which is in its cache.  Of the layers
after one another that are not wide it is a share of the samples, all the way forward and back.  The last pass takes its
share of every W from the gradient to the update.  The operations are those of ``numba_ops`` and ``products``, in the
same order: the bits are the same, as long as the weights are finite.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import carray, config, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from scratch.kernels import threads
from scratch.kernels.atomics import claim, count, look
from scratch.kernels.gemm import SHARED, all_finite, copy, product_tile, transposed, writeable
from scratch.kernels.jit import compiled, compiled_as_written, inlined
from scratch.ops import numba_ops as ops
from scratch.pixels import WHITE, Pixels
from scratch.utils import aligned_empty

Array = NDArray[Any]
ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax")  # a row of the table says which by its place here
RELU, SIGMOID, TANH = map(ACTIVATIONS.index, ("relu", "sigmoid", "tanh"))
INPUTS, UNITS, ACTIVATION, BY_UNITS, W_AT, B_AT, X_AT, OUT_AT, DZ_AT = range(9)  # columns; the last are addresses
LINE = 8  # numbers in a line of the cache, which cores don't share without need
DONE, STOPPED, BAD, BEGUN = (i * LINE for i in range(4))  # in ``Work.progress``; the last for the first of the shares
NARROW = 256  # units that a share of a wide layer has: of fewer, a core would fetch its neighbour's ahead of time
UNIT = 16  # multiplications that take as long as an activation
PANEL = 64  # columns, or a multiple of those, that a product takes at once
BLOCK = 1 << 16  # numbers of W that are turned round, or of dW, at once: they should stay in the cache
NAP = 50e-6  # seconds between two looks for a core that does something else


class Work(NamedTuple):
    """Some steps, for all cores that take part in them.

    Attributes:
        table: of each layer, what the columns above say.
        passes: the first operation of each pass of a step: L times forward, L - 1 times backward, and the update.
        samples: of the weights' dtype (N, D); or none, if there are ``pixels``.
        pixels: bytes (N, D), or none.
        order: which samples, one batch after the other (n,).
        t: their targets (n, C).
        losses: of each (n,), from before the update of its batch.
        probabilities: of each (n, C), likewise.
        x: the samples of one batch (1, batch_size, D), or once for each share if the first layer is wide.
        shares: in how many parts each pass is shared out.
        learning_rate: η.
        careful: whether to stop before the update of a batch that has a loss that is not finite.
        progress: how many shares of passes have been done; whether it was stopped; whether an update has made a weight
            infinite or NaN; how many passes of each share have begun.
    """

    table: Array
    passes: Array
    samples: Array
    pixels: Array
    order: Array
    t: Array
    losses: Array
    probabilities: Array
    x: Array
    shares: int
    learning_rate: float
    careful: bool
    progress: Array


class FusedStep:
    """Forward, backward and update, for one batch after the other.

    Args:
        weights: W (inputs, units) and b (units,) or None of each layer, first to last, all of one dtype.
        activations: what follows each layer; after the last that is the softmax.
    """

    def __init__(self, weights: Sequence[tuple[Array, Array | None]], activations: Sequence[str]) -> None:
        self.weights = list(weights)
        self.activations = list(activations)
        self.dtype = weights[0][0].dtype
        self.work = sum(W.size + UNIT * W.shape[1] for W, _ in weights)  # in multiplications, for one sample
        self.room = 0, 0  # shares and samples that there is room for
        self.steps = 0  # taken by the last ``train``, also if that raised an exception

    def is_for(self, weights: Sequence[tuple[Array, Array | None]], activations: Sequence[str]) -> bool:
        """Whether these very arrays are its weights."""
        return (
            len(weights) == len(self.weights)
            and all(W is V and b is c for (W, b), (V, c) in zip(weights, self.weights, strict=True))
            and self.activations == activations
        )

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # it holds addresses, which mean nothing in a copy or in another process

    def reads(self, x: Array | Pixels) -> bool:
        """Whether these samples can be read where they lie; else they are copied."""
        rows, dtype = (x.bytes, np.uint8) if isinstance(x, Pixels) else (x, self.dtype)
        return rows.flags.carray and rows.dtype == dtype

    def train(
        self, x: Array | Pixels, order: Array, t: Array, batch_size: int, learning_rate: float, careful: bool
    ) -> tuple[int, Array, Array]:
        """Take as many steps as it needs for those samples, unless it is stopped.

        Args:
            x: samples (N, …), which are unrolled to rows of D.
            order: which of them (n,).
            t: their targets (n, C), of the weights' dtype.
            batch_size: samples in a step; the last may have fewer.
            learning_rate: η, of the updates.
            careful: whether to stop before the update of a batch that has a loss that is not finite.

        Returns:
            Number of whole steps; loss (n,) and probabilities (n, C) of each sample, from before its batch's update.
        """
        self.steps = 0
        if not self.reads(x):
            x, order = writeable(x[order].astype(self.dtype)), np.arange(len(order))
        rows = (x.bytes if isinstance(x, Pixels) else x).reshape(len(x), -1)
        inputs = len(self.weights[0][0])
        if rows.shape[1] != inputs:
            raise ValueError(f"The first layer expects rows of {inputs}; got x of shape {x.shape}.")
        batch_size = min(batch_size, len(order))
        shares = self._shares(batch_size)
        if (shares, batch_size) != self.room:
            self._make_room(shares, batch_size)
        samples, pixels = np.empty((0, inputs), self.dtype), np.empty((0, inputs), np.uint8)
        if isinstance(x, Pixels):
            pixels = rows
        else:
            samples = rows
        losses, probabilities = np.empty(len(t), self.dtype), np.empty(t.shape, self.dtype)
        progress = np.zeros(BEGUN + LINE * shares, np.int64)
        data = samples, pixels, order, writeable(t), losses, probabilities, self.x
        work = Work(self.table, self.passes, *data, shares, learning_rate, careful, progress)
        try:
            threads.run([partial(_stay, work, i) for i in range(shares)])
        finally:
            self.steps = int(progress[DONE]) // (shares * len(self.passes))
        return self.steps, losses, probabilities

    def _shares(self, n: int) -> int:
        """In how many parts a batch of n is worth being shared out."""
        widest = max(W.shape[1] for W, _ in self.weights)
        return 1 if n * self.work < SHARED else max(1, min(config.NUMBA_NUM_THREADS, max(n // 16, widest // NARROW)))

    def _make_room(self, shares: int, n: int) -> None:
        """Lay out the inputs, the outputs and the gradients of every layer for n samples, and plan the passes."""
        self.room = 0, 0  # as long as it is not whole
        wide = [shares > 1 and W.shape[1] >= max(n, shares * NARROW) for W, _ in self.weights[:-1]] + [False]
        self.x = aligned_empty((shares if wide[0] else 1, n, len(self.weights[0][0])), self.dtype)
        self.flow = [[aligned_empty((n, W.shape[1]), self.dtype) for W, _ in self.weights] for _ in ("out", "dz")]
        self.table = np.zeros((len(self.weights), 9), np.int64)
        for i, (W, b) in enumerate(self.weights):
            arrays = W, b, self.flow[0][i - 1], self.flow[0][i], self.flow[1][i]  # the first layer's X_AT isn't used
            addresses = [0 if array is None else array.ctypes.data for array in arrays]
            self.table[i] = (*W.shape, ACTIVATIONS.index(self.activations[i]), wide[i], *addresses)
        operations = wide + wide[:0:-1]
        alone = [i for i in range(1, len(operations)) if operations[i - 1] or operations[i]]
        self.passes = np.array([0, *alone, len(operations)])
        self.room = shares, n


def _stay(work: Work, share: int) -> None:
    """Take part until all is done."""
    try:
        while not _take_part(work, share, threads.bell, threads.looks()):
            time.sleep(NAP)
    except Exception:  # there was no memory; what was begun will not be done, so nobody may wait for it
        work.progress[STOPPED] = 1
        raise


@intrinsic
def _pointer(typing_context: Any, address: Any, like: Any) -> Any:
    """The address, as a pointer to numbers of the dtype of ``like``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(like.dtype)(types.int64, like), generate


@inlined
def _rows(table: Array, layer: int, column: int, rows: int, columns: int, like: Array) -> Array:
    """The array (rows, columns) whose address is in that place of the table."""
    return carray(_pointer(table[layer, column], like), (rows, columns))


@compiled
def _take_part(work: Work, own: int, bell: Array, looks: int) -> bool:
    """Do shares of the passes as long as there are any; False if nothing was left to begin for a while.

    A pass begins when all shares of the one before are done.  Whoever is there first takes its own share, which it has
    in its cache, and then those that nobody has begun: a core that hasn't come is not waited for.
    """
    count(bell, 0)
    shares, passes, tries = work.shares, len(work.passes), looks
    steps = (len(work.order) + work.x.shape[1] - 1) // work.x.shape[1]
    while tries > 0:
        tries -= 1
        now = look(work.progress, DONE) // shares
        if now == steps * passes or look(work.progress, STOPPED) > 0:
            return True
        for i in range(shares):
            share = (own + i) % shares
            place = BEGUN + LINE * share
            if look(work.progress, place) == now and claim(work.progress, place, now):
                if not _pass(work, now // passes, now % passes, share):
                    count(work.progress, STOPPED)
                    return True
                count(work.progress, DONE)
                tries = looks
                break
    return False


@inlined
def _pass(work: Work, step: int, number: int, share: int) -> bool:
    """One share of a pass; False if it must not be done."""
    first, layers = step * work.x.shape[1], len(work.table)
    n = min(work.x.shape[1], len(work.order) - first)
    if number == len(work.passes) - 1:
        if work.careful and not all_finite(work.losses.reshape(1, -1), 0, 1, first, first + n):
            return False
        for i in range(layers):
            _descend(work, i, n, share)
        return True
    for operation in range(work.passes[number], work.passes[number + 1]):
        if operation == 0:
            _gather(work, first, n, share)
        finite = step > 0 and look(work.progress, BAD) == 0  # what the first step can't know, it looks at
        if operation < layers:
            _forward(work, operation, n, share, finite)
        else:
            _backward(work, 2 * layers - 1 - operation, n, share, finite)
        if operation == layers - 1:
            _loss(work, first, n, share)
    return True


@inlined
def _shared(i: int, shares: int, size: int, unit: int) -> tuple[int, int]:
    """Where one of equal shares begins and ends, in multiples of the unit."""
    part = unit * ((size + unit * shares - 1) // (unit * shares))
    return min(i * part, size), min((i + 1) * part, size)


@inlined
def _part(work: Work, layer: int, rows: int, columns: int, share: int) -> tuple[int, int, int, int]:
    """First and last row, first and last column of a share: of the columns if the layer is shared out by units."""
    if work.table[layer, BY_UNITS]:
        j0, j1 = _shared(share, work.shares, columns, PANEL)
        return 0, rows, j0, j1
    i0, i1 = _shared(share, work.shares, rows, 4)  # the rows that a product takes at once
    return i0, i1, 0, columns


@inlined
def _inputs(work: Work, layer: int, n: int, share: int) -> Array:
    """What the layer gets; each share has its own copy of the samples if it needs all of them."""
    if layer == 0:
        return work.x[share if work.table[0, BY_UNITS] else 0][:n]
    return _rows(work.table, layer, X_AT, n, work.table[layer, INPUTS], work.t)


@inlined
def _no(n: int) -> bool:
    """False, but no constant, for which Numba would compile a kernel anew."""
    return n < 0


@inlined
def _gather(work: Work, first: int, n: int, share: int) -> None:
    """The samples of the batch, or the share's."""
    i0, i1, _, _ = _part(work, 0, n, 0, share)
    x = _inputs(work, 0, n, share)
    for r in range(i0, i1):
        row = work.order[first + r]
        if len(work.pixels) > 0:
            _unpack(work.pixels[row], x[r])
        else:
            copy(work.samples[row], x[r])


@inlined
def _forward(work: Work, layer: int, n: int, share: int, finite: bool) -> None:
    """One share of activation(x W + b)."""
    table, like = work.table, work.t
    D, H = table[layer, INPUTS], table[layer, UNITS]
    i0, i1, j0, j1 = _part(work, layer, n, H, share)
    x, out = _inputs(work, layer, n, share), _rows(table, layer, OUT_AT, n, H, like)
    bias = np.zeros(H, like.dtype)
    if table[layer, B_AT] != 0:
        copy(_rows(table, layer, B_AT, 1, H, like)[0], bias)
    product_tile(x, _no(n), _rows(table, layer, W_AT, D, H, like), finite, bias, out[i0:i1], i0, i1, j0, j1)
    for r in range(i0, i1):
        _activate(table[layer, ACTIVATION], out[r, j0:j1])


@inlined
def _loss(work: Work, first: int, n: int, share: int) -> None:
    """The losses of one share of the samples, and their gradients with respect to the logits."""
    layer, C = len(work.table) - 1, work.t.shape[1]
    out, dz = _rows(work.table, layer, OUT_AT, n, C, work.t), _rows(work.table, layer, DZ_AT, n, C, work.t)
    i0, i1, _, _ = _part(work, layer, n, C, share)
    for r in range(i0, i1):
        k = first + r
        work.losses[k] = _softmax_cross_entropy(out[r], work.t[k], work.t.dtype.type(n), work.probabilities[k], dz[r])


@inlined
def _backward(work: Work, layer: int, n: int, share: int, finite: bool) -> None:
    """One share of the gradient with respect to what the layer before it gave to its activation."""
    table, like = work.table, work.t
    D, H = table[layer, INPUTS], table[layer, UNITS]
    i0, i1, j0, j1 = _part(work, layer, n, D, share)
    dz, W = _rows(table, layer, DZ_AT, n, H, like), _rows(table, layer, W_AT, D, H, like)
    out, before = _rows(table, layer, X_AT, n, D, like), _rows(table, layer - 1, DZ_AT, n, D, like)
    block = max(PANEL, BLOCK // H // PANEL * PANEL)
    for j in range(j0, j1, block):
        end = min(j + block, j1)
        if n < ops.FEW:
            dx = ops.row_products(dz[i0:i1], W[j:end])
        else:
            dx = np.empty((i1 - i0, end - j), like.dtype)
            bias = np.zeros(end - j, like.dtype)
            product_tile(dz, _no(n), transposed(W[j:end]), finite, bias, dx, i0, i1, j - j, end - j)
        for r in range(i0, i1):
            _activate_backward(table[layer - 1, ACTIVATION], dx[r - i0], out[r, j:end], before[r, j:end])


@compiled
def _unpack(pixels: Array, x: Array) -> None:
    """As ``Pixels`` does it."""
    for i in range(len(x)):
        x[i] = np.float32(pixels[i]) / WHITE


@compiled
def _softmax_cross_entropy(logits: Array, t: Array, samples: Any, probabilities: Array, dz: Array) -> Any:
    """The loss of one sample, which is returned, its probabilities and its gradient, from one row of exponentials."""
    largest = ops.exponentials(logits, probabilities)
    total, weight, loss = probabilities.astype(np.float64).sum(), t.astype(np.float64).sum(), 0.0
    log_total = np.log(total)
    for c in range(len(t)):
        loss -= t[c] * ((logits[c] - largest) - log_total)
        probabilities[c] /= total
        dz[c] = logits.dtype.type(probabilities[c] * weight - t[c]) / samples
    return loss


@compiled
def _activate(kind: int, z: Array) -> None:
    if kind == RELU:
        for i in range(len(z)):
            z[i] = ops.relu(z[i])
    elif kind == SIGMOID:
        for i in range(len(z)):
            z[i] = ops.sigmoid(z[i])
    elif kind == TANH:
        for i in range(len(z)):
            z[i] = np.tanh(z[i])


@compiled
def _activate_backward(kind: int, dout: Array, out: Array, dz: Array) -> None:
    if kind == RELU:
        for i in range(len(dz)):
            dz[i] = ops.relu_gradient(dout[i], out[i])
    elif kind == SIGMOID:
        for i in range(len(dz)):
            dz[i] = ops.sigmoid_gradient(dout[i], out[i])
    elif kind == TANH:
        for i in range(len(dz)):
            dz[i] = ops.tanh_gradient(dout[i], out[i])
    else:
        copy(dout, dz)


@inlined
def _descend(work: Work, layer: int, n: int, share: int) -> None:
    """One share of W ← W − η·dW; and b ← b − η·db with the first."""
    table, like, rate = work.table, work.t, work.t.dtype.type(work.learning_rate)
    D, H = table[layer, INPUTS], table[layer, UNITS]
    i0, i1, j0, j1 = _part(work, layer, D, H, share)
    x, dz = _inputs(work, layer, n, share), _rows(table, layer, DZ_AT, n, H, like)
    W, block = _rows(table, layer, W_AT, D, H, like), max(PANEL, BLOCK // H // PANEL * PANEL)
    dW, finite = np.empty((block, H), like.dtype), all_finite(dz, 0, n, j0, j1)
    for i in range(i0, i1, block):
        end = min(i + block, i1)
        product_tile(x, not _no(n), dz, finite, np.zeros(H, like.dtype), dW, i, end, j0, j1)
        bad = 0
        if j1 - j0 == H:  # in one row, which is faster
            bad += _step(W[i:end].reshape(-1), dW[: end - i].reshape(-1), rate)
        else:
            for r in range(i, end):
                bad += _step(W[r, j0:j1], dW[r - i, j0:j1], rate)
        if bad > 0:
            count(work.progress, BAD)
    if share == 0 and table[layer, B_AT] != 0:
        _step(_rows(table, layer, B_AT, 1, H, like)[0], ops.column_sums(dz), rate)


@compiled_as_written  # as SGD.update rounds
def _step(W: Array, dW: Array, rate: float) -> Any:
    """Update some weights; return how many are infinite or NaN now."""
    bad = np.int32(0)
    for i in range(len(W)):
        W[i] -= rate * dW[i]
        bad += np.int32(W[i] - W[i] != 0)
    return bad
