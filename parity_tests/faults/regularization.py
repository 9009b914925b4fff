"""Faults in Dropout, BatchNormalization and the regularizers."""

from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch.layers import BatchNormalization, Dropout
from scratch.regularizers import L1L2

Array = np.ndarray
forward, scaled = Dropout.forward, Dropout._scaled
normalize, backward = BatchNormalization.forward, BatchNormalization.backward


@planted_fault(Dropout, "_scaled", caught_by="trace")
def factor_left_out(self: Any, x: Array) -> Array:
    """Dropout does not divide by 1 − rate."""
    return x if self.keep is None else np.where(self.keep, x, 0)


@planted_fault(Dropout, "_scaled", caught_by="trace")
def kept_and_dropped_exchanged(self: Any, x: Array) -> Array:
    """Dropout keeps a share of ``rate`` instead of 1 − rate."""
    return x if self.keep is None else np.where(~self.keep, x / x.dtype.type(self.rate), 0)


@planted_fault(Dropout, "backward", caught_by="trace")
def gradient_not_masked(self: Any, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array:
    """The gradient flows back through the inputs that were dropped."""
    return dout


@planted_fault(Dropout, "forward", caught_by="dropout")
def dropped_in_inference(self: Any, x: Array, training: bool = False) -> Array:
    """Dropout also drops in inference."""
    return forward(self, x, training=True)


@planted_fault(Dropout, "forward", caught_by="dropout")
def scaled_in_inference(self: Any, x: Array, training: bool = False) -> Array:
    """Inference multiplies by 1 − rate, although training has divided by it."""
    out = forward(self, x, training)
    return out if training else out * out.dtype.type(1 - self.rate)


@planted_fault(Dropout, "forward", caught_by="layers in training")
def one_mask_for_all_steps(self: Any, x: Array, training: bool = False) -> Array:
    """Each step drops the same units."""
    self.state["masks"][1] = 0
    return forward(self, x, training)


@planted_fault(Dropout, "forward", caught_by="dropout")
def one_mask_for_all_samples(self: Any, x: Array, training: bool = False) -> Array:
    """All samples of a batch lose the same units."""
    out = forward(self, x, training)
    if self.keep is not None:
        self.keep = np.broadcast_to(self.keep[:1], x.shape)
        out = self.activate(scaled(self, x))
    return out


@planted_fault(BatchNormalization, "forward", caught_by="trace")
def moving_statistics_in_training(self: Any, x: Array, training: bool = False) -> Array:
    """Training normalizes with the moving statistics."""
    out = normalize(self, x, training=False)
    self.training = training
    return out


@planted_fault(BatchNormalization, "forward", caught_by="layers in training")
def variance_with_one_degree_less(self: Any, x: Array, training: bool = False) -> Array:
    """The moving variance takes the sum of squares divided by N − 1."""
    out = normalize(self, x, training)
    if training:
        moving = self.state["moving_variance"]
        moving += (1 - self.momentum) * x.var(axis=0) / (len(x) - 1)
    return out


@planted_fault(BatchNormalization, "forward", caught_by="layers in training")
def momentum_exchanged(self: Any, x: Array, training: bool = False) -> Array:
    """The moving statistics keep a share of 1 − momentum."""
    self.momentum = 1 - self.momentum
    out = normalize(self, x, training)
    self.momentum = 1 - self.momentum
    return out


@planted_fault(BatchNormalization, "backward", caught_by="trace")
def statistics_not_differentiated(self: Any, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Any:
    """The gradient treats mean and variance of the batch as constants."""
    self.training = False
    return backward(self, dout)


@planted_fault(BatchNormalization, "forward", caught_by="structure")
def batch_statistics_in_inference(self: Any, x: Array, training: bool = False) -> Array:
    """Inference normalizes with the statistics of its batch."""
    return normalize(self, x, training=True)


@planted_fault(BatchNormalization, "backward", caught_by="trace")
def nothing_flows_back_without_gamma(
    self: Any, dout: Array, *, from_logits: bool = False, need_dx: bool = True
) -> Array:
    """A layer that does not scale passes no gradient on."""
    dx = backward(self, dout)
    return dx if self.scale else 0 * dx


@planted_fault(BatchNormalization, "forward", caught_by="trace")
def epsilon_outside_the_root(self: Any, x: Array, training: bool = False) -> Array:
    """The deviation is √variance + epsilon."""
    epsilon, self.epsilon = self.epsilon, 0.0
    normalize(self, x, training)
    self.epsilon, self.std = epsilon, self.std + epsilon
    axes = tuple(range(x.ndim - 1))
    self.xn = ((x - x.mean(axis=axes)) / self.std).astype(x.dtype)
    return self.activate(self.xn * self.params["gamma"] + self.params["beta"])


@planted_fault(L1L2, "gradient", caught_by="trace")
def penalty_gradient_halved(self: Any, W: Array) -> Array:
    """The gradient of the squared penalty is l2·W instead of 2·l2·W."""
    return self.l1 * np.sign(W) + self.l2 * W


@planted_fault(L1L2, "gradient", caught_by="trace")
def penalty_without_a_gradient(self: Any, W: Array) -> Array:
    """The penalty is added to the loss, but not to the gradients."""
    return 0 * W


@planted_fault(L1L2, "__call__", caught_by="trace")
def penalty_not_in_the_loss(self: Any, W: Array) -> float:
    """The penalty is missing in the loss, but not in the gradients."""
    return 0.0
