"""Faults in functions on arrays: activations, losses and metrics by name, penalties, ``normalize``; metric classes."""

from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import activations, losses, metrics, regularizers, utils

Array = np.ndarray
elu, binary_crossentropy = activations.elu, losses.binary_crossentropy


@planted_fault(activations, "elu", caught_by="functions")
def function_with_another_slope(x: Any, alpha: float = 1.0) -> Array:
    """The function ``elu`` has the slope of the layer ELU, halved, where x is negative."""
    return elu(x, alpha=alpha / 2)


@planted_fault(losses, "binary_crossentropy", caught_by="functions")
def loss_function_reduced(y_true: Any, y_pred: Any, *arguments: Any, **options: Any) -> Array:
    """A loss called as a function returns the mean of the batch."""
    return binary_crossentropy(y_true, y_pred, *arguments, **options).mean()


@planted_fault(regularizers.L1, "__init__", caught_by="functions")
def other_default_of_l1(self: Any, l1: float = 0.1) -> None:
    """L1 has 0.1 in place of 0.01 as its default."""
    regularizers.L1L2.__init__(self, l1=l1)


@planted_fault(regularizers.L2, "__init__", caught_by="functions")
def l2_of_magnitudes(self: Any, l2: float = 0.01) -> None:
    """L2 adds magnitudes instead of squares."""
    regularizers.L1L2.__init__(self, l1=l2)


@planted_fault(utils, "normalize", caught_by="functions")
def normalized_by_columns(x: Any, axis: int = -1, order: int = 2) -> Array:
    """Columns are normalized instead of rows."""
    return x / np.linalg.norm(x, order, 0, keepdims=True)


@planted_fault(metrics.BinaryAccuracy, "values", caught_by="metrics")
def threshold_ignored(self: Any, y_true: Array, y_pred: Array) -> Array:
    """An output counts as a 1 from 0.5 on, whatever the threshold is."""
    return np.equal(y_pred > 0.5, y_true.reshape(y_pred.shape))


@planted_fault(metrics.MeanSquaredError, "values", caught_by="metrics")
def metric_of_halved_squares(self: Any, y_true: Array, y_pred: Array) -> Array:
    """The squared error as a metric is halved, as in the book."""
    return np.square(y_true - y_pred) / 2


@planted_fault(metrics.MeanAbsoluteError, "values", caught_by="metrics")
def metric_of_signed_errors(self: Any, y_true: Array, y_pred: Array) -> Array:
    """Errors of opposite signs cancel in the absolute error."""
    return y_true - y_pred


@planted_fault(metrics.MeanMetricWrapper, "values", caught_by="metrics")
def metric_of_the_first_sample(self: Any, y_true: Array, y_pred: Array) -> Array:
    """A metric function gets the first sample only, whose values stand for all."""
    return np.asarray(self.fn(y_true[:1], y_pred[:1])).repeat(len(y_true), axis=0)


@planted_fault(metrics.Mean, "reset_state", caught_by="metrics")
def values_kept_after_a_reset(self: Any) -> None:
    """``reset_state`` keeps the values so far."""
    self.total, self.count = getattr(self, "total", 0.0), getattr(self, "count", 0)
