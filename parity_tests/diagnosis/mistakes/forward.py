"""Mistakes in the forward pass: they change the outputs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import ACTIVATIONS, SLOPES, Array, Formulas, Layer
from parity_tests.diagnosis.mistakes.catalogue import mistake


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
        for k in range(W.shape[0]):
            out = out + (x[:, k : k + 1] * W[k : k + 1]).astype(np.float16)
        return out + b

    return replace(f, affine=affine)


@mistake(
    "The inputs are divided by {p:g} within the network.",
    "Scale the data once, before it is given to the network.",
    values=(255.0, 256.0, 127.5),
)
def inputs_scaled(f: Formulas, divisor: float) -> Formulas:
    def scaled(layer: Layer, x: Array) -> Array:
        return x / divisor if layer.index == 0 else x

    return replace(
        f,
        affine=lambda layer, x, W, b: f.affine(layer, scaled(layer, x), W, b),
        inputs=lambda layer, calls: scaled(layer, f.inputs(layer, calls)),
    )


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


def other_softmax(f: Formulas, softmax: Callable[[Array], Array]) -> Formulas:
    """Return formulas with another softmax, whose outputs the loss and its gradient p − t use."""
    return replace(
        output(f, softmax),
        losses=lambda z, out, t: -(t * np.log(out.astype(f.dtype).astype(float))).sum(axis=1),
        loss_gradient=lambda z, out, t: out * t.sum(axis=1, keepdims=True) - t,
    )


@mistake(
    "Softmax overflows: exp(z) is infinite from z = 710 on (88 in float32).",
    "Subtract each row's maximum first: np.exp(z - z.max(axis=1, keepdims=True)).",
)
def softmax_overflows(f: Formulas) -> Formulas:
    def softmax(z: Array) -> Array:
        e = np.exp(z.astype(f.dtype)).astype(float)
        return e / e.sum(axis=1, keepdims=True)

    return other_softmax(f, softmax)


@mistake(
    "Softmax overflows, in the outputs and the gradient: exp(z) is infinite from z = 710 on (88 in float32).",
    "Subtract each row's maximum first: np.exp(z - z.max(axis=1, keepdims=True)).",
)
def softmax_overflows_outside_loss(f: Formulas) -> Formulas:
    return replace(softmax_overflows(f), losses=f.losses)


@mistake(
    "Softmax subtracts the maximum of the whole batch: rows far below it become 0 / 0.",
    "Subtract each row's own maximum: z.max(axis=1, keepdims=True).",
)
def softmax_maximum_of_batch(f: Formulas) -> Formulas:
    def softmax(z: Array) -> Array:
        e = np.exp((z - z.max()).astype(f.dtype)).astype(float)
        return e / e.sum(axis=1, keepdims=True)

    return replace(output(f, softmax), loss_gradient=lambda z, out, t: out * t.sum(axis=1, keepdims=True) - t)


@mistake(
    "Softmax normalises over the samples (axis 0) instead of the classes (axis 1).",
    "Sum over the last axis: e / e.sum(axis=1, keepdims=True).",
)
def softmax_over_samples(f: Formulas) -> Formulas:
    def softmax(z: Array) -> Array:
        e = np.exp(z - z.max(axis=0, keepdims=True))
        return e / e.sum(axis=0, keepdims=True)

    return other_softmax(f, softmax)


@mistake(
    "Softmax normalises over samples and classes together: the whole batch sums to 1.",
    "Sum over the last axis: e / e.sum(axis=1, keepdims=True).",
)
def softmax_over_everything(f: Formulas) -> Formulas:
    def softmax(z: Array) -> Array:
        e = np.exp(z - z.max())
        return e / e.sum()

    return other_softmax(f, softmax)


@mistake("Softmax is applied twice.", "Apply it once, in the network or in the loss.")
def softmax_twice(f: Formulas) -> Formulas:
    return other_softmax(f, lambda z: ACTIVATIONS["softmax"](ACTIVATIONS["softmax"](z)))


@mistake("Softmax is applied twice in the outputs, and once in the loss.", "Apply it once.")
def softmax_twice_in_outputs(f: Formulas) -> Formulas:
    return output(f, lambda z: ACTIVATIONS["softmax"](ACTIVATIONS["softmax"](z)))


@mistake(
    "The last layer has no softmax: the loss takes its logits for probabilities.", "Apply softmax to the last layer."
)
def softmax_missing(f: Formulas) -> Formulas:
    return other_softmax(f, lambda z: z)


@mistake("The last layer has a sigmoid instead of a softmax.", "Use softmax: the classes exclude each other.")
def sigmoid_instead_of_softmax(f: Formulas) -> Formulas:
    return other_softmax(f, ACTIVATIONS["sigmoid"])


@mistake("Softmax does not normalise: it returns exp(z - max z).", "Divide by the sum of each row.")
def softmax_not_normalised(f: Formulas) -> Formulas:
    return other_softmax(f, lambda z: np.exp(z - z.max(axis=1, keepdims=True)))
