"""Faults in the layers: the affine transformation, its gradients, what a layer keeps, and Flatten."""

from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import layers, network
from scratch.checks import check_array
from scratch.losses import Loss
from scratch.ops import numpy_ops

Array = np.ndarray
Gradients = tuple[Array | None, Array, Array]
network_backward = network.Network.backward
dense_forward, dense_backward = numpy_ops.dense_forward, numpy_ops.dense_backward


@planted_fault(numpy_ops, "dense_forward", caught_by="trace")
def bias_added_twice(x: Array, W: Array, b: Array | None) -> Array:
    """The bias is added twice."""
    return dense_forward(x, W, None if b is None else 2 * b)


@planted_fault(numpy_ops, "dense_forward", caught_by="trace")
def bias_not_added(x: Array, W: Array, b: Array | None) -> Array:
    """The bias is not added."""
    return dense_forward(x, W, None)


@planted_fault(numpy_ops, "dense_backward", caught_by="trace")
def bias_gradient_averaged(dout: Array, x: Array, W: Array, need_dx: bool) -> Gradients:
    """The bias gradient is averaged over the batch instead of summed."""
    dx, dW, _ = dense_backward(dout, x, W, need_dx)
    return dx, dW, dout.mean(axis=0)


@planted_fault(numpy_ops, "dense_backward", caught_by="trace")
def bias_gradient_over_units(dout: Array, x: Array, W: Array, need_dx: bool) -> Gradients:
    """The bias gradient is summed over the units instead of the samples."""
    dx, dW, _ = dense_backward(dout, x, W, need_dx)
    return dx, dW, np.resize(dout.sum(axis=1), dout.shape[1]).astype(dout.dtype)


@planted_fault(numpy_ops, "dense_backward", caught_by="trace")
def weight_gradient_divided_twice(dout: Array, x: Array, W: Array, need_dx: bool) -> Gradients:
    """The weight gradient is divided by the batch size once more."""
    dx, dW, db = dense_backward(dout, x, W, need_dx)
    return dx, dW / len(x), db


@planted_fault(numpy_ops, "dense_backward", caught_by="trace")
def weight_gradient_of_absolute_inputs(dout: Array, x: Array, W: Array, need_dx: bool) -> Gradients:
    """The weight gradient is computed from |x|."""
    return dense_backward(dout, np.abs(x), W, need_dx)


@planted_fault(numpy_ops, "dense_backward", caught_by="trace")
def kernel_not_transposed(dout: Array, x: Array, W: Array, need_dx: bool) -> Gradients:
    """The gradient flows back through W, or its rows in the wrong order, instead of through Wᵀ."""
    wrong = W.T if W.shape[0] == W.shape[1] else W[::-1]
    return dense_backward(dout, x, wrong, need_dx)


@planted_fault(numpy_ops, "dense_backward", caught_by="trace")
def weights_updated_before_backward(dout: Array, x: Array, W: Array, need_dx: bool) -> Gradients:
    """The weights are updated before the gradient flows back through them."""
    _, dW, db = dense_backward(dout, x, W, False)
    return (dout @ (W - 0.01 * dW).T if need_dx else None), dW, db


@planted_fault(numpy_ops, "dense_forward", caught_by="trace")
def output_in_float64(x: Array, W: Array, b: Array | None) -> Array:
    """The output is float64 for float32 inputs."""
    return dense_forward(x.astype(np.float64), W, b)


@planted_fault(numpy_ops, "dense_forward", caught_by="accuracy")
def one_float32_accumulator(x: Array, W: Array, b: Array | None) -> Array:
    """Each sum over the inputs is one running float32 total."""
    out = np.zeros((len(x), W.shape[1]), x.dtype)
    for k in range(W.shape[0]):
        out += x[:, k : k + 1] * W[k : k + 1]
    return out if b is None else out + b


@planted_fault(numpy_ops, "dense_forward", caught_by="trace")
def half_precision_sums(x: Array, W: Array, b: Array | None) -> Array:
    """Sums are accumulated in half precision."""
    out = np.zeros((len(x), W.shape[1]), np.float16)
    for k in range(W.shape[0]):
        out = out + (x[:, k : k + 1] * W[k : k + 1]).astype(np.float16)
    return (out + (0 if b is None else b)).astype(x.dtype)


@planted_fault(numpy_ops, "dense_forward", caught_by="trace")
def half_precision_weights(x: Array, W: Array, b: Array | None) -> Array:
    """Weights are rounded to half precision."""
    return dense_forward(x, W.astype(np.float16).astype(W.dtype), b)


@planted_fault(numpy_ops, "dense_forward", caught_by="trace")
def inputs_overwritten(x: Array, W: Array, b: Array | None) -> Array:
    """The inputs are changed in place after their use."""
    out = dense_forward(x, W, b)
    if x.flags.writeable:
        x *= 0.5
    return out


@planted_fault(layers.Dense, "forward", caught_by="epoch reports")
def first_batch_kept(self: Any, x: Array) -> Array:
    """The layer keeps the inputs of its first batch for all later backward passes."""
    if not hasattr(self, "x") or len(self.x) != len(x):
        self.x = x
    return self.activate(self.ops.dense_forward(x, self.params["W"], self.params.get("b")))


@planted_fault(layers.Dense, "backward", caught_by="lock-step")
def gradients_accumulated(self: Any, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
    """Gradients are added to those of the previous backward pass."""
    dz = dout if from_logits else self.activate_backward(dout)
    dx, dW, db = self.ops.dense_backward(dz, self.x, self.params["W"], need_dx)
    new = {"W": dW, "b": db} if self.use_bias else {"W": dW}
    self.grads = {key: grad + self.grads.get(key, 0) for key, grad in new.items()}
    return dx


@planted_fault(layers.Dense, "backward", caught_by="trace")
def activation_not_differentiated(
    self: Any, dout: Array, *, from_logits: bool = False, need_dx: bool = True
) -> Array | None:
    """The derivative of a Dense layer's own activation is left out."""
    dx, dW, db = self.ops.dense_backward(dout, self.x, self.params["W"], need_dx)
    self.grads = {"W": dW, "b": db} if self.use_bias else {"W": dW}
    return dx


@planted_fault(layers.Reshape, "forward", caught_by="structure")
def reshaped_in_column_order(self: Any, x: Array) -> Array:
    """Reshape reads and fills a sample column by column."""
    self.x_shape = x.shape
    return self.activate(np.stack([sample.reshape(self.target_shape, order="F") for sample in x]))


@planted_fault(layers.Reshape, "backward", caught_by="trace")
def gradient_in_column_order(self: Any, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array:
    """The gradient of Reshape is read column by column, over the samples."""
    return np.reshape(dout, self.x_shape, order="F")[::-1]


@planted_fault(layers.Rescaling, "backward", caught_by="trace")
def gradient_not_rescaled(self: Any, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array:
    """The gradient passes Rescaling without the factor."""
    return dout


@planted_fault(layers.Rescaling, "forward", caught_by="trace")
def offset_scaled(self: Any, x: Array) -> Array:
    """The offset is added before the scaling."""
    return self.activate((x + x.dtype.type(self.offset)) * x.dtype.type(self.scale))


@planted_fault(network.Network, "backward", caught_by="nested models")
def inner_model_not_trained(self: Any, dout: Any, *arguments: Any, **options: Any) -> Array | None:
    """The layers of a model within a model get no gradient."""
    return network_backward(self, dout if isinstance(dout, Loss) else 0 * dout, *arguments, **options)


@planted_fault(network.Network, "check_inputs", caught_by="structure")
def last_axis_not_added(self: Any, x: Any, argument: str = "x") -> Any:
    """Samples (28, 28) are not accepted for an input of shape (28, 28, 1)."""
    array = check_array(argument, x)
    self.compute_output_shape(array.shape)
    return array


@planted_fault(layers.Flatten, "forward", caught_by="trace")
def flattened_in_column_order(self: Any, x: Array) -> Array:
    """Flatten unrolls a sample column by column."""
    self.x_shape = x.shape
    return self.activate(x.reshape(len(x), -1, order="F"))
