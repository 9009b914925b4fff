"""Mistakes in the gradient of the loss with respect to the logits: its size, its sign, its formula."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import Array, Formulas, softmax
from parity_tests.diagnosis.mistakes.catalogue import mistake
from parity_tests.diagnosis.mistakes.loss import EPSILONS

SCALE = "Divide the gradient of the loss by the batch size: dout = (y - t) / len(x)."


@mistake("The gradient is not divided by the batch size: it is N times Keras's.", SCALE)
def gradient_summed(f: Formulas) -> Formulas:
    return replace(f, scale=lambda samples, classes: f.scale(samples, classes) * samples)


@mistake("The gradient is divided by the batch size twice: it is 1/N of Keras's.", "Divide it once, in the loss.")
def gradient_divided_twice(f: Formulas) -> Formulas:
    return replace(f, scale=lambda samples, classes: f.scale(samples, classes) / samples)


@mistake("The gradient is divided by the number of classes as well.", SCALE)
def gradient_divided_by_classes(f: Formulas) -> Formulas:
    return replace(f, scale=lambda samples, classes: f.scale(samples, classes) / classes)


@mistake("The gradient is divided by the number of classes instead of the batch size.", SCALE)
def gradient_divided_by_classes_only(f: Formulas) -> Formulas:
    return replace(f, scale=lambda samples, classes: f.scale(samples, classes) * samples / classes)


@mistake(
    "The gradient is divided by {p:g}, whatever the size of the batch: a short last batch is averaged wrongly.",
    "Divide by the number of samples of the batch that was given, len(x).",
    values=(32.0, 100.0, 64.0, 128.0, 10.0),
)
def gradient_divided_by_constant(f: Formulas, divisor: float) -> Formulas:
    return replace(f, scale=lambda samples, classes: f.scale(samples, classes) * samples / divisor)


@mistake(
    "The gradient is Keras's multiplied by {p:g}.", "Remove the factor: dz = (p - t) / N.", values=(2.0, 0.5, 10.0, 0.1)
)
def gradient_scaled(f: Formulas, factor: float) -> Formulas:
    return replace(f, scale=lambda samples, classes: f.scale(samples, classes) * factor)


@mistake("The gradient has the wrong sign: it is t - p.", "Use dz = (p - t) / N.")
def gradient_negated(f: Formulas) -> Formulas:
    return replace(f, scale=lambda samples, classes: -f.scale(samples, classes))


def probability_gradient(f: Formulas, gradient: Callable[[Array, Array], Array]) -> Formulas:
    """Return formulas with another gradient of the loss, computed from the probabilities and the targets."""
    return replace(f, loss_gradient=lambda z, out, t: gradient(softmax(z).astype(f.dtype).astype(float), t))


@mistake(
    "The softmax is differentiated once more: the gradient is p·(1 - p)·(p - t).",
    "p - t is the derivative of softmax and cross-entropy together: do not multiply it by p·(1 - p).",
)
def sigmoid_slope_after_softmax(f: Formulas) -> Formulas:
    return probability_gradient(f, lambda p, t: (p - t) * p * (1 - p))


@mistake(
    "The softmax is differentiated once more: the gradient is p·(p - t).",
    "p - t is the derivative of softmax and cross-entropy together: do not multiply it by p.",
)
def softmax_differentiated_twice(f: Formulas) -> Formulas:
    return probability_gradient(f, lambda p, t: p * (p - t))


@mistake(
    "The softmax is differentiated once more: p - t passes through its Jacobian.",
    "p - t is already the derivative with respect to the logits: pass it on as it is.",
)
def softmax_jacobian_twice(f: Formulas) -> Formulas:
    return probability_gradient(f, lambda p, t: p * (p - t - (p * (p - t)).sum(axis=1, keepdims=True)))


@mistake(
    "The softmax is not differentiated: the gradient with respect to the logits is -t/p.",
    "Use dz = (p - t) / N, the derivative of softmax and cross-entropy together.",
)
def softmax_not_differentiated(f: Formulas) -> Formulas:
    return probability_gradient(f, lambda p, t: -t / p)


@mistake(
    "The softmax is differentiated entry by entry, like a sigmoid: the gradient is -t·(1 - p).",
    "Every probability depends on every logit: use dz = (p - t) / N.",
)
def softmax_entry_by_entry(f: Formulas) -> Formulas:
    return probability_gradient(f, lambda p, t: -t * (1 - p))


@mistake("The gradient of the loss is p: the targets are not subtracted.", "Use dz = (p - t) / N.")
def targets_not_subtracted(f: Formulas) -> Formulas:
    return probability_gradient(f, lambda p, t: p)


@mistake("The gradient of the loss is zero.", "Use dz = (p - t) / N.")
def gradient_zero(f: Formulas) -> Formulas:
    return replace(f, scale=lambda samples, classes: 0.0)


@mistake("Every gradient is that of the first sample alone.", "Sum over all samples of the batch.")
def gradient_of_first_sample(f: Formulas) -> Formulas:
    def gradient(z: Array, out: Array, t: Array) -> Array:
        dz = f.loss_gradient(z, out, t).copy()
        dz[1:] = 0
        return dz

    return replace(f, loss_gradient=gradient)


@mistake("Every gradient is that of the last sample alone.", "Sum over all samples of the batch.")
def gradient_of_last_sample(f: Formulas) -> Formulas:
    def gradient(z: Array, out: Array, t: Array) -> Array:
        dz = f.loss_gradient(z, out, t).copy()
        dz[:-1] = 0
        return dz

    return replace(f, loss_gradient=gradient)


@mistake("The last sample is left out of every gradient.", "Sum over all samples of the batch.")
def gradient_without_last_sample(f: Formulas) -> Formulas:
    def gradient(z: Array, out: Array, t: Array) -> Array:
        dz = f.loss_gradient(z, out, t).copy()
        dz[-1] = 0
        return dz

    return replace(f, loss_gradient=gradient)


@mistake("The loss differentiates log(p + {p:.2g}).", "Use dz = (p - t) / N, from the logits.", values=EPSILONS)
def gradient_of_shifted_logarithm(f: Formulas, epsilon: float) -> Formulas:
    def gradient(p: Array, t: Array) -> Array:
        flowing = -t / (p + epsilon)
        return p * (flowing - (flowing * p).sum(axis=1, keepdims=True))

    return probability_gradient(f, gradient)


@mistake(
    "The loss clips probabilities to [{p:.2g}, 1 - {p:.2g}], and its gradient is 0 where it does.",
    "Use dz = (p - t) / N, from the logits.",
    values=EPSILONS,
)
def gradient_of_clipped_probabilities(f: Formulas, epsilon: float) -> Formulas:
    def gradient(p: Array, t: Array) -> Array:
        flowing = np.where((p >= epsilon) & (p <= 1 - epsilon), -t / p, 0)
        return p * (flowing - (flowing * p).sum(axis=1, keepdims=True))

    return probability_gradient(f, gradient)
