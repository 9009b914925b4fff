"""A training step in two parallel passes, for Dense layers in a row, a softmax with its cross-entropy, and plain SGD.

Layer by layer, every operation would wait for all cores to finish the one before.  Here each core takes its share of
the samples all the way forward and back; when all have arrived, its share of every W all the way from the gradient to
the update, so that the gradient never leaves the cache.  The operations are those of ``numba_ops`` and ``products``, in
the same order: the bits are the same.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numba import carray, config, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from scratch.ops import numba_ops as ops
from scratch.ops import threads
from scratch.ops.atomic import count, look
from scratch.ops.compiler import compiled, compiled_as_written, inlined
from scratch.ops.products import SHARED, product_tile, transposed, writeable
from scratch.pixels import WHITE, Pixels
from scratch.utils import aligned_empty

Array = NDArray[Any]
ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax")  # a row of the table says which by its place here
RELU, SIGMOID, TANH = map(ACTIVATIONS.index, ("relu", "sigmoid", "tanh"))
NO_PIXELS = np.empty((0, 0), np.uint8)
BEGUN, ARRIVED, LOOKS = range(3)  # how many shares of a step have, and how often to look for the others
INPUTS, UNITS, ACTIVATION, W_AT, B_AT, X_AT, OUT_AT, DZ_AT = range(8)  # columns of the table; the last are addresses


class FusedStep:
    """Forward and backward for one batch, then the update.

    Args:
        weights: W (inputs, units) and b (units,) or None of each layer, first to last, all of one dtype.
        activations: what follows each layer; after the last that is the softmax.
    """

    def __init__(self, weights: Sequence[tuple[Array, Array | None]], activations: Sequence[str]) -> None:
        self.weights = list(weights)
        self.activations = list(activations)
        self.dtype = weights[0][0].dtype
        self.work = sum(W.size for W, _ in weights)
        self.capacity = 0
        self.rest: list[threads.Task] = []

    def is_for(self, weights: Sequence[tuple[Array, Array | None]], activations: Sequence[str]) -> bool:
        """Whether these very arrays are its weights."""
        return (
            len(weights) == len(self.weights)
            and all(W is V and b is c for (W, b), (V, c) in zip(weights, self.weights, strict=True))
            and self.activations == activations
        )

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # it holds addresses, which mean nothing in a copy or in another process

    def forward_backward(self, x: Array | Pixels, t: Array, learning_rate: float) -> tuple[Array, Array]:
        """Loss of each sample (N,) and probabilities (N, C), from before the update, most of which may be done already.

        Args:
            x: samples (N, …), which are unrolled to rows of D.
            t: targets (N, C), of the weights' dtype.
            learning_rate: η, of the update.
        """
        n = len(x)
        rows = (x.bytes if isinstance(x, Pixels) else x).reshape(n, -1)
        if rows.shape[1] != len(self.weights[0][0]):
            raise ValueError(f"The first layer expects rows of {len(self.weights[0][0])}; got x of shape {x.shape}.")
        if n > self.capacity:
            self._make_room(n)
        pixels: Array = NO_PIXELS
        if isinstance(x, Pixels):
            pixels, x = writeable(rows), self.unpacked[:n]
        else:
            x = writeable(rows.astype(self.dtype, copy=False))
        self.table[0, X_AT] = x.ctypes.data
        losses, probabilities = np.empty(n, self.dtype), np.empty(t.shape, self.dtype)
        shares = self._shares(n)
        late = np.ones(shares, np.bool_)
        meeting = np.array([0, 0, threads.looks()])
        arguments = self.table, pixels, x, t, losses, probabilities, learning_rate, threads.bell, meeting, late
        threads.run([partial(_share_of_step, *arguments, i, shares) for i in range(shares)])
        arguments_late = self.table, x, n, learning_rate, threads.bell
        self.rest = [partial(_late_descend, *arguments_late, i, shares) for i in range(shares) if late[i]]
        return losses, probabilities

    def update(self) -> None:
        """What is left to do of W ← W − η·dW and b ← b − η·db: all of it if a loss is not finite."""
        if self.rest:
            threads.run(self.rest)
            self.rest = []

    def _shares(self, n: int) -> int:
        """In how many parts a batch of n is worth being shared out."""
        return 1 if n * self.work < SHARED else max(1, min(config.NUMBA_NUM_THREADS, n // 16))

    def _make_room(self, n: int) -> None:
        """Lay out the outputs and the gradients of every layer for n samples, and write down where all of it is."""
        self.capacity = n
        self.unpacked = aligned_empty((n, len(self.weights[0][0])), self.dtype)
        self.flow = [[aligned_empty((n, W.shape[1]), self.dtype) for W, _ in self.weights] for _ in ("out", "dz")]
        self.table = np.zeros((len(self.weights), 8), np.int64)
        for i, (W, b) in enumerate(self.weights):
            out, dz = self.flow[0][i], self.flow[1][i]
            kind = ACTIVATIONS.index(self.activations[i])
            b_at = 0 if b is None else b.ctypes.data
            x_at = self.flow[0][i - 1].ctypes.data
            self.table[i] = (*W.shape, kind, W.ctypes.data, b_at, x_at, out.ctypes.data, dz.ctypes.data)


@compiled
def _share(i: int, shares: int, rows: int) -> tuple[int, int]:
    """First and last row of one of equal shares, in multiples of four: the rows that a product takes at once."""
    size = 4 * ((rows + 4 * shares - 1) // (4 * shares))
    return min(i * size, rows), min((i + 1) * size, rows)


@intrinsic
def _pointer(typing_context: Any, address: Any, like: Any) -> Any:
    """The address, as a pointer to numbers of the dtype of ``like``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(like.dtype)(types.int64, like), generate


@compiled
def _rows(table: Array, layer: int, column: int, rows: int, columns: int, like: Array) -> Array:
    """The array (rows, columns) whose address is in that place of the table."""
    return carray(_pointer(table[layer, column], like), (rows, columns))


@compiled
def _share_of_step(
    table: Array,
    pixels: Array,
    x: Array,
    t: Array,
    losses: Array,
    probabilities: Array,
    learning_rate: float,
    bell: Array,
    meeting: Array,
    late: Array,
    share: int,
    shares: int,
) -> None:
    """One share of both passes, if the other cores are no more than a moment late with the first; else of the first.

    To be woken takes a sleeping core longer than a pass lasts, so a core that is early looks a few times whether all
    have arrived.  It doesn't if some share has not even been begun: then it should be done, not waited for.
    """
    count(bell, 0)
    count(meeting, BEGUN)
    _forward_backward(table, pixels, x, t, losses, probabilities, share, shares)
    count(meeting, ARRIVED)
    if look(meeting, BEGUN) < shares:
        return
    for _ in range(look(meeting, LOOKS)):
        if look(meeting, ARRIVED) == shares:
            if np.isfinite(losses).all():
                _descend(table, x, len(x), share, shares, learning_rate)
                late[share] = False
            return


@inlined
def _forward_backward(
    table: Array, pixels: Array, x: Array, t: Array, losses: Array, probabilities: Array, share: int, shares: int
) -> None:
    """One share of the samples: every layer's output, the loss, and every layer's gradient with respect to x W + b."""
    n, last = len(x), len(table) - 1
    a, b = _share(share, shares, n)  # a - a, below, is a 0 for which Numba doesn't compile anew, as it does for 0
    for r in range(a, b if len(pixels) > 0 else a):
        _unpack(pixels[r], x[r])
    for i in range(last + 1):
        D, H = table[i, INPUTS], table[i, UNITS]
        h, out = _rows(table, i, X_AT, n, D, x), _rows(table, i, OUT_AT, n, H, x)
        bias = np.zeros(H, x.dtype)
        if table[i, B_AT] != 0:
            _assign(_rows(table, i, B_AT, 1, H, x), bias.reshape(1, H))
        product_tile(h, _rows(table, i, W_AT, D, H, x), bias, out[a:b], a, b, a - a, H)
        _activate(table[i, ACTIVATION], out[a:b])
    dz, samples = _rows(table, last, DZ_AT, n, t.shape[1], x), x.dtype.type(n)
    for r in range(a, b):
        losses[r] = _softmax_cross_entropy(out[r], t[r], samples, probabilities[r], dz[r])
    for i in range(last, 0, -1):
        D, H = table[i, INPUTS], table[i, UNITS]
        dz, dx = _rows(table, i, DZ_AT, n, H, x), _rows(table, i - 1, DZ_AT, n, D, x)
        W = _rows(table, i, W_AT, D, H, x)
        if n < ops.FEW:
            _assign(ops.row_products(dz[a:b], W), dx[a:b])
        else:
            product_tile(dz, transposed(W), np.zeros(D, x.dtype), dx[a:b], a, b, a - a, D)
        _activate_backward(table[i - 1, ACTIVATION], dx[a:b], _rows(table, i, X_AT, n, D, x)[a:b])


@compiled
def _unpack(pixels: Array, x: Array) -> None:
    """As ``Pixels`` does."""
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
def _assign(source: Array, to: Array) -> None:
    """to[:] = source, which Numba takes two seconds to compile, for the errors that it might have to word."""
    for i in range(to.shape[0]):
        for j in range(to.shape[1]):
            to[i, j] = source[i, j]


@compiled
def _activate(kind: int, z: Array) -> None:
    if kind == RELU:
        for row in z:
            for i in range(len(row)):
                row[i] = ops.relu(row[i])
    elif kind == SIGMOID:
        _assign(ops.sigmoid_forward(z), z)
    elif kind == TANH:
        _assign(ops.tanh_forward(z), z)


@compiled
def _activate_backward(kind: int, dout: Array, out: Array) -> None:
    if kind == RELU:
        for r in range(len(dout)):
            dx, on = dout[r], out[r]
            for i in range(len(dx)):
                dx[i] = ops.relu_gradient(dx[i], on[i])
    elif kind == SIGMOID:
        _assign(ops.sigmoid_backward(dout, out), dout)
    elif kind == TANH:
        _assign(ops.tanh_backward(dout, out), dout)


@compiled
def _descend(table: Array, x: Array, n: int, share: int, shares: int, learning_rate: float) -> None:
    """One share of the rows of every W; and every b with the first."""
    rate = x.dtype.type(learning_rate)
    for i in range(len(table)):
        D, H = table[i, INPUTS], table[i, UNITS]
        h, dz = _rows(table, i, X_AT, n, D, x), _rows(table, i, DZ_AT, n, H, x)
        a, b = _share(share, shares, D)
        dW = np.empty((b - a, H), x.dtype)
        product_tile(h.T, dz, np.zeros(H, x.dtype), dW, a, b, a - a, H)
        _step(_rows(table, i, W_AT, D, H, x)[a:b].reshape(-1), dW.reshape(-1), rate)
        if share == 0 and table[i, B_AT] != 0:
            _step(_rows(table, i, B_AT, 1, H, x)[0], ops.column_sums(dz), rate)


@compiled
def _late_descend(table: Array, x: Array, n: int, learning_rate: float, bell: Array, share: int, shares: int) -> None:
    """A share that is not done in one go with the first pass."""
    count(bell, 0)
    _descend(table, x, n, share, shares, learning_rate)


@compiled_as_written  # as SGD.update rounds
def _step(W: Array, dW: Array, rate: float) -> None:
    for i in range(len(W)):
        W[i] -= rate * dW[i]
