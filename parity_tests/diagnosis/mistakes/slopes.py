"""Mistakes in the derivative of a hidden activation: they change the gradients, and not the loss."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import ACTIVATIONS, SLOPES, Array, Formulas, Layer, Slope
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


def slope_of_another(f: Formulas, activation: str, slope: Callable[[Slope], Array]) -> Formulas:
    """Return formulas in which every hidden activation has the derivative of this one."""
    return replace(f, slope=lambda layer, at: f.slope(layer, at) if layer.activation == activation else slope(at))


@mistake(
    "The derivative is that of a sigmoid, out·(1 - out), which is not the activation of the layer.",
    "Use the derivative of the activation: dout * (out > 0) for ReLU, dout * (1 - out**2) for tanh.",
)
def slope_of_sigmoid(f: Formulas) -> Formulas:
    return slope_of_another(f, "sigmoid", lambda at: SLOPES["sigmoid"](at.out))


@mistake(
    "The derivative is that of a sigmoid of z, which is not the activation of the layer.",
    "Use the derivative of the activation: dout * (out > 0) for ReLU, dout * (1 - out**2) for tanh.",
)
def slope_of_sigmoid_of_input(f: Formulas) -> Formulas:
    return slope_of_another(f, "sigmoid", lambda at: SLOPES["sigmoid"](ACTIVATIONS["sigmoid"](at.z)))


@mistake(
    "The derivative is that of a tanh, 1 - out², which is not the activation of the layer.",
    "Use the derivative of the activation: dout * (out > 0) for ReLU, dout * out * (1 - out) for sigmoid.",
)
def slope_of_tanh(f: Formulas) -> Formulas:
    return slope_of_another(f, "tanh", lambda at: SLOPES["tanh"](at.out))


@mistake(
    "The derivative is that of a tanh of z, which is not the activation of the layer.",
    "Use the derivative of the activation: dout * (out > 0) for ReLU, dout * out * (1 - out) for sigmoid.",
)
def slope_of_tanh_of_input(f: Formulas) -> Formulas:
    return slope_of_another(f, "tanh", lambda at: SLOPES["tanh"](np.tanh(at.z)))


@mistake(
    "The derivative is that of a ReLU, z > 0, which is not the activation of the layer.",
    "Use the derivative of the activation: dout * out * (1 - out) for sigmoid, dout * (1 - out**2) for tanh.",
)
def slope_of_relu(f: Formulas) -> Formulas:
    return slope_of_another(f, "relu", lambda at: (at.z > 0).astype(float))
