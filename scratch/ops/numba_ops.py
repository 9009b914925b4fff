"""The operations of ``numpy_ops``, compiled: the same names, the same signatures, the same results up to rounding.

Written independently of the specification, with loops over numbers in place of operations on whole arrays.  Sums are
accumulated in float64 and rounded once.  The matrix product is in ``scratch.kernels.gemm``; the rules of activations
and of softmax, which the fused training step also uses, are in ``scratch.kernels.elementwise``.

``checked`` states the shapes of the arrays; with others, an operation raises a ``ValueError``.
"""

import math

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.arguments import checked
from scratch.kernels.arrays import column_sums
from scratch.kernels.elementwise import (
    RELU,
    SIGMOID,
    TANH,
    activate,
    activation_gradient,
    cross_entropy,
    cross_entropy_gradient,
    exponentials,
    row_sum,
)
from scratch.kernels.gemm import product, split_k
from scratch.kernels.jit import compiled
from scratch.ops.numba_losses import (  # noqa: F401  (operations of this backend)
    binary_crossentropy_backward,
    binary_crossentropy_forward,
    categorical_crossentropy_backward,
    categorical_crossentropy_forward,
    mean_absolute_error_backward,
    mean_absolute_error_forward,
    mean_squared_error_backward,
    mean_squared_error_forward,
    sigmoid_cross_entropy_backward,
    sigmoid_cross_entropy_forward,
    sparse_categorical_crossentropy_backward,
    sparse_categorical_crossentropy_forward,
)

Array = NDArray[np.floating]


@checked("N D", "D H", "H?")
def dense_forward(x: Array, W: Array, b: Array | None) -> Array:
    """Affine transformation: (N, D), (D, H), (H,) → (N, H)."""
    return product(x, W, b, split_k(*W.shape))


@checked("N H", "N D", "D H")
def dense_backward(dout: Array, x: Array, W: Array, need_dx: bool) -> tuple[Array | None, Array, Array]:
    """Gradients of ``dense_forward``: dout (N, H) → dx (N, D), or None if not needed; dW (D, H); db (H,)."""
    dx = product(dout, W.T) if need_dx else None
    db = np.empty(dout.shape[1], dout.dtype)
    column_sums(dout, np.empty(len(db)), db)
    return dx, product(x.T, dout), db


def linear_forward(x: Array) -> Array:
    """Identity (恒等関数)."""
    return x


def linear_backward(dout: Array, out: Array) -> Array:
    """Gradient of the identity."""
    return dout


@checked("...")
def relu_forward(x: Array) -> Array:
    """Rectified linear unit: the larger of x and 0."""
    return _activation_forward(RELU, x)


@checked("...", "...")
def relu_backward(dout: Array, out: Array) -> Array:
    """Gradient of ReLU."""
    return _activation_backward(RELU, dout, out)


@checked("...")
def sigmoid_forward(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x))."""
    return _activation_forward(SIGMOID, x)


@checked("...", "...")
def sigmoid_backward(dout: Array, out: Array) -> Array:
    """Gradient of the sigmoid, from its output."""
    return _activation_backward(SIGMOID, dout, out)


@checked("...")
def tanh_forward(x: Array) -> Array:
    """Hyperbolic tangent."""
    return _activation_forward(TANH, x)


@checked("...", "...")
def tanh_backward(dout: Array, out: Array) -> Array:
    """Gradient of tanh, from its output."""
    return _activation_backward(TANH, dout, out)


@checked("...")
@compiled
def elu_forward(x: Array, alpha: float = 1.0) -> Array:
    """Exponential linear unit: x for positive x, else alpha·(exp(x) − 1)."""
    out = x.ravel().copy()
    for i in range(out.size):
        if not out[i] > 0:
            out[i] = alpha * math.expm1(out[i])
    return out.reshape(x.shape)


@checked("...", "...")
@compiled
def elu_backward(dout: Array, out: Array, alpha: float = 1.0) -> Array:
    """Gradient of the ELU, from its output."""
    dx, y = dout.ravel().copy(), out.ravel()
    for i in range(dx.size):
        if not y[i] > 0:
            dx[i] *= y[i] + alpha
    return dx.reshape(dout.shape)


@checked("...")
@compiled
def leaky_relu_forward(x: Array, negative_slope: float = 0.2) -> Array:
    """Leaky ReLU: x for positive x, else negative_slope·x."""
    out = x.ravel().copy()
    for i in range(out.size):
        if not out[i] > 0:
            out[i] *= negative_slope
    return out.reshape(x.shape)


@checked("...", "...")
@compiled
def leaky_relu_backward(dout: Array, out: Array, negative_slope: float = 0.2) -> Array:
    """Gradient of the leaky ReLU, from its output."""
    dx, y = dout.ravel().copy(), out.ravel()
    for i in range(dx.size):
        if not y[i] > 0:
            dx[i] *= negative_slope
    return dx.reshape(dout.shape)


@checked("...")
@compiled
def softplus_forward(x: Array) -> Array:
    """Softplus, log(1 + exp(x)) = max(x, 0) + log(1 + exp(−|x|))."""
    out = x.ravel().copy()
    for i in range(out.size):
        v = out[i]
        out[i] = (v if v > 0 else 0 * v) + math.log1p(math.exp(-abs(v)))
    return out.reshape(x.shape)


@checked("...", "...")
@compiled
def softplus_backward(dout: Array, out: Array) -> Array:
    """Gradient of softplus, from its output."""
    dx, y = dout.ravel().copy(), out.ravel()
    for i in range(dx.size):
        dx[i] *= -math.expm1(-y[i])
    return dx.reshape(dout.shape)


@compiled
def _activation_forward(activation: int, x: Array) -> Array:
    out = x.ravel().copy()
    activate(activation, out)
    return out.reshape(x.shape)


@compiled
def _activation_backward(activation: int, dout: Array, out: Array) -> Array:
    dx = dout.ravel().copy()
    activation_gradient(activation, dx, out.ravel())
    return dx.reshape(dout.shape)


@checked("... C")
@compiled
def softmax_forward(x: Array) -> Array:
    """Softmax of each row: probabilities that sum to 1."""
    rows = x.reshape(-1, x.shape[-1])
    out = np.empty_like(rows)
    for i in range(len(rows)):
        _, total = exponentials(rows, i, out, i)
        for c in range(rows.shape[1]):
            out[i, c] /= total
    return out.reshape(x.shape)


@checked("... C", "... C")
@compiled
def softmax_backward(dout: Array, out: Array) -> Array:
    """Gradient of softmax, from its output."""
    dout_rows = dout.reshape(-1, out.shape[-1])
    y = out.reshape(-1, out.shape[-1])
    dx = np.empty_like(y)
    for i in range(len(y)):
        mean = 0.0
        for c in range(y.shape[1]):
            mean += dout_rows[i, c] * np.float64(y[i, c])
        for c in range(y.shape[1]):
            dx[i, c] = y[i, c] * (dout_rows[i, c] - mean)
    return dx.reshape(out.shape)


@checked("N C", "N C")
@compiled
def softmax_cross_entropy_forward(x: Array, t: Array) -> Array:
    """Cross-entropy of softmax(x) with t, by the log-softmax: logits (N, C), t (N, C) → one loss per sample (N,)."""
    losses, e = np.empty(len(x), x.dtype), np.empty((1, x.shape[1]), x.dtype)
    for i in range(len(x)):
        largest, total = exponentials(x, i, e, 0)
        losses[i] = cross_entropy(x, i, t, i, largest, total)
    return losses


@checked("N C", "N C")
@compiled
def softmax_cross_entropy_backward(x: Array, t: Array) -> Array:
    """Gradient of each sample's loss with respect to its logits: (N, C); y - t if the rows of t sum to 1."""
    dx = np.empty_like(x)
    for i in range(len(x)):
        _, total = exponentials(x, i, dx, i)
        t_sum = row_sum(t, i)
        for c in range(x.shape[1]):
            dx[i, c] /= total
            dx[i, c] = cross_entropy_gradient(dx[i, c], t[i, c], t_sum)
    return dx
