"""Mistakes in the loss, in its targets and in its gradient with respect to the logits."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from parity_tests.diagnosis.formulas import Array, Formulas, Layer, softmax
from parity_tests.diagnosis.mistakes.catalogue import mistake

EPSILONS = (1e-7, float(np.finfo("float64").eps), float(np.finfo("float32").eps), 1e-8, 1e-15, 1e-12, 1e-10, 1e-6, 1e-4)
SCALE = "Divide the gradient of the loss by the batch size: dout = (y - t) / len(x)."


def probability_losses(f: Formulas, losses: Callable[[Array, Array], Array]) -> Formulas:
    """Return formulas with a loss that is computed from the probabilities."""
    return replace(f, losses=lambda z, out, t: losses(np.asarray(out, float), t))


@mistake("The loss is summed over the batch instead of averaged.", "Divide it by the number of samples, len(x).")
def loss_summed(f: Formulas) -> Formulas:
    return replace(f, reduce=lambda losses, classes: f.reduce(losses, classes) * len(losses))


@mistake(
    "The loss is averaged over samples and classes: it is the true one divided by the number of classes.",
    "Sum over the classes and average over the samples: -np.sum(t * np.log(y)) / len(x).",
)
def loss_divided_by_classes(f: Formulas) -> Formulas:
    return replace(f, reduce=lambda losses, classes: f.reduce(losses, classes) / classes)


@mistake("The loss is divided by the batch size twice.", "Divide it once.")
def loss_divided_twice(f: Formulas) -> Formulas:
    return replace(f, reduce=lambda losses, classes: f.reduce(losses, classes) / len(losses))


@mistake("The loss is that of the first sample alone.", "Average over all samples of the batch.")
def loss_of_first_sample(f: Formulas) -> Formulas:
    return replace(f, reduce=lambda losses, classes: f.reduce(losses[:1], classes))


@mistake("The sign of the loss is wrong.", "The loss is -np.sum(t * np.log(y)) / len(x).")
def loss_negated(f: Formulas) -> Formulas:
    return replace(f, reduce=lambda losses, classes: -f.reduce(losses, classes))


@mistake(
    "The loss is the right one multiplied by {p:g}.",
    "Remove the factor; log must be the natural logarithm.",
    values=(float(1 / np.log(2)), float(1 / np.log(10)), 0.5, 2.0),
)
def loss_scaled(f: Formulas, factor: float) -> Formulas:
    return replace(f, reduce=lambda losses, classes: factor * f.reduce(losses, classes))


@mistake(
    "The loss's logarithm has p + {p:.2g}.",
    "Compute log p from the logits, z - max z - log Σ exp(z - max z): the ε changes small probabilities.",
    values=EPSILONS,
)
def logarithm_shifted(f: Formulas, epsilon: float) -> Formulas:
    return probability_losses(f, lambda p, t: -(t * np.log(p + epsilon)).sum(axis=1))


@mistake(
    "The loss clips probabilities to [{p:.2g}, 1 - {p:.2g}].",
    "Compute log p from the logits, z - max z - log Σ exp(z - max z), without clipping.",
    values=EPSILONS,
)
def probabilities_clipped(f: Formulas, epsilon: float) -> Formulas:
    return probability_losses(f, lambda p, t: -(t * np.log(np.clip(p, epsilon, 1 - epsilon))).sum(axis=1))


@mistake(
    "The loss raises probabilities below {p:.2g} to it.",
    "Compute log p from the logits, z - max z - log Σ exp(z - max z), without a limit.",
    values=EPSILONS,
)
def probabilities_clipped_below(f: Formulas, epsilon: float) -> Formulas:
    return probability_losses(f, lambda p, t: -(t * np.log(np.maximum(p, epsilon))).sum(axis=1))


@mistake(
    "The loss takes the logarithm of probabilities that have become 0: it is infinite or NaN.",
    "Compute log p from the logits: z - max z - log Σ exp(z - max z).",
)
def logarithm_of_zero(f: Formulas) -> Formulas:
    return probability_losses(f, lambda p, t: -(t * np.log(p.astype(f.dtype).astype(float))).sum(axis=1))


@mistake(
    "The loss takes the logarithm of probabilities that have become 0: it is infinite for the true class.",
    "Compute log p from the logits: z - max z - log Σ exp(z - max z).",
)
def logarithm_of_zero_at_label(f: Formulas) -> Formulas:
    def losses(p: Array, t: Array) -> Array:
        return -np.where(t > 0, t * np.log(p.astype(f.dtype).astype(float)), 0).sum(axis=1)

    return probability_losses(f, losses)


@mistake(
    "The loss is -log Σ t·p, with the sum over the classes inside of the logarithm: soft labels give another loss.",
    "Multiply by the targets outside of the logarithm: -Σ t·log p.",
)
def sum_inside_logarithm(f: Formulas) -> Formulas:
    def losses(z: Array, out: Array, t: Array) -> Array:
        classes = np.eye(t.shape[1])
        each = np.stack([f.losses(z, out, np.tile(label, (len(t), 1))) for label in classes], axis=1)  # -log p
        return -np.logaddexp.reduce(np.log(t) - each, axis=1)

    return replace(f, losses=losses)


@mistake(
    "The loss is the binary cross-entropy of each class, summed: it has (1 - t)·log(1 - p) as well.",
    "With softmax, use the categorical cross-entropy -Σ t·log p.",
)
def binary_cross_entropy(f: Formulas) -> Formulas:
    def losses(p: Array, t: Array) -> Array:
        return -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum(axis=1)

    return probability_losses(f, losses)


def squared_error(f: Formulas, factor: float) -> Formulas:
    """Return formulas with the squared error of the probabilities, times a factor, and its gradient."""

    def gradient(z: Array, out: Array, t: Array) -> Array:
        flowing = 2 * factor * (out - t)
        return out * (flowing - (flowing * out).sum(axis=1, keepdims=True))

    changed = probability_losses(f, lambda p, t: factor * ((p - t) ** 2).sum(axis=1))
    return replace(changed, loss_gradient=gradient)


@mistake(
    "The loss is {p:g} times the squared error of the probabilities.",
    "Use the cross-entropy -Σ t·log p.",
    values=(0.5, 1.0, 0.1, 0.2),
)
def loss_is_squared_error(f: Formulas, factor: float) -> Formulas:
    return squared_error(f, factor)


@mistake(
    "The loss is {p:g} times the squared error of the probabilities; the gradient is that of the cross-entropy.",
    "Use the cross-entropy -Σ t·log p.",
    values=(0.5, 1.0, 0.1, 0.2),
)
def loss_value_is_squared_error(f: Formulas, factor: float) -> Formulas:
    return replace(squared_error(f, factor), loss_gradient=f.loss_gradient)


def hard(t: Array) -> Array:
    """Return the one-hot rows of the largest target."""
    return np.eye(t.shape[1])[t.argmax(axis=1)]


@mistake(
    "The loss and its gradient use the argmax of the targets: soft labels become hard ones.",
    "Use the targets as they are: -Σ t·log p, and dz = (p - t) / N.",
)
def soft_labels_hardened(f: Formulas) -> Formulas:
    return replace(f, targets=lambda t: hard(f.targets(t)))


@mistake(
    "The loss uses the argmax of the targets, its gradient does not: soft labels give the loss of hard ones.",
    "Use the targets as they are: -Σ t·log p.",
)
def soft_labels_hardened_in_loss(f: Formulas) -> Formulas:
    return replace(f, losses=lambda z, out, t: f.losses(z, out, hard(t)))


@mistake(
    "The gradient uses the argmax of the targets, the loss does not.", "Use the targets as they are: dz = (p - t) / N."
)
def soft_labels_hardened_in_gradient(f: Formulas) -> Formulas:
    return replace(f, loss_gradient=lambda z, out, t: f.loss_gradient(z, out, hard(t)))


@mistake("The targets are smoothed by {p:g}.", "Remove the label smoothing.", values=(0.1, 0.05, 0.2, 0.01))
def targets_smoothed(f: Formulas, s: float) -> Formulas:
    return replace(f, targets=lambda t: f.targets(t) * (1 - s) + s / t.shape[1])


@mistake(
    "The targets are multiplied by {p:g}: label smoothing leaves out its uniform part.",
    "Use the targets as they are.",
    values=(0.9, 0.95, 0.8, 0.99),
)
def targets_scaled(f: Formulas, factor: float) -> Formulas:
    return replace(f, targets=lambda t: f.targets(t) * factor)


@mistake(
    "The targets are multiplied by {p:g}, the gradient is p - {p:g}·t: label smoothing leaves out its uniform part.",
    "Use the targets as they are.",
    values=(0.9, 0.95, 0.8, 0.99),
)
def targets_scaled_beside_probabilities(f: Formulas, factor: float) -> Formulas:
    changed = replace(f, losses=lambda z, out, t: f.losses(z, out, factor * t))
    return replace(changed, loss_gradient=lambda z, out, t: f.loss_gradient(z, out, t) + (1 - factor) * t)


@mistake("The labels are counted from 1: each target is that of the next class.", "Count classes from 0.")
def labels_shifted_up(f: Formulas) -> Formulas:
    return replace(f, targets=lambda t: np.roll(f.targets(t), 1, axis=1))


@mistake("Each target is that of the class before.", "Count classes from 0.")
def labels_shifted_down(f: Formulas) -> Formulas:
    return replace(f, targets=lambda t: np.roll(f.targets(t), -1, axis=1))


@mistake(
    "Softmax is applied twice: the loss applies it to probabilities.",
    "Give the loss logits, or let it take the logarithm of the probabilities as they are.",
)
def softmax_twice_in_loss(f: Formulas) -> Formulas:
    def gradient(z: Array, out: Array, t: Array) -> Array:
        flowing = f.loss_gradient(out, softmax(out), t)
        return out * (flowing - (flowing * out).sum(axis=1, keepdims=True))

    return replace(f, losses=lambda z, out, t: f.losses(out, softmax(out), t), loss_gradient=gradient)


@mistake(
    "Softmax is applied twice: the loss applies it to probabilities, and its gradient takes them for logits.",
    "Give the loss logits, or let it take the logarithm of the probabilities as they are.",
)
def softmax_twice_in_loss_differentiated_once(f: Formulas) -> Formulas:
    return replace(softmax_twice_in_loss(f), loss_gradient=lambda z, out, t: f.loss_gradient(out, softmax(out), t))


@mistake(
    "The loss has an L2 term, {p:.2g}·ΣW², and so has the gradient, {p:.2g}·2W.",
    "Leave the penalty out when you compare with the plain loss, or set its coefficient to 0.",
    values=(0.5e-4, 1e-4, 0.5e-3, 1e-3, 0.5e-2, 1e-2, 0.05, 0.1),
)
def l2_penalty(f: Formulas, factor: float) -> Formulas:
    return l2_in_gradient(l2_in_loss(f, factor), 2 * factor)


@mistake(
    "The loss has an L2 term divided by the batch size, {p:.2g}·ΣW² / N, and so has the gradient, {p:.2g}·2W / N.",
    "Leave the penalty out when you compare with the plain loss, or set its coefficient to 0.",
    values=(0.5e-4, 1e-4, 0.5e-3, 1e-3, 0.5e-2, 1e-2, 0.05, 0.1),
)
def l2_penalty_divided(f: Formulas, factor: float) -> Formulas:
    def penalty(kernels: Sequence[Array], samples: int) -> float:
        return f.penalty(kernels, samples) + factor * sum(float((W**2).sum()) for W in kernels) / samples

    def gradient(layer: Layer, x: Array, dz: Array, W: Array) -> Array:
        return f.weight_gradient(layer, x, dz, W) + 2 * factor * W / len(x)

    return replace(f, penalty=penalty, weight_gradient=gradient)


@mistake(
    "The loss has an L2 term, {p:.2g}·ΣW², whose gradient is missing.",
    "Add 2·{p:.2g}·W to each dW, or leave the penalty out.",
    values=(0.5e-4, 1e-4, 0.5e-3, 1e-3, 0.5e-2, 1e-2, 0.05, 0.1),
)
def l2_in_loss(f: Formulas, factor: float) -> Formulas:
    def penalty(kernels: Sequence[Array], samples: int) -> float:
        return f.penalty(kernels, samples) + factor * sum(float((W**2).sum()) for W in kernels)

    return replace(f, penalty=penalty)


@mistake(
    "The gradient of W has an L2 term, {p:.2g}·W, that the loss does not have.",
    "Remove it: dW = np.dot(x.T, dout).",
    values=(1e-4, 1e-3, 1e-2, 0.1, 5e-4),
)
def l2_in_gradient(f: Formulas, factor: float) -> Formulas:
    return replace(f, weight_gradient=lambda layer, x, dz, W: f.weight_gradient(layer, x, dz, W) + factor * W)


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
