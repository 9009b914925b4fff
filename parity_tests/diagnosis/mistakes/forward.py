"""Mistakes in the forward pass: they change the outputs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import ACTIVATIONS, SLOPES, Array, Formulas, Layer
from parity_tests.diagnosis.mistakes.catalogue import mistake

SCALE_ONCE = "Prepare the data once, with the statistics of the training data, before it is given to the network."


def hidden(f: Formulas, activation: Callable[[Array], Array]) -> Formulas:
    """Return formulas with another activation in the hidden layers."""
    return replace(f, activate=lambda layer, z: f.activate(layer, z) if layer.last else activation(z))


def output(f: Formulas, activation: Callable[[Array], Array]) -> Formulas:
    """Return formulas with another activation in the last layer."""
    return replace(f, activate=lambda layer, z: activation(z) if layer.last else f.activate(layer, z))


@mistake("The bias is missing: out = x·W.", "Add it: out = np.dot(x, W) + b.")
def bias_missing(f: Formulas) -> Formulas:
    return replace(f, affine=lambda layer, x, W, b: f.affine(layer, x, W, 0 * b))


@mistake("The bias is added twice.", "Add it once: out = np.dot(x, W) + b.")
def bias_twice(f: Formulas) -> Formulas:
    return replace(f, affine=lambda layer, x, W, b: f.affine(layer, x, W, 2 * b))


@mistake("The bias is subtracted.", "Add it: out = np.dot(x, W) + b.")
def bias_subtracted(f: Formulas) -> Formulas:
    return replace(f, affine=lambda layer, x, W, b: f.affine(layer, x, W, -b))


@mistake(
    "W is transposed or reshaped before it is used: each output belongs to other weights.",
    "Use W with the shape (inputs, units) as it is: out = np.dot(x, W) + b.",
)
def weights_transposed(f: Formulas) -> Formulas:
    def affine(layer: Layer, x: Array, W: Array, b: Array) -> Array:
        return f.affine(layer, x, W.T if W.shape[0] == W.shape[1] else W.T.reshape(W.shape), b)

    return replace(f, affine=affine)


@mistake("The weights are rounded to half precision.", "Keep W in float32: remove the conversion to float16.")
def half_precision_weights(f: Formulas) -> Formulas:
    return replace(f, affine=lambda layer, x, W, b: f.affine(layer, x, W.astype(np.float16).astype(float), b))


@mistake("The sums over the inputs are accumulated in half precision.", "Accumulate in the dtype of x: np.dot(x, W).")
def half_precision_sums(f: Formulas) -> Formulas:
    def affine(layer: Layer, x: Array, W: Array, b: Array) -> Array:
        out = np.zeros((len(x), W.shape[1]), np.float16)
        for product in (x.T[:, :, None] * W[:, None, :]).astype(np.float16):  # one input after another
            out += product
        return out + b

    return replace(f, affine=affine)


def prepared(f: Formulas, change: Callable[[Array], Array]) -> Formulas:
    """Return formulas in which the network changes its inputs first; its backward pass uses the changed inputs."""

    def changed(layer: Layer, x: Array) -> Array:
        return change(x) if layer.index == 0 else x

    return replace(
        f,
        affine=lambda layer, x, W, b: f.affine(layer, changed(layer, x), W, b),
        inputs=lambda layer, calls: changed(layer, f.inputs(layer, calls)),
    )


@mistake(
    "The inputs are divided by {p:g} within the network.",
    SCALE_ONCE,
    values=(255.0, 256.0, 127.5),
)
def inputs_scaled(f: Formulas, divisor: float) -> Formulas:
    return prepared(f, lambda x: x / divisor)


@mistake("The inputs of each batch are divided by their maximum within the network.", SCALE_ONCE)
def inputs_divided_by_maximum(f: Formulas) -> Formulas:
    return prepared(f, lambda x: x / x.max())


@mistake(
    "The inputs are standardised with the statistics of each batch, (x - mean) / (deviation + {p:g}): the outputs of a "
    "sample depend on the other samples.",
    SCALE_ONCE,
    values=(1e-8, 1e-7, 1e-5, 1e-3, 1e-12, 0.0),
)
def inputs_standardised(f: Formulas, epsilon: float) -> Formulas:
    return prepared(f, lambda x: (x - x.mean(axis=0)) / (x.std(axis=0) + epsilon))


@mistake("The inputs of each batch are standardised with one mean and one deviation of all entries.", SCALE_ONCE)
def inputs_standardised_together(f: Formulas) -> Formulas:
    return prepared(f, lambda x: (x - x.mean()) / x.std())


@mistake("The mean of each batch is subtracted from the inputs within the network.", SCALE_ONCE)
def inputs_centred(f: Formulas) -> Formulas:
    return prepared(f, lambda x: x - x.mean(axis=0))


@mistake("One mean of all entries of each batch is subtracted from the inputs within the network.", SCALE_ONCE)
def inputs_centred_together(f: Formulas) -> Formulas:
    return prepared(f, lambda x: x - x.mean())


@mistake("The hidden activation is missing.", "Apply it after x·W + b: out = activation(z).")
def activation_missing(f: Formulas) -> Formulas:
    return replace(hidden(f, lambda z: z), slope=lambda layer, at: np.ones_like(at.z))


@mistake(
    "The hidden activation is missing in the forward pass; the backward pass has its derivative.",
    "Apply it after x·W + b: out = activation(z).",
)
def activation_missing_forward_only(f: Formulas) -> Formulas:
    return replace(
        hidden(f, lambda z: z),
        slope=lambda layer, at: SLOPES[layer.activation](ACTIVATIONS[layer.activation](at.z)),
    )


@mistake(
    "The activation is applied before x·W + b, not after it: two layers are swapped.",
    "Apply it to the result: out = activation(np.dot(x, W) + b).",
)
def activation_before_affine(f: Formulas) -> Formulas:
    def given(layer: Layer, x: Array) -> Array:
        return ACTIVATIONS[layer.activation](x) if layer.index == 0 and not layer.last else x

    return replace(
        f,
        affine=lambda layer, x, W, b: f.affine(layer, given(layer, x), W, b),
        inputs=lambda layer, calls: given(layer, f.inputs(layer, calls)),
        activate=lambda layer, z: z if layer.after == 1 else f.activate(layer, z),
        slope=lambda layer, at: np.ones_like(at.z) if layer.after == 1 else f.slope(layer, at),
    )


@mistake(
    "The ReLU has a slope of {p:g} for negative inputs.",
    "Return 0 there: np.maximum(0, z).",
    values=(0.01, 0.1, 0.2, 0.3, 0.001),
)
def leaky_relu(f: Formulas, slope: float) -> Formulas:
    changed = hidden(f, lambda z: np.where(z > 0, z, slope * z))
    return replace(changed, slope=lambda layer, at: np.where(at.z > 0, 1, slope))


@mistake(
    "The ReLU has a slope of {p:g} for negative inputs in the forward pass, but not in the backward pass.",
    "Return 0 there: np.maximum(0, z).",
    values=(0.01, 0.1, 0.2, 0.3, 0.001),
)
def leaky_relu_forward_only(f: Formulas, slope: float) -> Formulas:
    changed = hidden(f, lambda z: np.where(z > 0, z, slope * z))
    return replace(changed, slope=lambda layer, at: (at.z > 0).astype(float))


@mistake("The ReLU is |z|: negative inputs change their sign.", "Return 0 for them: np.maximum(0, z).")
def relu_is_absolute(f: Formulas) -> Formulas:
    return replace(hidden(f, np.abs), slope=lambda layer, at: np.sign(at.z))


@mistake("The ReLU is limited to {p:g}.", "Remove the upper limit: np.maximum(0, z).", values=(1.0, 6.0))
def relu_limited(f: Formulas, limit: float) -> Formulas:
    changed = hidden(f, lambda z: np.clip(z, 0, limit))
    return replace(changed, slope=lambda layer, at: ((at.z > 0) & (at.z < limit)).astype(float))


@mistake(
    "The sigmoid overflows: exp(-z), or exp(z) / (1 + exp(z)), is infinite for large |z|.",
    "Use 1 / (1 + exp(-z)) for z ≥ 0 and exp(z) / (1 + exp(z)) for z < 0.",
)
def sigmoid_overflows(f: Formulas) -> Formulas:
    def sigmoid(z: Array) -> Array:
        e = np.exp(z.astype(f.dtype))
        return (e / (1 + e)).astype(float)

    return replace(f, activate=lambda layer, z: sigmoid(z) if layer.activation == "sigmoid" else f.activate(layer, z))


@mistake("The last layer has the hidden activation before its softmax.", "Give the softmax x·W + b as it is.")
def activation_before_softmax(f: Formulas) -> Formulas:
    def affine(layer: Layer, x: Array, W: Array, b: Array) -> Array:
        z = f.affine(layer, x, W, b)
        return ACTIVATIONS["relu"](z) if layer.last else z

    return replace(f, affine=affine)


@mistake(
    "The last layer has the hidden activation before its softmax, and its derivative in the backward pass.",
    "Give the softmax x·W + b as it is.",
)
def activation_in_last_layer(f: Formulas) -> Formulas:
    changed = activation_before_softmax(f)
    return replace(changed, loss_gradient=lambda z, out, t: f.loss_gradient(z, out, t) * (z > 0))
