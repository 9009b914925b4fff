"""Mistakes in the backward pass of the layers: they change the gradients, and not the loss."""

from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import Array, Formulas, Layer
from parity_tests.diagnosis.mistakes.catalogue import mistake


@mistake(
    "The gradient of W is divided by the batch size once more.",
    "dW = np.dot(x.T, dout): the division is in dout already.",
)
def weight_gradient_divided(f: Formulas) -> Formulas:
    return replace(f, weight_gradient=lambda layer, x, dz, W: f.weight_gradient(layer, x, dz, W) / len(x))


@mistake("The gradient of W is N times Keras's.", "dW = np.dot(x.T, dout), with dout divided by N once.")
def weight_gradient_summed(f: Formulas) -> Formulas:
    return replace(f, weight_gradient=lambda layer, x, dz, W: f.weight_gradient(layer, x, dz, W) * len(x))


@mistake("The gradient of W is Keras's multiplied by {p:g}.", "dW = np.dot(x.T, dout).", values=(2.0, 0.5, 10.0, 0.1))
def weight_gradient_scaled(f: Formulas, factor: float) -> Formulas:
    return replace(f, weight_gradient=lambda layer, x, dz, W: f.weight_gradient(layer, x, dz, W) * factor)


@mistake("The gradient of W has the wrong sign.", "dW = np.dot(x.T, dout).")
def weight_gradient_negated(f: Formulas) -> Formulas:
    return replace(f, weight_gradient=lambda layer, x, dz, W: -f.weight_gradient(layer, x, dz, W))


@mistake("The gradient of W is zero.", "dW = np.dot(x.T, dout).")
def weight_gradient_zero(f: Formulas) -> Formulas:
    return replace(f, weight_gradient=lambda layer, x, dz, W: 0 * W)


@mistake("The gradients of W and b are zero.", "dW = np.dot(x.T, dout), db = np.sum(dout, axis=0).")
def gradients_zero(f: Formulas) -> Formulas:
    return bias_gradient_zero(weight_gradient_zero(f))


@mistake("The gradient of W is computed from |x|.", "Use the inputs with their signs: dW = np.dot(x.T, dout).")
def weight_gradient_of_absolute_inputs(f: Formulas) -> Formulas:
    return replace(f, weight_gradient=lambda layer, x, dz, W: f.weight_gradient(layer, np.abs(x), dz, W))


@mistake("The gradient of W is transposed or reshaped.", "dW = np.dot(x.T, dout) has W's shape as it is.")
def weight_gradient_transposed(f: Formulas) -> Formulas:
    def gradient(layer: Layer, x: Array, dz: Array, W: Array) -> Array:
        return f.weight_gradient(layer, x, dz, W).T.reshape(W.shape)

    return replace(f, weight_gradient=gradient)


@mistake("The backward pass uses the inputs of an earlier batch.", "Keep the inputs of every forward pass: self.x = x.")
def first_inputs_kept(f: Formulas) -> Formulas:
    return replace(f, inputs=lambda layer, calls: calls.first if len(calls.first) == len(calls.x) else calls.x)


@mistake(
    "dW is computed from dout as it was before the derivative of the activation.",
    "Multiply by the derivative first, dz = dout * (out > 0) for ReLU, then dW = np.dot(x.T, dz).",
)
def weight_gradient_before_slope(f: Formulas) -> Formulas:
    return replace(f, flowing=lambda layer, dout, dz: f.flowing(layer, dout, dz)._replace(weights=dout))


@mistake(
    "db is computed from dout as it was before the derivative of the activation.",
    "Multiply by the derivative first, dz = dout * (out > 0) for ReLU, then db = np.sum(dz, axis=0).",
)
def bias_gradient_before_slope(f: Formulas) -> Formulas:
    return replace(f, flowing=lambda layer, dout, dz: f.flowing(layer, dout, dz)._replace(bias=dout))


@mistake(
    "The gradient is sent back as it was before the derivative of the activation.",
    "Multiply by the derivative first, dz = dout * (out > 0) for ReLU, then dx = np.dot(dz, W.T).",
)
def input_gradient_before_slope(f: Formulas) -> Formulas:
    return replace(f, flowing=lambda layer, dout, dz: f.flowing(layer, dout, dz)._replace(inputs=dout))


@mistake(
    "dW is computed from the inputs of the activation before it, z, instead of its outputs.",
    "Use what the layer multiplies by W in the forward pass: dW = np.dot(out.T, dout).",
)
def inputs_before_activation(f: Formulas) -> Formulas:
    return replace(f, inputs=lambda layer, calls: f.inputs(layer, calls._replace(x=calls.z)))


@mistake(
    "dW of the first layer is computed from x as it was given, not as the forward pass changed it.",
    "Use what the layer multiplies by W in the forward pass.",
)
def inputs_as_given(f: Formulas) -> Formulas:
    return replace(f, inputs=lambda layer, calls: calls.x if layer.index == 0 else f.inputs(layer, calls))


@mistake(
    "The gradient of b is averaged over the batch.", "Sum it, dout is divided by N already: db = np.sum(dout, axis=0)."
)
def bias_gradient_averaged(f: Formulas) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: f.bias_gradient(layer, dz) / len(dz))


@mistake("The gradient of b is N times Keras's.", "Sum dout, which is divided by N, once: db = np.sum(dout, axis=0).")
def bias_gradient_summed(f: Formulas) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: f.bias_gradient(layer, dz) * len(dz))


@mistake(
    "db is one number, np.sum(dout).",
    "It must be np.sum(dout, axis=0); for the last layer the total is always 0, so that its bias never learns.",
)
def bias_gradient_one_number(f: Formulas) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: np.full(dz.shape[1], dz.sum()))


@mistake("db is one number, np.mean(dout).", "It must be np.sum(dout, axis=0).")
def bias_gradient_one_mean(f: Formulas) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: np.full(dz.shape[1], dz.mean()))


@mistake(
    "The gradient of b is summed over the units (axis 1) instead of the samples (axis 0).",
    "db = np.sum(dout, axis=0).",
)
def bias_gradient_over_units(f: Formulas) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: np.resize(dz.sum(axis=1), dz.shape[1]))


@mistake("The gradient of b is that of the first sample.", "db = np.sum(dout, axis=0).")
def bias_gradient_of_first_sample(f: Formulas) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: dz[0])


@mistake("The gradient of b is that of the last sample.", "db = np.sum(dout, axis=0).")
def bias_gradient_of_last_sample(f: Formulas) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: dz[-1])


@mistake("The gradient of b is zero.", "db = np.sum(dout, axis=0).")
def bias_gradient_zero(f: Formulas) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: np.zeros(dz.shape[1]))


@mistake("The gradient of b has the wrong sign.", "db = np.sum(dout, axis=0).")
def bias_gradient_negated(f: Formulas) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: -f.bias_gradient(layer, dz))


@mistake(
    "The gradient of b is Keras's multiplied by {p:g}.", "db = np.sum(dout, axis=0).", values=(2.0, 0.5, 10.0, 0.1)
)
def bias_gradient_scaled(f: Formulas, factor: float) -> Formulas:
    return replace(f, bias_gradient=lambda layer, dz: f.bias_gradient(layer, dz) * factor)


@mistake(
    "The gradient flows back through W instead of its transpose, or through a reshaped W.",
    "dx = np.dot(dout, W.T).",
)
def backward_weights_not_transposed(f: Formulas) -> Formulas:
    def gradient(layer: Layer, dz: Array, W: Array, dW: Array, rate: float) -> Array:
        return f.input_gradient(layer, dz, W.T if W.shape[0] == W.shape[1] else W.T.reshape(W.shape), dW, rate)

    return replace(f, input_gradient=gradient)


@mistake("The gradient flows back through the rows of W in reverse order.", "dx = np.dot(dout, W.T).")
def backward_weights_reversed(f: Formulas) -> Formulas:
    return replace(f, input_gradient=lambda layer, dz, W, dW, rate: f.input_gradient(layer, dz, W[::-1], dW, rate))


@mistake("The gradient flows back through |W|.", "dx = np.dot(dout, W.T).")
def backward_weights_absolute(f: Formulas) -> Formulas:
    return replace(f, input_gradient=lambda layer, dz, W, dW, rate: f.input_gradient(layer, dz, np.abs(W), dW, rate))


@mistake("The gradient is not sent back to the layers before.", "dx = np.dot(dout, W.T).")
def gradient_not_sent_back(f: Formulas) -> Formulas:
    return replace(f, input_gradient=lambda layer, dz, W, dW, rate: np.zeros((len(dz), len(W))))


@mistake("The gradient that is sent back has the wrong sign.", "dx = np.dot(dout, W.T).")
def gradient_sent_back_negated(f: Formulas) -> Formulas:
    return replace(f, input_gradient=lambda layer, dz, W, dW, rate: -f.input_gradient(layer, dz, W, dW, rate))


@mistake(
    "The gradient that is sent back is multiplied by {p:g}.", "dx = np.dot(dout, W.T).", values=(2.0, 0.5, 10.0, 0.1)
)
def gradient_sent_back_scaled(f: Formulas, factor: float) -> Formulas:
    return replace(f, input_gradient=lambda layer, dz, W, dW, r: f.input_gradient(layer, dz, W, dW, r) * factor)


@mistake("The gradient is divided by the batch size in every layer.", "Divide it once, in the loss.")
def gradient_divided_in_every_layer(f: Formulas) -> Formulas:
    return replace(f, input_gradient=lambda layer, dz, W, dW, r: f.input_gradient(layer, dz, W, dW, r) / len(dz))


@mistake(
    "The weights are updated before the gradient is sent back through them.",
    "Compute all gradients first, dx = np.dot(dout, W.T), then update the weights.",
)
def updated_before_backward(f: Formulas) -> Formulas:
    def gradient(layer: Layer, dz: Array, W: Array, dW: Array, rate: float) -> Array:
        return f.input_gradient(layer, dz, W - rate * dW, dW, rate)

    return replace(f, input_gradient=gradient)


@mistake(
    "The weights are updated, with a learning rate of {p:g}, before the gradient is sent back through them.",
    "Compute all gradients first, dx = np.dot(dout, W.T), then update the weights.",
    values=(0.01, 0.1, 0.001, 1.0),
)
def updated_before_backward_by_constant(f: Formulas, constant: float) -> Formulas:
    def gradient(layer: Layer, dz: Array, W: Array, dW: Array, rate: float) -> Array:
        return f.input_gradient(layer, dz, W - constant * dW, dW, rate)

    return replace(f, input_gradient=gradient)


@mistake("Gradients are added to those of earlier calls.", "Set them to zero before each backward pass.")
def gradients_accumulated(f: Formulas) -> Formulas:
    return replace(f, accumulate=lambda gradient, earlier: f.accumulate(gradient, earlier) + earlier)


@mistake(
    "Gradients are limited to [-{p:g}, {p:g}].", "Remove the clipping.", values=(1.0, 5.0, 0.5, 10.0, 0.1, 0.05, 0.01)
)
def gradients_clipped(f: Formulas, limit: float) -> Formulas:
    return replace(f, accumulate=lambda gradient, earlier: np.clip(f.accumulate(gradient, earlier), -limit, limit))


@mistake(
    "The gradient of each parameter is limited to an L2 norm of {p:g}.",
    "Remove the clipping.",
    values=(1.0, 5.0, 0.5, 10.0, 0.1),
)
def norms_clipped(f: Formulas, limit: float) -> Formulas:
    def limited(gradient: Array) -> Array:
        return gradient * _factor(float(np.sqrt((gradient**2).sum())), limit)

    return replace(f, accumulate=lambda gradient, earlier: limited(f.accumulate(gradient, earlier)))


@mistake(
    "All gradients together are limited to an L2 norm of {p:g}.",
    "Remove the clipping.",
    values=(1.0, 5.0, 0.5, 10.0, 0.1),
)
def common_norm_clipped(f: Formulas, limit: float) -> Formulas:
    return replace(f, shrink=lambda norm: _factor(norm, limit))


def _factor(norm: float, limit: float) -> float:
    """Return what limits a norm; a search may try limits of 0 and less, also for a norm of 0."""
    return limit / norm if norm > max(limit, 0) else 1.0
