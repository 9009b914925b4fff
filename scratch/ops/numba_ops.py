"""The operations of ``numpy_ops``, compiled: the same names, the same arguments, the same numbers.

Written independently of the reference, one loop over the numbers in place of one array after the other.  Sums are
taken in float64 and rounded once; matrix products are in ``products``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.gemm import product, transposed, writeable
from scratch.kernels.jit import compiled, inlined

Array = NDArray[np.floating]
LOW, HIGH = 1e-7, 1 - 1e-7  # keras.config.epsilon(), and 1 minus it
LANES = 64  # sums that run side by side, so that none waits for the one before
FEW = 8  # rows of dout for which a copy of W.T would cost more than dx itself


def dense_forward(x: Array, W: Array, b: Array | None) -> Array:
    """Affine transformation: (N, D), (D, H), (H,) → (N, H)."""
    return product(writeable(x), writeable(W), b if b is None else writeable(b))


def dense_backward(dout: Array, x: Array, W: Array, need_dx: bool) -> tuple[Array | None, Array, Array]:
    """Gradients of ``dense_forward``: dout (N, H) → dx (N, D) or None where nobody needs it, dW (D, H), db (H,)."""
    dout, x, W = writeable(dout), writeable(x), writeable(W)
    dx = None
    if need_dx:
        dx = row_products(dout, W) if len(dout) < FEW else product(dout, transposed(W))
    return dx, product(x.T, dout), column_sums(dout)


@compiled
def row_products(dout: Array, W: Array) -> Array:
    """The products of each row of dout with each row of W: dout W.T, without turning W round."""
    dx = np.empty((dout.shape[0], W.shape[0]), W.dtype)
    totals = np.empty(LANES, W.dtype)
    for j in range(W.shape[0]):
        for i in range(dout.shape[0]):
            totals[:] = 0
            whole = W.shape[1] // LANES * LANES
            for k in range(0, whole, LANES):
                d, w = dout[i, k : k + LANES], W[j, k : k + LANES]
                for lane in range(LANES):
                    totals[lane] += d[lane] * w[lane]
            for k in range(whole, W.shape[1]):
                totals[k - whole] += dout[i, k] * W[j, k]
            dx[i, j] = totals.astype(np.float64).sum()
    return dx


@compiled
def column_sums(x: Array) -> Array:
    """The sum over the rows: (N, H) → (H,)."""
    totals = np.zeros(x.shape[1], np.float64)
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(x.shape[1]):
            totals[j] += row[j]
    return totals.astype(x.dtype)


def linear_forward(x: Array) -> Array:
    """Identity (恒等関数)."""
    return x


def linear_backward(dout: Array, out: Array) -> Array:
    """Gradient of the identity."""
    return dout


@inlined
def relu(x: Any) -> Any:
    """The larger of x and 0; a NaN, which is neither, stays."""
    return 0 if x <= 0 else x


@inlined
def relu_gradient(dout: Any, out: Any) -> Any:
    """Gradient of the larger of x and 0, from its output: at the kink, x = 0, it is 0 as in Keras."""
    return dout if out > 0 else 0


@compiled
def relu_forward(x: Array) -> Array:
    """Rectified linear unit."""
    flat, out = x.ravel(), np.empty(x.size, x.dtype)
    for i in range(flat.size):
        out[i] = relu(flat[i])
    return out.reshape(x.shape)


@compiled
def relu_backward(dout: Array, out: Array) -> Array:
    """Gradient of ReLU."""
    flat, on, dx = dout.ravel(), out.ravel(), np.empty(dout.size, dout.dtype)
    for i in range(flat.size):
        dx[i] = relu_gradient(flat[i], on[i])
    return dx.reshape(dout.shape)


@inlined
def sigmoid(x: Any) -> Any:
    """Logistic function 1 / (1 + exp(-x)), written so that exp never overflows."""
    e = np.exp(-abs(x))
    return (1 if x >= 0 else e) / (1 + e)


@inlined
def sigmoid_gradient(dout: Any, out: Any) -> Any:
    """Gradient of the sigmoid, from its own output."""
    return dout * out * (1 - out)


@compiled
def sigmoid_forward(x: Array) -> Array:
    """Logistic function."""
    flat, out = x.ravel(), np.empty(x.size, x.dtype)
    for i in range(flat.size):
        out[i] = sigmoid(flat[i])
    return out.reshape(x.shape)


@compiled
def sigmoid_backward(dout: Array, out: Array) -> Array:
    """Gradient of the sigmoid."""
    flat, y, dx = dout.ravel(), out.ravel(), np.empty(dout.size, dout.dtype)
    for i in range(flat.size):
        dx[i] = sigmoid_gradient(flat[i], y[i])
    return dx.reshape(dout.shape)


@compiled
def tanh_forward(x: Array) -> Array:
    """Hyperbolic tangent."""
    flat, out = x.ravel(), np.empty(x.size, x.dtype)
    for i in range(flat.size):
        out[i] = np.tanh(flat[i])
    return out.reshape(x.shape)


@inlined
def tanh_gradient(dout: Any, out: Any) -> Any:
    """Gradient of tanh, from its own output."""
    return dout * (1 - out * out)


@compiled
def tanh_backward(dout: Array, out: Array) -> Array:
    """Gradient of tanh."""
    flat, y, dx = dout.ravel(), out.ravel(), np.empty(dout.size, dout.dtype)
    for i in range(flat.size):
        dx[i] = tanh_gradient(flat[i], y[i])
    return dx.reshape(dout.shape)


@compiled
def softmax_forward(x: Array) -> Array:
    """Probabilities of each row; the maximum is subtracted so that exp never overflows."""
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    out = np.empty_like(rows)
    for i in range(len(rows)):
        exponentials(rows[i], out[i])
        total = out[i].astype(np.float64).sum()
        for c in range(rows.shape[1]):
            out[i, c] /= total
    return out.reshape(x.shape)


@compiled
def softmax_backward(dout: Array, out: Array) -> Array:
    """Gradient of softmax, from its own output."""
    flow = np.ascontiguousarray(dout).reshape(-1, out.shape[-1])
    y = np.ascontiguousarray(out).reshape(-1, out.shape[-1])
    dx = np.empty_like(y)
    for i in range(len(y)):
        mean = 0.0
        for c in range(y.shape[1]):
            mean += flow[i, c] * np.float64(y[i, c])
        for c in range(y.shape[1]):
            dx[i, c] = y[i, c] * (flow[i, c] - mean)
    return dx.reshape(out.shape)


@compiled
def softmax_cross_entropy_forward(x: Array, t: Array) -> Array:
    """Cross-entropy of softmax(x) with t, by the log-softmax: logits (N, C), t (N, C) → one loss a sample (N,)."""
    losses, e = np.empty(len(x), x.dtype), np.empty(x.shape[1], x.dtype)
    for i in range(len(x)):
        largest = exponentials(x[i], e)
        log_total = np.log(e.astype(np.float64).sum())
        loss = 0.0
        for c in range(x.shape[1]):
            loss -= t[i, c] * ((x[i, c] - largest) - log_total)
        losses[i] = loss
    return losses


@compiled
def softmax_cross_entropy_backward(x: Array, t: Array) -> Array:
    """Gradient of each sample's loss with respect to its logits: (N, C); y - t where a row of t sums to one."""
    dx = softmax_forward(x)
    for i in range(len(x)):
        weight = t[i].astype(np.float64).sum()
        for c in range(x.shape[1]):
            dx[i, c] = dx[i, c] * weight - t[i, c]
    return dx


@compiled
def exponentials(row: Array, out: Array) -> Any:
    """exp(x - largest x) of a row, the largest of which it returns; NaN if one of them is."""
    largest = row[0]
    for c in range(1, len(row)):
        largest = row[c] if row[c] > largest else largest
    for c in range(len(row)):
        out[c] = np.exp(row[c] - largest)
    return largest


@compiled
def _clip(p: Any, like: Array) -> Any:
    low, high = like.dtype.type(LOW), like.dtype.type(HIGH)
    return low if p < low else high if p > high else p


@compiled
def categorical_crossentropy_forward(y: Array, t: Array) -> Array:
    """Keras's rule for raw probabilities: rescale each row to sum to 1, clip, take the logarithm: (N, C) → (N,)."""
    losses = np.empty(len(y), y.dtype)
    for i in range(len(y)):
        total = y[i].astype(np.float64).sum()
        loss = 0.0
        for c in range(y.shape[1]):
            loss -= t[i, c] * np.log(np.float64(_clip(y.dtype.type(y[i, c] / total), y)))
        losses[i] = loss
    return losses


@compiled
def categorical_crossentropy_backward(y: Array, t: Array) -> Array:
    """Gradient of ``categorical_crossentropy_forward`` with respect to y; where it clips, nothing flows."""
    dy = np.empty_like(y)
    for i in range(len(y)):
        total = y[i].astype(np.float64).sum()
        mean = 0.0
        for c in range(y.shape[1]):
            q = y.dtype.type(y[i, c] / total)
            dy[i, c] = -t[i, c] / q if _clip(q, y) == q else 0.0
            mean += dy[i, c] * np.float64(q)
        for c in range(y.shape[1]):
            dy[i, c] = (dy[i, c] - mean) / total
    return dy


@compiled
def sparse_categorical_crossentropy_forward(y: Array, t: Array) -> Array:
    """Keras's rule for raw probabilities and integer labels: clip first, rescale after (t is their one-hot form)."""
    losses = np.empty(len(y), y.dtype)
    for i in range(len(y)):
        total = _clipped_sum(y[i], y)
        loss = 0.0
        for c in range(y.shape[1]):
            loss -= t[i, c] * np.log(_clip(y[i, c], y) / total)
        losses[i] = loss
    return losses


@compiled
def sparse_categorical_crossentropy_backward(y: Array, t: Array) -> Array:
    """Gradient of ``sparse_categorical_crossentropy_forward`` with respect to y; where it clips, nothing flows."""
    dy = np.empty_like(y)
    for i in range(len(y)):
        total = _clipped_sum(y[i], y)
        weight = t[i].astype(np.float64).sum()
        for c in range(y.shape[1]):
            q = _clip(y[i, c], y)
            dy[i, c] = weight / total - t[i, c] / np.float64(q) if q == y[i, c] else 0.0
    return dy


@compiled
def _clipped_sum(row: Array, like: Array) -> float:
    total = 0.0
    for c in range(len(row)):
        total += _clip(row[c], like)
    return total
