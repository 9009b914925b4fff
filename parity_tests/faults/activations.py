"""Faults in the activation functions and their gradients."""

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch.ops import numpy_ops

Array = np.ndarray


@planted_fault(numpy_ops, "relu_backward", caught_by="trace")
def relu_gradient_everywhere(dout: Array, out: Array) -> Array:
    """ReLU passes the gradient for negative inputs as well."""
    return dout


@planted_fault(numpy_ops, "relu_backward", caught_by="trace")
def relu_gradient_at_zero(dout: Array, out: Array) -> Array:
    """ReLU passes the gradient where its output is zero."""
    return np.where(out >= 0, dout, 0)


@planted_fault(numpy_ops, "relu_backward", caught_by="layers")
def relu_gradient_in_place(dout: Array, out: Array) -> Array:
    """ReLU's backward pass changes dout in place."""
    dout[out <= 0] = 0
    return dout


@planted_fault(numpy_ops, "relu_forward", caught_by="trace")
def leaky_relu(x: Array) -> Array:
    """ReLU has a slope of 0.01 for negative inputs."""
    return np.where(x > 0, x, 0.01 * x)


@planted_fault(numpy_ops, "elu_backward", caught_by="trace")
def elu_slope_of_one(dout: Array, out: Array, alpha: float = 1.0) -> Array:
    """The slope of an ELU for negative inputs is out + 1, whatever alpha is."""
    return dout * np.where(out > 0, 1, out + 1)


@planted_fault(numpy_ops, "elu_forward", caught_by="trace")
def elu_without_minus_one(x: Array, alpha: float = 1.0) -> Array:
    """An ELU of negative inputs is alpha·exp(x)."""
    return np.where(x > 0, x, alpha * np.exp(np.minimum(x, 0)))


@planted_fault(numpy_ops, "leaky_relu_backward", caught_by="trace")
def leaky_relu_gradient_cut(dout: Array, out: Array, negative_slope: float = 0.2) -> Array:
    """A leaky ReLU passes no gradient for negative inputs."""
    return np.where(out > 0, dout, 0)


@planted_fault(numpy_ops, "leaky_relu_forward", caught_by="trace")
def leaky_relu_slope_ignored(x: Array, negative_slope: float = 0.2) -> Array:
    """A leaky ReLU has the slope 0.2, whatever its setting is."""
    return np.where(x > 0, x, x.dtype.type(0.2) * x)


@planted_fault(numpy_ops, "softplus_forward", caught_by="trace")
def softplus_overflows(x: Array) -> Array:
    """Softplus is computed as log(1 + exp(x)), which loses small values and overflows."""
    with np.errstate(over="ignore"):
        return np.log(1 + np.exp(x.astype(np.float16))).astype(x.dtype)


@planted_fault(numpy_ops, "softplus_backward", caught_by="trace")
def softplus_slope_of_the_output(dout: Array, out: Array) -> Array:
    """The slope of softplus is the sigmoid of its output instead of its input."""
    return dout / (1 + np.exp(-out))


@planted_fault(numpy_ops, "sigmoid_backward", caught_by="trace")
def sigmoid_slope_incomplete(dout: Array, out: Array) -> Array:
    """The slope of the sigmoid is out instead of out·(1 − out)."""
    return dout * out


@planted_fault(numpy_ops, "tanh_backward", caught_by="trace")
def tanh_slope_not_squared(dout: Array, out: Array) -> Array:
    """The slope of tanh is 1 − out instead of 1 − out²."""
    return dout * (1 - out)


@planted_fault(numpy_ops, "sigmoid_forward", caught_by="trace")
def sigmoid_overflows(x: Array) -> Array:
    """The sigmoid is computed as exp(x) / (1 + exp(x)), which overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(x) / (1 + np.exp(x))


@planted_fault(numpy_ops, "softmax_forward", caught_by="trace")
def softmax_over_samples(x: Array) -> Array:
    """Softmax normalises over the samples instead of the units."""
    e = np.exp(x - x.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


@planted_fault(numpy_ops, "softmax_forward", caught_by="trace")
def softmax_over_everything(x: Array) -> Array:
    """Softmax normalises over samples and units together."""
    e = np.exp(x - x.max())
    return e / e.sum()


@planted_fault(numpy_ops, "softmax_forward", caught_by="saturated softmax")
def softmax_overflows(x: Array) -> Array:
    """Softmax does not subtract the maximum of each row."""
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(x)
        return e / e.sum(axis=-1, keepdims=True)


@planted_fault(numpy_ops, "softmax_backward", caught_by="trace")
def softmax_gradient_entry_by_entry(dout: Array, out: Array) -> Array:
    """A softmax between layers is differentiated entry by entry, like a sigmoid."""
    return dout * out * (1 - out)
