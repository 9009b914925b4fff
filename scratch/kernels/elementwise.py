"""Activations, and one row of softmax with cross-entropy: the rules that ``numba_ops`` and the fused step share.

Each rule is a scalar function.  The loops around them run over contiguous 1-D arrays, which LLVM vectorizes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratch.kernels import FUSED_ACTIVATIONS
from scratch.kernels.arrays import float64_sum
from scratch.kernels.jit import compiled, inlined

Array = NDArray[np.floating]
RELU, SIGMOID, TANH = map(FUSED_ACTIVATIONS.index, ("relu", "sigmoid", "tanh"))


@inlined
def relu(x: Any) -> Any:
    """Return the larger of x and 0; NaN stays NaN."""
    return 0 if x <= 0 else x


@inlined
def relu_gradient(dout: Any, out: Any) -> Any:
    """Return the gradient of ReLU, from its output; at the kink, x = 0, it is 0, as in Keras."""
    return dout if out > 0 else 0


@inlined
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)), in a form in which exp never overflows."""
    e = np.exp(-abs(x))
    return (1 if x >= 0 else e) / (1 + e)


@inlined
def sigmoid_gradient(dout: Any, out: Any) -> Any:
    """Return the gradient of the sigmoid, from its output."""
    return dout * out * (1 - out)


@inlined
def tanh_gradient(dout: Any, out: Any) -> Any:
    """Return the gradient of tanh, from its output."""
    return dout * (1 - out * out)


@compiled
def activate(activation: int, x: Array) -> None:
    """Apply an activation in place.

    Args:
        activation: its index in ``FUSED_ACTIVATIONS``; linear and softmax change nothing here.
        x: 1-D.
    """
    if activation == RELU:
        for i in range(len(x)):
            x[i] = relu(x[i])
    elif activation == SIGMOID:
        for i in range(len(x)):
            x[i] = sigmoid(x[i])
    elif activation == TANH:
        for i in range(len(x)):
            x[i] = np.tanh(x[i])


@compiled
def activation_gradient(activation: int, dout: Array, out: Array, dx: Array) -> None:
    """Compute the gradient of an activation, from its output.

    Args:
        activation: its index in ``FUSED_ACTIVATIONS``; linear and softmax copy ``dout``.
        dout: 1-D, the gradient with respect to the output.
        out: 1-D, the output.
        dx: 1-D, receives the gradient with respect to the input.
    """
    if activation == RELU:
        for i in range(len(dx)):
            dx[i] = relu_gradient(dout[i], out[i])
    elif activation == SIGMOID:
        for i in range(len(dx)):
            dx[i] = sigmoid_gradient(dout[i], out[i])
    elif activation == TANH:
        for i in range(len(dx)):
            dx[i] = tanh_gradient(dout[i], out[i])
    else:
        for i in range(len(dx)):
            dx[i] = dout[i]


@compiled
def exponentials(logits: Array, out: Array) -> tuple[Any, float]:
    """Compute exp(x - max x) for one row of logits; the maximum is subtracted so that exp never overflows.

    Args:
        logits: (C,).
        out: (C,), receives the exponentials, which are all NaN if a logit is NaN.

    Returns:
        The maximum, and the float64 sum of the exponentials.
    """
    largest = logits[0]
    for c in range(1, len(logits)):
        largest = logits[c] if logits[c] > largest else largest
    for c in range(len(logits)):
        out[c] = np.exp(logits[c] - largest)
    return largest, float64_sum(out)


@inlined
def cross_entropy(logits: Array, t: Array, largest: Any, total: float) -> float:
    """Return the cross-entropy of one sample from its log-softmax; the last two arguments are from ``exponentials``."""
    loss, log_total = 0.0, np.log(total)
    for c in range(len(t)):
        loss -= t[c] * ((logits[c] - largest) - log_total)
    return loss


@inlined
def cross_entropy_gradient(probability: Any, t: Any, t_sum: float) -> float:
    """Return the gradient of ``cross_entropy`` with respect to one logit; ``t_sum`` is the sum of the sample's t."""
    return probability * t_sum - t


@compiled
def softmax_cross_entropy(logits: Array, t: Array, batch_size: Any, probabilities: Array, dz: Array) -> float:
    """Return the cross-entropy of one sample, and compute its probabilities and its gradient.

    Args:
        logits: (C,).
        t: (C,), the target.
        batch_size: the gradient is divided by it; of the arrays' dtype.
        probabilities: (C,), receives softmax(logits).
        dz: (C,), receives the gradient of the batch's mean loss with respect to the logits.
    """
    largest, total = exponentials(logits, probabilities)
    t_sum = float64_sum(t)
    for c in range(len(t)):
        probabilities[c] /= total
        dz[c] = logits.dtype.type(cross_entropy_gradient(probabilities[c], t[c], t_sum)) / batch_size
    return cross_entropy(logits, t, largest, total)
