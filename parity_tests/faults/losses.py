"""Faults in the losses: their formulas, gradients, reductions and targets."""

from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import losses, metrics, network, training
from scratch.losses.weighted import WeightedLoss
from scratch.ops import numpy_ops

Array = np.ndarray
EPSILON = 1e-7
softmax_forward = numpy_ops.softmax_forward


def losses_of_samples(self: Any, y: Array, t: Array) -> Array:
    """Return the loss of each sample, and keep y and t for the backward pass, as ``Loss.forward`` does."""
    self.y, self.t = y, t
    return getattr(self.ops, f"{self.op}_forward")(y, t)


def gradients_of_samples(self: Any) -> Array:
    """Return the gradient of each sample's own loss."""
    return getattr(self.ops, f"{self.op}_backward")(self.y, self.t)


@planted_fault(numpy_ops, "softmax_cross_entropy_forward", caught_by="trace")
def logarithm_of_shifted_probability(x: Array, t: Array) -> Array:
    """The loss is computed through log(p + 1e-7)."""
    return -(t * np.log(softmax_forward(x) + EPSILON)).sum(axis=-1)


@planted_fault(losses.Loss, "backward", caught_by="trace")
def loss_gradient_not_divided(self: Any) -> Array:
    """The gradient of the loss is not divided by the batch size."""
    return gradients_of_samples(self)


@planted_fault(losses.Loss, "backward", caught_by="trace")
def loss_gradient_divided_by_classes(self: Any) -> Array:
    """The gradient of the loss is divided by batch size times classes."""
    return gradients_of_samples(self) / self.y.size


@planted_fault(losses.Loss, "forward", caught_by="trace")
def loss_summed(self: Any, y: Array, t: Array) -> Array:
    """The loss is summed over the batch instead of averaged."""
    return np.asarray(losses_of_samples(self, y, t).sum(), y.dtype)


@planted_fault(numpy_ops, "softmax_cross_entropy_backward", caught_by="trace")
def loss_gradient_negated(x: Array, t: Array) -> Array:
    """The gradient of the loss is t − p instead of p − t."""
    return t - softmax_forward(x)


@planted_fault(numpy_ops, "softmax_cross_entropy_backward", caught_by="trace")
def softmax_differentiated_twice(x: Array, t: Array) -> Array:
    """The gradient of softmax and loss is p·(p − t)."""
    y = softmax_forward(x)
    return y * (y - t)


@planted_fault(numpy_ops, "categorical_crossentropy_forward", caught_by="losses")
def probabilities_not_rescaled(y: Array, t: Array) -> Array:
    """Probabilities are not rescaled to sum to 1."""
    return -(t * np.log(np.clip(y, EPSILON, 1 - EPSILON))).sum(axis=-1)


@planted_fault(numpy_ops, "categorical_crossentropy_forward", caught_by="losses")
def probabilities_not_clipped(y: Array, t: Array) -> Array:
    """Probabilities are not clipped."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return -(t * np.log(y / y.sum(axis=-1, keepdims=True))).sum(axis=-1)


@planted_fault(numpy_ops, "categorical_crossentropy_backward", caught_by="losses")
def probability_gradient_zero(y: Array, t: Array) -> Array:
    """The gradient with respect to probabilities is zero."""
    return np.zeros_like(y)


@planted_fault(numpy_ops, "categorical_crossentropy_backward", caught_by="losses")
def rescaling_not_differentiated(y: Array, t: Array) -> Array:
    """The gradient with respect to probabilities is −t/y: their rescaling is not differentiated."""
    return -t / y


@planted_fault(network.Network, "compute_loss", caught_by="trace")
def softmax_not_fused(self: Any, loss: Any, y: Array, t: Array) -> Any:
    """A softmax at the end is not fused with the loss: the loss uses its probabilities."""
    return loss, loss.forward(y, t)


@planted_fault(losses.Loss, "forward", caught_by="trace")
def smoothing_without_uniform_part(self: Any, y: Array, t: Array) -> Array:
    """Label smoothing leaves out the uniform part s/C."""
    values = losses_of_samples(self, y, t * (1 - self.label_smoothing))
    if self.reduction == "none":
        return values
    return np.asarray(values.sum() / (len(y) if self.reduction != "sum" else 1), values.dtype)


@planted_fault(losses.CategoricalCrossentropy, "for_logits", caught_by="trace")
def smoothing_lost_after_softmax(self: Any) -> Any:
    """Label smoothing is lost when the loss is fused with a softmax."""
    return losses.SoftmaxCrossEntropy(self.reduction)


@planted_fault(losses.SparseCategoricalCrossentropy, "targets", caught_by="trace")
def labels_shifted(self: Any, y: Array, units: int, dtype: Any) -> Array:
    """Labels are counted from 1."""
    return np.eye(units, dtype=dtype)[(y.reshape(-1) + 1) % units]


@planted_fault(numpy_ops, "mean_squared_error_forward", caught_by="losses")
def squares_halved(y: Array, t: Array) -> Array:
    """The squared error is halved, as in the book, and its gradient is not."""
    return np.square(y - t).mean(axis=1) / 2


@planted_fault(numpy_ops, "mean_squared_error_backward", caught_by="losses in training")
def squares_summed_over_units(y: Array, t: Array) -> Array:
    """The gradient of the squared error is not divided by the number of units."""
    return 2 * (y - t)


@planted_fault(numpy_ops, "mean_absolute_error_backward", caught_by="losses")
def distance_not_signed(y: Array, t: Array) -> Array:
    """The gradient of the absolute error has no sign."""
    return np.ones_like(y) / y.shape[1]


@planted_fault(numpy_ops, "binary_crossentropy_forward", caught_by="losses")
def negative_answers_ignored(y: Array, t: Array) -> Array:
    """Binary cross-entropy leaves out the units whose target is 0."""
    return -(t * np.log(np.clip(y, EPSILON, 1 - EPSILON))).mean(axis=1)


@planted_fault(numpy_ops, "sigmoid_cross_entropy_backward", caught_by="trace")
def sigmoid_differentiated_twice(x: Array, t: Array) -> Array:
    """The gradient of sigmoid and binary cross-entropy is p·(1 − p)·(p − t) / C."""
    p = numpy_ops.sigmoid_forward(x)
    return p * (1 - p) * (p - t) / x.shape[1]


@planted_fault(losses.BinaryCrossentropy, "smooth", caught_by="losses")
def binary_targets_smoothed_over_classes(self: Any, t: Array) -> Array:
    """Smoothing of binary targets adds s/C instead of s/2."""
    return losses.Loss.smooth(self, t)


@planted_fault(losses.SigmoidCrossEntropy, "smooth", caught_by="trace")
def binary_smoothing_lost_after_sigmoid(self: Any, t: Array) -> Array:
    """Smoothing of binary targets is lost when the loss is fused with a sigmoid."""
    return t


@planted_fault(WeightedLoss, "reduce", caught_by="weighted training")
def divided_by_sum_of_weights(self: Any, values: Array) -> Array:
    """A weighted loss is divided by the sum of the weights instead of the number of samples."""
    return np.asarray(values.sum() / self.sample_weight.sum(), values.dtype)


@planted_fault(WeightedLoss, "backward", caught_by="weighted training")
def weights_missing_in_gradient(self: Any) -> Array:
    """The gradient of a weighted loss has no weights."""
    return self.loss.backward() / len(self.y)


@planted_fault(training, "weights_of", caught_by="weighted training")
def class_weights_ignored(y: Array, sample_weight: Any = None, class_weight: Any = None, argument: str = "") -> Any:
    """``class_weight`` has no effect."""
    return None if sample_weight is None else np.asarray(sample_weight)


@planted_fault(metrics.CategoricalAccuracy, "add_values", caught_by="weighted training")
def weighted_metric_divided_by_samples(self: Any, values: Array, sample_weight: Any) -> None:
    """A weighted metric is divided by the number of samples instead of the sum of the weights."""
    self.add(float(np.sum(values if sample_weight is None else values * sample_weight)), values.size)
