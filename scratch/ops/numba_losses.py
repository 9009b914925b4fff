"""The losses of ``numpy_losses``, compiled: part of ``numba_ops``, and written like it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.arguments import checked
from scratch.kernels.elementwise import row_sum, sigmoid
from scratch.kernels.jit import compiled, inlined, subroutine

Array = NDArray[np.floating]
LOW, HIGH = 1e-7, 1 - 1e-7  # the limits that Keras clips probabilities to: keras.config.epsilon() and 1 minus it


@inlined
def clip(p: Any, like: Array) -> Any:
    """Return p limited to [LOW, HIGH], both rounded to the dtype of ``like``."""
    low, high = like.dtype.type(LOW), like.dtype.type(HIGH)
    return low if p < low else high if p > high else p


@checked("N C", "N C")
@compiled
def mean_squared_error_forward(y: Array, t: Array) -> Array:
    """Mean of (y - t)² over the units: (N, C), (N, C) → (N,)."""
    losses = np.empty(len(y), y.dtype)
    for i in range(len(y)):
        total = 0.0
        for c in range(y.shape[1]):
            difference = np.float64(y[i, c]) - t[i, c]
            total += difference * difference
        losses[i] = total / y.shape[1]
    return losses


@checked("N C", "N C")
@compiled
def mean_squared_error_backward(y: Array, t: Array) -> Array:
    """Gradient of the mean squared error: 2 (y - t) / C."""
    dy = np.empty_like(y)
    for i in range(len(y)):
        for c in range(y.shape[1]):
            dy[i, c] = 2 * (np.float64(y[i, c]) - t[i, c]) / y.shape[1]
    return dy


@checked("N C", "N C")
@compiled
def mean_absolute_error_forward(y: Array, t: Array) -> Array:
    """Mean of |y - t| over the units: (N, C), (N, C) → (N,)."""
    losses = np.empty(len(y), y.dtype)
    for i in range(len(y)):
        total = 0.0
        for c in range(y.shape[1]):
            total += abs(np.float64(y[i, c]) - t[i, c])
        losses[i] = total / y.shape[1]
    return losses


@checked("N C", "N C")
@compiled
def mean_absolute_error_backward(y: Array, t: Array) -> Array:
    """Gradient of the mean absolute error: 1/C, -1/C, or 0 where y and t are equal; NaN stays NaN."""
    dy = np.empty_like(y)
    for i in range(len(y)):
        for c in range(y.shape[1]):
            dy[i, c] = np.sign(y[i, c] - t[i, c]) / y.shape[1]
    return dy


@checked("N C", "N C")
@compiled
def binary_crossentropy_forward(y: Array, t: Array) -> Array:
    """Cross-entropy of each unit's probability, clipped; the mean over the units: (N, C), (N, C) → (N,)."""
    losses = np.empty(len(y), y.dtype)
    for i in range(len(y)):
        total = 0.0
        for c in range(y.shape[1]):
            q = np.float64(clip(y[i, c], y))
            total -= t[i, c] * np.log(q) + (1.0 - t[i, c]) * np.log(1.0 - q)
        losses[i] = total / y.shape[1]
    return losses


@checked("N C", "N C")
@compiled
def binary_crossentropy_backward(y: Array, t: Array) -> Array:
    """Gradient of ``binary_crossentropy_forward`` with respect to y; 0 for clipped entries."""
    dy, low, high = np.empty_like(y), y.dtype.type(LOW), y.dtype.type(HIGH)
    for i in range(len(y)):
        for c in range(y.shape[1]):
            q = np.float64(y[i, c])
            inside = not (y[i, c] < low or y[i, c] > high)
            dy[i, c] = ((1.0 - t[i, c]) / (1.0 - q) - t[i, c] / q) / y.shape[1] if inside else 0.0
    return dy


@checked("N C", "N C")
@compiled
def sigmoid_cross_entropy_forward(x: Array, t: Array) -> Array:
    """Binary cross-entropy of sigmoid(x) with t, from the logits: the mean over the units, (N,)."""
    losses = np.empty(len(x), x.dtype)
    for i in range(len(x)):
        total = 0.0
        for c in range(x.shape[1]):
            z = np.float64(x[i, c])
            # log(1 + exp z), with the larger of 1 and exp z taken out of the logarithm
            total += np.log1p(np.exp(-abs(z))) + (0.0 if z < 0 else z) - z * t[i, c]
        losses[i] = total / x.shape[1]
    return losses


@checked("N C", "N C")
@compiled
def sigmoid_cross_entropy_backward(x: Array, t: Array) -> Array:
    """Gradient with respect to the logits: (sigmoid(x) - t) / C."""
    dx = np.empty_like(x)
    for i in range(len(x)):
        for c in range(x.shape[1]):
            dx[i, c] = (sigmoid(np.float64(x[i, c])) - t[i, c]) / x.shape[1]
    return dx


@checked("N C", "N C")
@compiled
def categorical_crossentropy_forward(y: Array, t: Array) -> Array:
    """Keras's rule for probabilities: rescale each row to sum 1, clip, take the logarithm: (N, C), (N, C) → (N,)."""
    losses = np.empty(len(y), y.dtype)
    for i in range(len(y)):
        total = row_sum(y, i)
        loss = 0.0
        for c in range(y.shape[1]):
            loss -= t[i, c] * np.log(np.float64(clip(y.dtype.type(y[i, c] / total), y)))
        losses[i] = loss
    return losses


@checked("N C", "N C")
@compiled
def categorical_crossentropy_backward(y: Array, t: Array) -> Array:
    """Gradient of ``categorical_crossentropy_forward`` with respect to y: (N, C); 0 for clipped entries."""
    dy = np.empty_like(y)
    for i in range(len(y)):
        total = row_sum(y, i)
        mean = 0.0
        for c in range(y.shape[1]):
            q = y.dtype.type(y[i, c] / total)
            dy[i, c] = -t[i, c] / q if clip(q, y) == q else 0.0
            mean += dy[i, c] * np.float64(q)
        for c in range(y.shape[1]):
            dy[i, c] = (dy[i, c] - mean) / total
    return dy


@checked("N C", "N C")
@compiled
def sparse_categorical_crossentropy_forward(y: Array, t: Array) -> Array:
    """Keras's rule for probabilities and integer labels: clip first, then rescale (t is the labels' one-hot form)."""
    losses = np.empty(len(y), y.dtype)
    for i in range(len(y)):
        total = _clipped_sum(y[i], y)
        loss = 0.0
        for c in range(y.shape[1]):
            loss -= t[i, c] * np.log(clip(y[i, c], y) / total)
        losses[i] = loss
    return losses


@checked("N C", "N C")
@compiled
def sparse_categorical_crossentropy_backward(y: Array, t: Array) -> Array:
    """Gradient of ``sparse_categorical_crossentropy_forward`` with respect to y; 0 for clipped entries."""
    dy = np.empty_like(y)
    for i in range(len(y)):
        total = _clipped_sum(y[i], y)
        t_sum = row_sum(t, i)
        for c in range(y.shape[1]):
            q = clip(y[i, c], y)
            dy[i, c] = t_sum / total - t[i, c] / np.float64(q) if q == y[i, c] else 0.0
    return dy


@subroutine
def _clipped_sum(row: Array, like: Array) -> float:
    total = 0.0
    for c in range(len(row)):
        total += clip(row[c], like)
    return total
