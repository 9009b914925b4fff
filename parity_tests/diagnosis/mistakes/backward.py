"""Mistakes in the backward pass of the layers: they change the gradients, and not the loss."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import Array, Formulas, Layer, Slope
from parity_tests.diagnosis.mistakes.catalogue import mistake


def slope_of(f: Formulas, activation: str, slope: Callable[[Slope], Array]) -> Formulas:
    """Return formulas with another derivative of one activation function."""
    return replace(f, slope=lambda layer, at: slope(at) if layer.activation == activation else f.slope(layer, at))


@mistake(
    "The derivative of the hidden activation is left out: dout passes unchanged.",
    "Multiply by it: for ReLU, dout[out <= 0] = 0.",
)
def slope_left_out(f: Formulas) -> Formulas:
    return replace(f, slope=lambda layer, at: np.ones_like(at.z))


@mistake(
    "The ReLU passes the gradient where its input is exactly 0.",
    "The derivative at 0 is 0, as in Keras: the mask is z > 0, not z >= 0.",
)
def relu_slope_at_zero(f: Formulas) -> Formulas:
    return slope_of(f, "relu", lambda at: (at.z >= 0).astype(float))


@mistake("The ReLU passes half of the gradient where its input is exactly 0.", "The derivative at 0 is 0: use z > 0.")
def relu_slope_half_at_zero(f: Formulas) -> Formulas:
    return slope_of(f, "relu", lambda at: np.heaviside(at.z, 0.5))


@mistake("The ReLU's derivative is inverted: it passes the gradient where the input is negative.", "The mask is z > 0.")
def relu_slope_inverted(f: Formulas) -> Formulas:
    return slope_of(f, "relu", lambda at: (at.z <= 0).astype(float))


@mistake(
    "The ReLU's mask is that of the gradient: it passes dout where dout > 0.", "The mask is that of the input: z > 0."
)
def relu_slope_of_gradient(f: Formulas) -> Formulas:
    return slope_of(f, "relu", lambda at: (at.dout > 0).astype(float))


@mistake(
    "The ReLU's derivative is its own output: dout is multiplied by out instead of by out > 0.",
    "Multiply by the mask: dout * (out > 0).",
)
def relu_slope_is_output(f: Formulas) -> Formulas:
    return slope_of(f, "relu", lambda at: at.out)


@mistake(
    "The derivative of the activation is that of another layer's output.",
    "Use the output of the layer that the gradient passes through.",
)
def slope_of_other_layer(f: Formulas) -> Formulas:
    def slope(layer: Layer, at: Slope) -> Array:
        other = np.resize(at.other.T, at.out.T.shape).T  # the first units, repeated where there are too few
        return f.slope(layer, at._replace(z=other, out=other))

    return replace(f, slope=slope)


@mistake(
    "The ReLU has a slope of {p:g} for negative inputs in the backward pass, but not in the forward pass.",
    "The derivative there is 0: dout[out <= 0] = 0.",
    values=(0.01, 0.1, 0.2, 0.3, 0.001),
)
def leaky_slope(f: Formulas, slope: float) -> Formulas:
    return slope_of(f, "relu", lambda at: np.where(at.z > 0, 1, slope))


@mistake("The sigmoid's derivative is computed from its input: z·(1 - z).", "Use its output: out * (1 - out).")
def sigmoid_slope_of_input(f: Formulas) -> Formulas:
    return slope_of(f, "sigmoid", lambda at: at.z * (1 - at.z))


@mistake("The sigmoid is applied twice in its derivative.", "out is the sigmoid already: use out * (1 - out).")
def sigmoid_slope_applied_twice(f: Formulas) -> Formulas:
    def slope(at: Slope) -> Array:
        s = 1 / (1 + np.exp(-at.out))
        return s * (1 - s)

    return slope_of(f, "sigmoid", slope)


@mistake("The sigmoid's derivative is out, without the factor 1 - out.", "Use out * (1 - out).")
def sigmoid_slope_incomplete(f: Formulas) -> Formulas:
    return slope_of(f, "sigmoid", lambda at: at.out)


@mistake("The sigmoid's derivative is 1 - out, without the factor out.", "Use out * (1 - out).")
def sigmoid_slope_without_output(f: Formulas) -> Formulas:
    return slope_of(f, "sigmoid", lambda at: 1 - at.out)


@mistake("The tanh's derivative is computed from its input: 1 - z².", "Use its output: 1 - out**2.")
def tanh_slope_of_input(f: Formulas) -> Formulas:
    return slope_of(f, "tanh", lambda at: 1 - at.z**2)


@mistake("The tanh is applied twice in its derivative.", "out is the tanh already: use 1 - out**2.")
def tanh_slope_applied_twice(f: Formulas) -> Formulas:
    return slope_of(f, "tanh", lambda at: 1 - np.tanh(at.out) ** 2)


@mistake("The tanh's derivative is 1 - out: out is not squared.", "Use 1 - out**2.")
def tanh_slope_not_squared(f: Formulas) -> Formulas:
    return slope_of(f, "tanh", lambda at: 1 - at.out)


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
