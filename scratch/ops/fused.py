"""A training step in two parallel passes, for Dense layers in a row, a softmax with its cross-entropy, and plain SGD.

Layer by layer, every operation would wait for all cores to finish the one before.  Here a first pass takes its share of
the samples all the way forward and back, and a second its share of every W all the way from the gradient to the update,
so that the gradient never leaves the cache.  The operations are those of ``numba_ops`` and ``products``, in the same
order: the bits are the same.
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
from scratch.ops.compiler import compiled, compiled_as_written
from scratch.ops.products import SHARED, product_tile, transposed

Array = NDArray[Any]
ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh", "softmax")  # a row of the table says which by its place here
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

    def is_for(self, weights: Sequence[tuple[Array, Array | None]], activations: Sequence[str]) -> bool:
        """Whether these very arrays are its weights."""
        return (
            len(weights) == len(self.weights)
            and all(W is V and b is c for (W, b), (V, c) in zip(weights, self.weights, strict=True))
            and self.activations == activations
        )

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # it holds addresses, which mean nothing in a copy or in another process

    def forward_backward(self, x: Array, t: Array) -> tuple[Array, Array]:
        """Loss of each sample (N,) and probabilities (N, C); what ``update`` needs is kept.

        Args:
            x: samples (N, …), which are unrolled to rows of D.
            t: targets (N, C), of the weights' dtype.
        """
        n = len(x)
        x = np.ascontiguousarray(x.reshape(n, -1), self.dtype)
        if n > self.capacity:
            self._make_room(n)
        self.x = x
        self.table[0, X_AT] = x.ctypes.data
        losses, probabilities = np.empty(n, self.dtype), np.empty(t.shape, self.dtype)
        rows = n
        if n * self.work >= SHARED:
            rows = _fours(n / min(config.NUMBA_NUM_THREADS, max(1, n // 16)))
        shares = [(i, min(i + rows, n)) for i in range(0, n, rows)]
        threads.run([partial(_forward_backward, self.table, x, t, losses, probabilities, *share) for share in shares])
        return losses, probabilities

    def update(self, learning_rate: float) -> None:
        """W ← W − η·dW and b ← b − η·db, with the gradients of the mean loss of the last batch."""
        n = len(self.x)
        tasks = []
        for layer, (W, _) in enumerate(self.weights):
            rows = _fours(len(W) / 4) if n * W.size >= SHARED else len(W)
            shares = [(i, min(i + rows, len(W))) for i in range(0, len(W), rows)]
            tasks += [partial(_descend, self.table, layer, self.x, n, *share, learning_rate) for share in shares]
        if n * self.work >= SHARED:
            threads.run(tasks)
        else:
            for task in tasks:
                task()

    def _make_room(self, n: int) -> None:
        """Lay out the outputs and the gradients of every layer for n samples, and write down where all of it is."""
        self.capacity = n
        self.biases = [np.zeros(W.shape[1], self.dtype) if b is None else b for W, b in self.weights]
        self.flow = [[np.empty((n, W.shape[1]), self.dtype) for W, _ in self.weights] for _ in ("out", "dz")]
        self.table = np.zeros((len(self.weights), 8), np.int64)
        for i, (W, b) in enumerate(self.weights):
            out, dz = self.flow[0][i], self.flow[1][i]
            kind = ACTIVATIONS.index(self.activations[i])
            b_at = 0 if b is None else b.ctypes.data
            x_at = self.flow[0][i - 1].ctypes.data
            self.table[i] = (*W.shape, kind, W.ctypes.data, b_at, x_at, out.ctypes.data, dz.ctypes.data)


def _fours(rows: float) -> int:
    """That many rows or a few more: the next multiple of four, the rows that a product takes at once."""
    return 4 * max(1, int(np.ceil(rows / 4)))


@intrinsic  # type: ignore[untyped-decorator]
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
def _forward_backward(table: Array, x: Array, t: Array, losses: Array, probabilities: Array, a: int, b: int) -> None:
    """Samples a to b: every layer's output, the loss, and every layer's gradient with respect to x W + b."""
    n, last = len(x), len(table) - 1
    for i in range(last + 1):
        D, H = table[i, INPUTS], table[i, UNITS]
        h, out = _rows(table, i, X_AT, n, D, x), _rows(table, i, OUT_AT, n, H, x)
        bias = np.zeros(H, x.dtype)
        if table[i, B_AT] != 0:
            bias[:] = _rows(table, i, B_AT, 1, H, x)[0]
        product_tile(h, _rows(table, i, W_AT, D, H, x), bias, out[a:b], a, b, 0, H)
        _activate(table[i, ACTIVATION], out[a:b])
    logits, dz = out[a:b], _rows(table, last, DZ_AT, n, t.shape[1], x)
    losses[a:b] = ops.softmax_cross_entropy_forward(logits, t[a:b])
    probabilities[a:b] = ops.softmax_forward(logits)
    count = x.dtype.type(n)
    for r in range(a, b):
        weight = t[r].astype(np.float64).sum()
        for c in range(t.shape[1]):
            dz[r, c] = x.dtype.type(probabilities[r, c] * weight - t[r, c]) / count
    for i in range(last, 0, -1):
        D, H = table[i, INPUTS], table[i, UNITS]
        dz, dx = _rows(table, i, DZ_AT, n, H, x), _rows(table, i - 1, DZ_AT, n, D, x)
        W = _rows(table, i, W_AT, D, H, x)
        if n < ops.FEW:
            dx[a:b] = ops.row_products(dz[a:b], W)
        else:
            product_tile(dz, transposed(W), np.zeros(D, x.dtype), dx[a:b], a, b, 0, D)
        _activate_backward(table[i - 1, ACTIVATION], dx[a:b], _rows(table, i, X_AT, n, D, x)[a:b])


@compiled
def _activate(kind: int, z: Array) -> None:
    if kind == 1:
        z[:] = ops.relu_forward(z)
    elif kind == 2:
        z[:] = ops.sigmoid_forward(z)
    elif kind == 3:
        z[:] = ops.tanh_forward(z)


@compiled
def _activate_backward(kind: int, dout: Array, out: Array) -> None:
    if kind == 1:
        dout[:] = ops.relu_backward(dout, out)
    elif kind == 2:
        dout[:] = ops.sigmoid_backward(dout, out)
    elif kind == 3:
        dout[:] = ops.tanh_backward(dout, out)


@compiled
def _descend(table: Array, layer: int, x: Array, n: int, k0: int, k1: int, learning_rate: float) -> None:
    """Rows k0 to k1 of a layer's W; with the first of them, b."""
    D, H = table[layer, INPUTS], table[layer, UNITS]
    h, dz = _rows(table, layer, X_AT, n, D, x), _rows(table, layer, DZ_AT, n, H, x)
    dW = np.empty((k1 - k0, H), x.dtype)
    product_tile(h.T, dz, np.zeros(H, x.dtype), dW, k0, k1, 0, H)
    _step(_rows(table, layer, W_AT, D, H, x)[k0:k1].reshape(-1), dW.reshape(-1), x.dtype.type(learning_rate))
    if k0 == 0 and table[layer, B_AT] != 0:
        _step(_rows(table, layer, B_AT, 1, H, x)[0], ops.column_sums(dz), x.dtype.type(learning_rate))


@compiled_as_written  # as SGD.update rounds
def _step(W: Array, dW: Array, rate: float) -> None:
    for i in range(len(W)):
        W[i] -= rate * dW[i]
