"""The error model of each activation function; numbers in parentheses are the rules of ``error_model``.

To add an activation, add one entry to ``ACTIVATIONS``: the checks and their cases are derived from
``scratch.layers.ACTIVATIONS``, and ``unit/test_error_model.py`` tests the new bounds.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from parity_tests.reference.error_model import ELEMENTARY, LAMBDA, Array, Bounded, Rounding


class ActivationModel(NamedTuple):
    """The bounds of one activation function.

    Attributes:
        forward: (rounding, z) → out.
        backward: (rounding, dout, z, out) → dz, the gradient with respect to z.
    """

    forward: Callable[[Rounding, Bounded], Bounded]
    backward: Callable[[Rounding, Bounded, Bounded, Bounded], Bounded]


def linear(rounding: Rounding, z: Bounded) -> Bounded:
    """Return the identity of z: nothing is computed."""
    return z


def linear_backward(rounding: Rounding, dout: Bounded, z: Bounded, out: Bounded) -> Bounded:
    """Return dout."""
    return dout


def relu(rounding: Rounding, z: Bounded) -> Bounded:
    """Return max(z, 0), which is exact and has slope 1 (4); it is certainly 0 if z + β(z) is not positive."""
    return Bounded(np.maximum(z.value, 0), np.where(z.value <= -z.bound, 0, z.bound))


def relu_backward(rounding: Rounding, dout: Bounded, z: Bounded, out: Bounded) -> Bounded:
    """Return dout where z > 0, else 0; where the sign of z is uncertain, the error may be all of dout (6)."""
    active, inactive = z.value > z.bound, z.value <= -z.bound
    bound = np.where(active, dout.bound, np.where(inactive, 0, LAMBDA * dout.magnitude))
    return Bounded(np.where(z.value > 0, dout.value, 0), bound)


def sigmoid(rounding: Rounding, z: Bounded) -> Bounded:
    """Return s = 1 / (1 + exp(−z)), with slope s·(1 − s); the range of the values is 1."""
    nearest = _nearest_to_zero(z)
    return _s_shaped(rounding, z, _sigmoid(z.value), _sigmoid(nearest) * _sigmoid(-nearest), value_range=1)


def sigmoid_backward(rounding: Rounding, dout: Bounded, z: Bounded, out: Bounded) -> Bounded:
    """Return dout·out·(1 − out); 1 − out has an absolute error of the order of u, also where out is near 1."""
    o = out.value
    return _times_slope(rounding, dout, o * (1 - o), 2 * out.bound + 4 * rounding.u * np.abs(o))


def tanh(rounding: Rounding, z: Bounded) -> Bounded:
    """Return t = tanh z, with slope 1 − t²; the range of the values is 2."""
    return _s_shaped(rounding, z, np.tanh(z.value), 1 - np.tanh(_nearest_to_zero(z)) ** 2, value_range=2)


def tanh_backward(rounding: Rounding, dout: Bounded, z: Bounded, out: Bounded) -> Bounded:
    """Return dout·(1 − out²); 1 − out² has an absolute error of the order of u."""
    return _times_slope(rounding, dout, 1 - out.value**2, 2 * out.bound + 4 * rounding.u)


def leaky_relu(negative_slope: float = 0.2) -> "ActivationModel":
    """Return the bounds of z where z > 0, else negative_slope·z, with the roundings of slope and product (1).

    Keras on TensorFlow rounds the slope to float32, for float64 tensors too.
    """
    slope_error = 2 * Rounding("float32").u

    def forward(rounding: Rounding, z: Bounded) -> Bounded:
        inactive, u = z.value <= -z.bound, rounding.u
        bound = np.where(inactive, negative_slope * (z.bound + (2 * u + slope_error) * z.magnitude), z.bound)
        return rounding.underflow(Bounded(np.where(z.value > 0, z.value, negative_slope * z.value), bound))

    def backward(rounding: Rounding, dout: Bounded, z: Bounded, out: Bounded) -> Bounded:
        # At z = 0 Keras has the slope of negative z on TensorFlow, and that of positive z on JAX.
        active, inactive = z.value > z.bound, z.value < -z.bound
        slope = np.where(z.value > 0, 1, negative_slope)
        certain = slope * dout.bound + np.where(
            active, 0, (2 * rounding.u + slope_error) * negative_slope * dout.magnitude
        )
        bound = np.where(active | inactive, certain, LAMBDA * dout.magnitude)
        return rounding.underflow(Bounded(slope * dout.value, bound))

    return ActivationModel(forward, backward)


def elu(alpha: float = 1.0) -> "ActivationModel":
    """Return the bounds of z where z > 0, else alpha·(exp(z) − 1).

    Keras computes exp(z) first, which has a relative error (3) and is near 1 for small z: the error of the difference
    is absolute.
    """

    def forward(rounding: Rounding, z: Bounded) -> Bounded:
        nearest = np.minimum(z.value + z.bound, 0)
        slope = np.where(z.value + z.bound > 0, max(1, alpha), alpha * np.exp(nearest))
        value = np.where(z.value > 0, z.value, alpha * np.expm1(np.minimum(z.value, 0)))
        rounded = (ELEMENTARY + 4) * rounding.u * alpha * np.exp(nearest) + 4 * rounding.u * np.abs(value)
        return rounding.underflow(Bounded(value, slope * z.bound + np.where(z.value > z.bound, 0, rounded)))

    def backward(rounding: Rounding, dout: Bounded, z: Bounded, out: Bounded) -> Bounded:
        slope = np.where(z.value > 0, 1, out.value + alpha)
        uncertain = np.where(z.value > z.bound, 0, out.bound + 4 * rounding.u * (np.abs(out.value) + alpha))
        jump = abs(1 - alpha) * LAMBDA * (np.abs(z.value) <= z.bound)  # the slope at 0 is 1 or alpha (6)
        return _times_slope(rounding, dout, slope, uncertain + jump)

    return ActivationModel(forward, backward)


def softplus(rounding: Rounding, z: Bounded) -> Bounded:
    """Return log(1 + exp(z)), whose slope, the sigmoid, is largest at the upper end of what z may be (4)."""
    value = np.logaddexp(z.value, 0)
    propagated = _sigmoid(z.value + z.bound) * z.bound
    return rounding.underflow(Bounded(value, propagated + ELEMENTARY * rounding.u * value))


def softplus_backward(rounding: Rounding, dout: Bounded, z: Bounded, out: Bounded) -> Bounded:
    """Return dout·(1 − exp(−out)), or dout times the sigmoid of z, as Keras does."""
    slope = -np.expm1(-out.value)
    error = np.exp(-np.maximum(out.value - out.bound, 0)) * out.bound + ELEMENTARY * rounding.u * slope
    return _times_slope(rounding, dout, slope, error)


def softmax(rounding: Rounding, z: Bounded) -> Bounded:
    """Return p = exp(z − max z) / Σ exp(z − max z), over the last axis.

    An error d in z multiplies its exponential by exp(d), so the errors here are relative:

    - ``own``, of one exponential: β(z), the subtraction u·|z − max z| (1) and the exponential (3);
    - ``others``, of the sum, a mean of the exponentials' errors weighted with p; for large errors, where p itself is
      uncertain, their maximum;
    - γ(n) for adding n terms (2), and 2u for the division.

    exp(own + others + …) − 1 is the relative error of p, limited to p's range (6).
    """
    v, error = z
    shifted = v - v.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    own = error + rounding.u * np.abs(shifted) + ELEMENTARY * rounding.u
    others = (p * own).sum(axis=1, keepdims=True) if own.max() < 0.1 else own.max(axis=1, keepdims=True)
    # 1.2: below 0.1, higher-order terms of the errors add less than a fifth to those of the sum.
    relative = np.expm1(np.minimum(own + 1.2 * others + rounding.gamma(v.shape[1]) + 2 * rounding.u, 50))
    return rounding.underflow(Bounded(p, np.minimum(p * relative, LAMBDA)))


def softmax_backward(rounding: Rounding, dout: Bounded, z: Bounded, out: Bounded) -> Bounded:
    """Return out·(dout − s), with s = Σ dout·out over the last axis.

    The error of s is that of its terms (4) and of their sum (2); the difference and the product add their roundings.
    """
    (d, d_error), (o, o_error), u = dout, out, rounding.u
    s = (d * o).sum(axis=1, keepdims=True)
    s_error = (dout.magnitude * o_error + d_error * np.abs(o)).sum(axis=1, keepdims=True)
    s_error = s_error + rounding.gamma(o.shape[1] + 2) * (dout.magnitude * out.magnitude).sum(axis=1, keepdims=True)
    bound = o_error * (np.abs(d - s) + d_error + s_error)
    bound = bound + np.abs(o) * (d_error + s_error + 4 * u * (np.abs(d) + np.abs(s)))
    return rounding.underflow(Bounded(o * (d - s), bound))


def _nearest_to_zero(z: Bounded) -> Array:
    """Return the magnitude nearest to zero within reach of z, where the slope of an S-shaped function is largest."""
    return np.maximum(np.abs(z.value) - z.bound, 0)


def _s_shaped(rounding: Rounding, z: Bounded, value: Array, slope: Array, value_range: float) -> Bounded:
    """Return an S-shaped function of z: the input's error times the slope (4), limited to the range of values (6)."""
    propagated = np.minimum(slope * z.bound, value_range * LAMBDA)
    return rounding.underflow(Bounded(value, propagated + ELEMENTARY * rounding.u * np.abs(value)))


def _times_slope(rounding: Rounding, dout: Bounded, slope: Array, slope_error: Array) -> Bounded:
    """Return dout·slope: the errors of both factors (4) and 4u for the products that form them (1)."""
    bound = dout.bound * np.abs(slope) + dout.magnitude * (slope_error + 4 * rounding.u * np.abs(slope))
    return rounding.underflow(Bounded(dout.value * slope, bound))


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


ACTIVATIONS = {
    "elu": elu(),
    "leaky_relu": leaky_relu(),
    "linear": ActivationModel(linear, linear_backward),
    "relu": ActivationModel(relu, relu_backward),
    "sigmoid": ActivationModel(sigmoid, sigmoid_backward),
    "softplus": ActivationModel(softplus, softplus_backward),
    "softmax": ActivationModel(softmax, softmax_backward),
    "tanh": ActivationModel(tanh, tanh_backward),
}
