"""The reference: every operation of the network in plain NumPy.

Letters are the book's: ``x`` goes in, ``out`` comes out, ``dout`` is the gradient that flows back, ``dx``, ``dW``
and ``db`` are the gradients with respect to the inputs, ``t`` is the truth (教師データ).  Arrays are (N, …) with N
samples, all of one dtype, float32 or float64, which is also the dtype of every result.  No input is changed.

An activation keeps the shape of its input, (N, …).  Those of the book, sections 3.2 and 3.5, are the identity, ReLU,
sigmoid and softmax; all are in ``keras/src/activations/activations.py``.
"""

import numpy as np
from numpy.typing import NDArray

from scratch.ops.numpy_losses import (  # noqa: F401  (operations of this backend)
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
MAX_TERMS = 100  # of one running sum
MAX_FLOAT64_WORK = 1 << 17  # multiplications


def _product(a: Array, b: Array) -> Array:
    """Return the matrix product a b, more accurately than one running sum per entry.

    Sums of more than MAX_TERMS terms are computed in halves (pairwise summation, as in ``numpy.sum``), and small
    products in float64.  One running float32 sum of 784 terms had an RMS error up to 1.35 times that of Keras on JAX;
    this has at most 0.98 times, and takes an eighth longer.
    """
    n = a.shape[1]
    if a.size * b.shape[1] <= MAX_FLOAT64_WORK:
        return np.matmul(a, b, dtype=np.float64).astype(a.dtype)
    return a @ b if n <= MAX_TERMS else _product(a[:, : n // 2], b[: n // 2]) + _product(a[:, n // 2 :], b[n // 2 :])


def dense_forward(x: Array, W: Array, b: Array | None) -> Array:
    """Affine transformation: (N, D), (D, H), (H,) → (N, H)."""
    return _product(x, W) if b is None else _product(x, W) + b


def dense_backward(dout: Array, x: Array, W: Array, need_dx: bool) -> tuple[Array | None, Array, Array]:
    """Gradients of ``dense_forward``: dout (N, H) → dx (N, D) or None if ``need_dx`` is False, dW (D, H), db (H,)."""
    dx = _product(dout, W.T) if need_dx else None
    # NumPy sums rows one by one in float32, which loses precision: accumulate in float64, and round once.
    return dx, _product(x.T, dout), dout.sum(axis=0, dtype=np.float64).astype(dout.dtype)


def linear_forward(x: Array) -> Array:
    """Identity (恒等関数)."""
    return x


def linear_backward(dout: Array, out: Array) -> Array:
    """Gradient of the identity."""
    return dout


def relu_forward(x: Array) -> Array:
    """Rectified linear unit: the larger of x and 0."""
    return np.maximum(x, 0)


def relu_backward(dout: Array, out: Array) -> Array:
    """Gradient of ReLU: dout where out > 0, else 0; at the kink, x = 0, it is 0 as in Keras."""
    return np.where(out > 0, dout, 0)


def sigmoid_forward(x: Array) -> Array:
    """Logistic function 1 / (1 + exp(-x)), written so that exp never overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def sigmoid_backward(dout: Array, out: Array) -> Array:
    """Gradient of the sigmoid, from its own output."""
    return dout * out * (1 - out)


def tanh_forward(x: Array) -> Array:
    """Hyperbolic tangent."""
    return np.tanh(x)


def tanh_backward(dout: Array, out: Array) -> Array:
    """Gradient of tanh, from its own output."""
    return dout * (1 - out * out)


def elu_forward(x: Array, alpha: float = 1.0) -> Array:
    """Exponential linear unit (Clevert et al., 2016): x for positive x, else alpha·(exp(x) − 1)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_backward(dout: Array, out: Array, alpha: float = 1.0) -> Array:
    """Gradient of the ELU, from its own output: the slope alpha·exp(x) is out + alpha."""
    return dout * np.where(out > 0, 1, out + out.dtype.type(alpha))


def leaky_relu_forward(x: Array, negative_slope: float = 0.2) -> Array:
    """Leaky ReLU (Maas et al., 2013): x for positive x, else negative_slope·x."""
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(dout: Array, out: Array, negative_slope: float = 0.2) -> Array:
    """Gradient of the leaky ReLU, from its own output; at the kink, x = 0, it is negative_slope as in Keras."""
    return np.where(out > 0, dout, negative_slope * dout)


def softplus_forward(x: Array) -> Array:
    """Softplus (Dugas et al., 2001): log(1 + exp(x)), written so that exp never overflows."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softplus_backward(dout: Array, out: Array) -> Array:
    """Gradient of softplus, from its own output: the slope, the sigmoid of x, is 1 − exp(−out)."""
    return dout * -np.expm1(-out)


def softmax_forward(x: Array) -> Array:
    """Probabilities exp(x) / Σ exp(x) of each row; the maximum is subtracted so that exp never overflows."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dout: Array, out: Array) -> Array:
    """Gradient of softmax, from its own output."""
    return out * (dout - (dout * out).sum(axis=-1, keepdims=True))


def softmax_cross_entropy_forward(x: Array, t: Array) -> Array:
    """Cross-entropy of softmax(x) with t, by the log-softmax: logits (N, C), t (N, C) → one loss per sample (N,).

    Neither a probability nor the logarithm of a small number is computed: a logit gap of 50 costs 50.
    """
    z = x - x.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -(t * log_p).sum(axis=1)


def softmax_cross_entropy_backward(x: Array, t: Array) -> Array:
    """Gradient of each sample's loss with respect to its logits: (N, C); y - t if the row of t sums to 1."""
    return softmax_forward(x) * t.sum(axis=1, keepdims=True) - t
