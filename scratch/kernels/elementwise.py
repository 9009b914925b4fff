"""Activations, and one row of softmax with cross-entropy: the rules that ``numba_ops`` and the fused step share.

Each rule is a scalar function.  The loops around them run over contiguous 1-D arrays, which LLVM vectorizes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratch.kernels import FUSED_ACTIVATIONS
from scratch.kernels.jit import inlined, subroutine

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


@subroutine
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


@subroutine
def activation_gradient(activation: int, dx: Array, out: Array) -> None:
    """Compute the gradient of an activation, from its output, in place.

    It is in place because LLVM's vectorized loop is for arrays that do not overlap: with a third array for the result,
    which was ``dx`` again, an epoch of the article's network took 1.17 times as long.

    Args:
        activation: its index in ``FUSED_ACTIVATIONS``; linear and softmax change nothing here.
        dx: 1-D, the gradient with respect to the output; becomes the gradient with respect to the input.
        out: 1-D, the output.
    """
    if activation == RELU:
        for i in range(len(dx)):
            dx[i] = relu_gradient(dx[i], out[i])
    elif activation == SIGMOID:
        for i in range(len(dx)):
            dx[i] = sigmoid_gradient(dx[i], out[i])
    elif activation == TANH:
        for i in range(len(dx)):
            dx[i] = tanh_gradient(dx[i], out[i])


@subroutine
def exponentials(logits: Array, i: int, out: Array, o: int) -> tuple[Any, float]:
    """Compute exp(x - max x) for one row of logits; the maximum is subtracted so that exp never overflows.

    Args:
        logits: (N, C), of which row i is read.
        i: row of the logits.
        out: (M, C), of which row o receives the exponentials, which are all NaN if a logit is NaN.
        o: row of the result.

    Returns:
        The maximum, and the float64 sum of the exponentials.
    """
    largest, total = logits[i, 0], 0.0
    for c in range(1, logits.shape[1]):
        largest = logits[i, c] if logits[i, c] > largest else largest
    for c in range(logits.shape[1]):
        out[o, c] = np.exp(logits[i, c] - largest)
        total += out[o, c]
    return largest, total


@subroutine
def cross_entropy(logits: Array, i: int, t: Array, s: int, largest: Any, total: float) -> float:
    """Return the cross-entropy of row i of logits with row s of targets, from its log-softmax.

    The last two arguments are from ``exponentials``.
    """
    loss, log_total = 0.0, np.log(total)
    for c in range(t.shape[1]):
        loss -= t[s, c] * ((logits[i, c] - largest) - log_total)
    return loss


@subroutine
def row_sum(t: Array, s: int) -> float:
    """Return the sum of row s, accumulated in float64."""
    total = 0.0
    for c in range(t.shape[1]):
        total += t[s, c]
    return total


@inlined
def cross_entropy_gradient(probability: Any, t: Any, t_sum: float) -> float:
    """Return the gradient of ``cross_entropy`` with respect to one logit; ``t_sum`` is the sum of the sample's t."""
    return probability * t_sum - t


@subroutine
def softmax_cross_entropy(
    logits: Array, i: int, t: Array, s: int, batch_size: Any, probabilities: Array, dz: Array
) -> float:
    """Return the cross-entropy of one sample, and compute its probabilities and its gradient.

    Args:
        logits: (n, C), those of a batch.
        i: row of the sample in the batch.
        t: (N, C), targets of all samples.
        s: row of the sample in t and probabilities.
        batch_size: the gradient is divided by it; of the arrays' dtype.
        probabilities: (N, C), receives softmax(logits) in row s.
        dz: (n, C), receives the gradient of the batch's mean loss with respect to the logits in row i.
    """
    largest, total = exponentials(logits, i, probabilities, s)
    t_sum = row_sum(t, s)
    for c in range(t.shape[1]):
        probabilities[s, c] /= total
        dz[i, c] = logits.dtype.type(cross_entropy_gradient(probabilities[s, c], t[s, c], t_sum)) / batch_size
    return cross_entropy(logits, i, t, s, largest, total)
