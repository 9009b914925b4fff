"""The reference for losses other than softmax with cross-entropy: part of ``numpy_ops``, with its letters and rules.

Each takes y or logits x (N, C) and t (N, C).  ``_forward`` returns one loss per sample (N,), of the classes or the mean
over the units; ``_backward`` its gradient with respect to y or x, (N, C).  Formulas: ``keras/src/losses/losses.py``.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
EPSILON = 1e-7  # keras.config.epsilon(): probabilities are clipped to [EPSILON, 1 - EPSILON]


def mean_squared_error_forward(y: Array, t: Array) -> Array:
    """Mean of (y - t)² over the units."""
    return np.square(y - t).mean(axis=1)


def mean_squared_error_backward(y: Array, t: Array) -> Array:
    """Gradient of the mean squared error: 2 (y - t) / C."""
    return 2 * (y - t) / y.shape[1]


def mean_absolute_error_forward(y: Array, t: Array) -> Array:
    """Mean of |y - t| over the units."""
    return np.abs(y - t).mean(axis=1)


def mean_absolute_error_backward(y: Array, t: Array) -> Array:
    """Gradient of the mean absolute error: the sign of y - t, 0 where they are equal, divided by C."""
    return np.sign(y - t) / y.shape[1]


def binary_crossentropy_forward(y: Array, t: Array) -> Array:
    """Cross-entropy of each unit's probability: clip, then the mean of -t log y - (1 - t) log(1 - y)."""
    q = np.clip(y, EPSILON, 1 - EPSILON)
    return -(t * np.log(q) + (1 - t) * np.log(1 - q)).mean(axis=1)


def binary_crossentropy_backward(y: Array, t: Array) -> Array:
    """Gradient of ``binary_crossentropy_forward`` with respect to y; 0 for clipped entries."""
    q = np.clip(y, EPSILON, 1 - EPSILON)
    dq = (1 - t) / (1 - q) - t / q
    return np.where(q == y, dq, 0) / y.shape[1]


def sigmoid_cross_entropy_forward(x: Array, t: Array) -> Array:
    """Binary cross-entropy of sigmoid(x) with t, from the logits: no exponential overflows, no small number's log."""
    return (np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))).mean(axis=1)


def sigmoid_cross_entropy_backward(x: Array, t: Array) -> Array:
    """Gradient with respect to the logits: (sigmoid(x) - t) / C."""
    e = np.exp(-np.abs(x))
    return (np.where(x >= 0, 1, e) / (1 + e) - t) / x.shape[1]


def categorical_crossentropy_forward(y: Array, t: Array) -> Array:
    """Keras's rule for probabilities: rescale each row to sum to 1, clip, take the logarithm: (N, C) → (N,)."""
    q = np.clip(y / y.sum(axis=1, keepdims=True), EPSILON, 1 - EPSILON)
    return -(t * np.log(q)).sum(axis=1)


def categorical_crossentropy_backward(y: Array, t: Array) -> Array:
    """Gradient of ``categorical_crossentropy_forward`` with respect to y; 0 for clipped entries."""
    total = y.sum(axis=1, keepdims=True)
    q = y / total
    dq = np.where((q >= EPSILON) & (q <= 1 - EPSILON), -t / np.maximum(q, EPSILON), 0)
    return (dq - (dq * q).sum(axis=1, keepdims=True)) / total


def sparse_categorical_crossentropy_forward(y: Array, t: Array) -> Array:
    """Keras's rule for probabilities and integer labels: clip first, rescale after (t is their one-hot form)."""
    q = np.clip(y, EPSILON, 1 - EPSILON)
    return -(t * np.log(q / q.sum(axis=1, keepdims=True))).sum(axis=1)


def sparse_categorical_crossentropy_backward(y: Array, t: Array) -> Array:
    """Gradient of ``sparse_categorical_crossentropy_forward`` with respect to y; 0 for clipped entries."""
    q = np.clip(y, EPSILON, 1 - EPSILON)
    dq = t.sum(axis=1, keepdims=True) / q.sum(axis=1, keepdims=True) - t / q
    return np.where((y >= EPSILON) & (y <= 1 - EPSILON), dq, 0)
