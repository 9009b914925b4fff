"""The error model of each loss; numbers in parentheses are the rules of ``error_model``.

To add a loss, add one entry to ``LOSSES``, from which the checks of losses and the networks in ``cases.CASES`` are
derived, and one planted fault.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from parity_tests.reference.activations import sigmoid, softmax
from parity_tests.reference.error_model import ELEMENTARY, LAMBDA, Array, Bounded, Rounding

EPSILON = 1e-7  # keras.config.epsilon(): Keras clips probabilities to [EPSILON, 1 − EPSILON]


class LossRule(NamedTuple):
    """The bounds of one formula of a loss, for each sample on its own; ``mean`` and ``total`` reduce them.

    Attributes:
        forward: (rounding, y, t) → losses (N,), for outputs y (N, C) and exact targets t (N, C).
        backward: (rounding, y, t) → the gradient of each sample's loss with respect to y, (N, C).

    Both also take the options of the formula, such as Huber's delta, by name; the defaults are Keras's.
    """

    forward: Callable[..., Bounded]
    backward: Callable[..., Bounded]

    def with_options(self, options: Mapping[str, float]) -> "LossRule":
        """Return the formula with other options."""
        return LossRule(partial(self.forward, **options), partial(self.backward, **options))


class LossModel(NamedTuple):
    """The formulas of one loss class.

    Attributes:
        outputs: the formula for outputs as they are.
        logits: the formula with ``from_logits=True``, which a network that ends in a softmax uses as well; None if the
            loss has no such formula.
        integer_targets: whether the targets are class indices instead of rows of one number a unit.
        logits_of: the activation whose logits the formula for logits takes.
        binary: whether each unit is a question of its own: label smoothing s adds s/2 instead of s/C.
        options: the options of the formula, each with a value that is not the default; the networks of the cases are
            trained with them.
        more_settings: other arguments of the class to compare on arrays, in addition to each reduction and logits.
    """

    outputs: LossRule
    logits: LossRule | None = None
    integer_targets: bool = False
    logits_of: str = "softmax"
    binary: bool = False
    options: Mapping[str, float] = {}
    more_settings: Sequence[Mapping[str, Any]] = ()

    def smoothed(self, t: Array, s: float) -> Array:
        """Return targets t (N, C) after label smoothing."""
        return t * (1 - s) + s / (2 if self.binary else t.shape[1])


def mean(rounding: Rounding, losses: Bounded) -> Bounded:
    """Return the mean over N samples: their errors add up (5), the sum and the division round (2, 1)."""
    size, n = np.abs(losses.value).mean(), len(losses.value)
    return Bounded(losses.value.mean(), losses.bound.mean() + (rounding.gamma(n) + 2 * rounding.u) * size)


def total(rounding: Rounding, losses: Bounded) -> Bounded:
    """Return the sum over N samples: N times the mean."""
    average, n = mean(rounding, losses), len(losses.value)
    return Bounded(average.value * n, average.bound * n)


def mean_backward(rounding: Rounding, gradient: Bounded) -> Bounded:
    """Return the gradient of the mean: that of each sample's loss, times 1 / N, with two roundings (1)."""
    n = len(gradient.value)
    return rounding.underflow(Bounded(gradient.value / n, (gradient.bound + 2 * rounding.u * gradient.magnitude) / n))


def cross_entropy(rounding: Rounding, z: Bounded, t: Array) -> Bounded:
    """Return −Σ t·log softmax(z) = Σ t·(L − c), with c = z − max z and L = log Σ exp(c).

    - ``log_sum_error``, of L: the errors of c weighted with the softmax (4), or their maximum if that is less; the
      exponentials (3), their sum (2) and the difference L − c (1); the logarithm (3).
    - ``own_error``, of c and of its term in the sum over the classes: β(z), three roundings of c (1), the sum (2).
    """
    v, error, u = z.value, z.bound, rounding.u
    gamma = rounding.gamma(v.shape[1])
    c = v - v.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(c).sum(axis=1, keepdims=True))
    weighted = (softmax(rounding, z).magnitude * (error + u * np.abs(c))).sum(axis=1, keepdims=True)
    largest = error.max(axis=1, keepdims=True) + u * np.abs(c).max(axis=1, keepdims=True)
    log_sum_error = np.minimum(weighted, largest) + (ELEMENTARY + 4) * u + gamma + ELEMENTARY * u * log_sum
    own_error = error + 3 * u * np.abs(c) + gamma * (log_sum + np.abs(c))
    return Bounded((t * (log_sum - c)).sum(axis=1), (t * (log_sum_error + own_error)).sum(axis=1))


def cross_entropy_backward(rounding: Rounding, z: Bounded, t: Array) -> Bounded:
    """Return p·Σt − t, with p = softmax(z): the error of p (4), and few roundings of both terms (1)."""
    p, targets = softmax(rounding, z), t.sum(axis=1, keepdims=True)
    bound = p.bound * targets + ELEMENTARY * rounding.u * (p.magnitude * targets + t)
    return Bounded(p.value * targets - t, bound)


def categorical_crossentropy(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return −Σ t·log q, with q = y / Σy, clipped.

    A relative error of q is an absolute error of log q (4).  The limits of the clipping are rounded themselves: 2u.
    The logarithm is an elementary function (3); the product with t and the target's own smoothing round (1).
    """
    q, relative = _rescaled(rounding, y)
    log_q = np.abs(np.log(np.clip(q, EPSILON, 1 - EPSILON)))
    terms = t * (relative + 2 * rounding.u + (ELEMENTARY + 4) * rounding.u * log_q)
    rounded = rounding.gamma(t.shape[1]) * (t * log_q).sum(axis=1)
    return Bounded((t * log_q).sum(axis=1), terms.sum(axis=1) + rounded)


def categorical_crossentropy_backward(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return (dq − Σ dq·q) / Σy, with dq = −t/q, and 0 where q is clipped.

    Each factor has few roundings (1), and the sum has its own error (2).
    The bound does not cover a q that may lie on either side of the limit of the clipping.
    """
    q, relative = _rescaled(rounding, y)
    dq = np.where((q >= EPSILON) & (q <= 1 - EPSILON), -t / np.clip(q, EPSILON, 1 - EPSILON), 0)
    flowing, gamma, u = (dq * q).sum(axis=1, keepdims=True), rounding.gamma(t.shape[1]), rounding.u
    sum_error = (np.abs(dq * q) * (2 * relative + gamma + 6 * u)).sum(axis=1, keepdims=True)
    bound = np.abs(dq) * (relative + gamma + 6 * u) + sum_error + gamma * np.abs(flowing)
    size = y.value.sum(axis=1, keepdims=True)
    return Bounded((dq - flowing) / size, bound / size)


def _rescaled(rounding: Rounding, y: Bounded) -> tuple[Array, Array]:
    """Return y / Σy, and its relative error: that of y, of the sum (4, 2) and of the division (1)."""
    size = y.value.sum(axis=1, keepdims=True)
    own = y.bound / np.maximum(np.abs(y.value), EPSILON * size)
    sum_error = y.bound.sum(axis=1, keepdims=True) / size + rounding.gamma(y.value.shape[1])
    return y.value / size, own + sum_error + rounding.u


def sparse_categorical_crossentropy(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return −Σ t·log(q / Σq), with q = y, clipped: the cross-entropy with log q as logits."""
    return cross_entropy(rounding, _log_clipped(rounding, y), t)


def sparse_categorical_crossentropy_backward(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return (softmax(log q)·Σt − t) / q, the gradient with respect to log q divided by q; 0 where y is clipped.

    The bound does not cover a y that may lie on either side of the limit of the clipping.
    """
    q = np.clip(y.value, EPSILON, 1 - EPSILON)
    gradient = cross_entropy_backward(rounding, _log_clipped(rounding, y), t)
    inside = (y.value >= EPSILON) & (y.value <= 1 - EPSILON)
    relative = y.bound / q + 4 * rounding.u
    bound = (gradient.bound + gradient.magnitude * relative) / q
    return Bounded(np.where(inside, gradient.value / q, 0), np.where(inside, bound, 0))


def _log_clipped(rounding: Rounding, y: Bounded) -> Bounded:
    """Return log q, with q = y, clipped: the relative error of q (4) with 2u for the limits, and the logarithm (3)."""
    q = np.clip(y.value, EPSILON, 1 - EPSILON)
    log_q = np.log(q)
    return Bounded(log_q, y.bound / q + 2 * rounding.u + ELEMENTARY * rounding.u * np.abs(log_q))


def mean_squared_error(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return the mean of e², with e = y − t: the errors of e (1, 4), of the square and of the mean (1, 2)."""
    e = y.value - t
    error = y.bound + rounding.u * np.abs(e)
    terms = error * (2 * np.abs(e) + error) + (3 * rounding.u + rounding.gamma(t.shape[1])) * e**2
    return Bounded((e**2).mean(axis=1), terms.mean(axis=1))


def mean_squared_error_backward(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return 2 e / C: the error of e (1, 4) and two roundings (1)."""
    e, factor = y.value - t, 2 / t.shape[1]
    return Bounded(factor * e, factor * (y.bound + 3 * rounding.u * np.abs(e)))


def mean_absolute_error(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return the mean of |e|, with e = y − t: the error of e (1, 4), and that of the mean (1, 2)."""
    e = np.abs(y.value - t)
    terms = y.bound + (3 * rounding.u + rounding.gamma(t.shape[1])) * e
    return Bounded(e.mean(axis=1), terms.mean(axis=1))


def mean_absolute_error_backward(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return sign(e) / C, with one rounding (1); where the sign of e is uncertain, the error may be 2 / C (6)."""
    e, units = y.value - t, t.shape[1]
    uncertain = (np.abs(e) <= y.bound) & (y.bound > 0)
    return Bounded(np.sign(e) / units, np.where(uncertain, LAMBDA * 2, rounding.u) / units)


def binary_crossentropy(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return the mean of −t·log q − (1 − t)·log(1 − q), with q = y, clipped to limits that are rounded themselves: 2u.

    An absolute error of q is a relative one of q or of 1 − q, and so an absolute one of the logarithm (4).
    """
    q, u = np.clip(y.value, EPSILON, 1 - EPSILON), rounding.u
    log_q, log_1q = np.abs(np.log(q)), np.abs(np.log1p(-q))
    values = t * log_q + (1 - t) * log_1q
    error = t * (y.bound + 2 * u * EPSILON) / q + (1 - t) * (y.bound + 2 * u) / (1 - q)
    error = error + ((ELEMENTARY + 4) * u + rounding.gamma(t.shape[1])) * values
    return Bounded(values.mean(axis=1), error.mean(axis=1))


def binary_crossentropy_backward(rounding: Rounding, y: Bounded, t: Array) -> Bounded:
    """Return ((1 − t)/(1 − q) − t/q) / C, and 0 where y is clipped; few roundings of either quotient (1, 4).

    The bound does not cover a y that may lie on either side of the limit of the clipping.
    """
    q, u, units = np.clip(y.value, EPSILON, 1 - EPSILON), rounding.u, t.shape[1]
    inside = (y.value >= EPSILON) & (y.value <= 1 - EPSILON)
    error = t / q * (y.bound / q + 6 * u) + (1 - t) / (1 - q) * ((y.bound + u) / (1 - q) + 6 * u)
    gradient = (1 - t) / (1 - q) - t / q
    return Bounded(np.where(inside, gradient, 0) / units, np.where(inside, error, 0) / units)


def sigmoid_cross_entropy(rounding: Rounding, z: Bounded, t: Array) -> Bounded:
    """Return the mean of max(z, 0) − z·t + log(1 + exp(−|z|)).

    Its slope is |sigmoid(z) − t| ≤ 1 (4); each of the three terms has the errors of its own roundings and functions.
    """
    v, u = z.value, rounding.u
    positive, product, rest = np.maximum(v, 0), v * t, np.log1p(np.exp(-np.abs(v)))
    sizes = np.abs(positive) + np.abs(product)
    error = z.bound + 4 * u * sizes + (2 * ELEMENTARY + 4) * u * rest
    error = error + rounding.gamma(t.shape[1]) * (sizes + rest)
    return Bounded((positive - product + rest).mean(axis=1), error.mean(axis=1))


def sigmoid_cross_entropy_backward(rounding: Rounding, z: Bounded, t: Array) -> Bounded:
    """Return (p − t) / C, with p = sigmoid(z): the error of p (3, 4), and two roundings (1)."""
    p, units = sigmoid(rounding, z), t.shape[1]
    bound = p.bound + 3 * rounding.u * (p.magnitude + t)
    return Bounded((p.value - t) / units, bound / units)


SOFTMAX_CROSS_ENTROPY = LossRule(cross_entropy, cross_entropy_backward)
LOSSES = {  # by the name of the class in scratch.losses and keras.losses
    "CategoricalCrossentropy": LossModel(
        LossRule(categorical_crossentropy, categorical_crossentropy_backward),
        SOFTMAX_CROSS_ENTROPY,
        more_settings=(
            {"label_smoothing": 0.25},
            {"label_smoothing": 0.25, "from_logits": True, "reduction": None},
        ),
    ),
    "SparseCategoricalCrossentropy": LossModel(
        LossRule(sparse_categorical_crossentropy, sparse_categorical_crossentropy_backward),
        SOFTMAX_CROSS_ENTROPY,
        integer_targets=True,
    ),
    "BinaryCrossentropy": LossModel(
        LossRule(binary_crossentropy, binary_crossentropy_backward),
        LossRule(sigmoid_cross_entropy, sigmoid_cross_entropy_backward),
        logits_of="sigmoid",
        binary=True,
        more_settings=(
            {"label_smoothing": 0.25},
            {"label_smoothing": 0.25, "from_logits": True, "reduction": None},
        ),
    ),
    "MeanSquaredError": LossModel(LossRule(mean_squared_error, mean_squared_error_backward)),
    "MeanAbsoluteError": LossModel(LossRule(mean_absolute_error, mean_absolute_error_backward)),
}
