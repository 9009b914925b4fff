"""The error model of layers other than Dense; numbers in parentheses are the rules of ``error_model``.

To add a layer that keeps the shape of its input, add one entry to ``LAYERS`` and its settings to ``SETTINGS``: the
cases have a network with each of them between its Dense layers.  A key is the class; what follows a comma tells several
settings of it apart.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import keras
import numpy as np

from parity_tests.reference.activations import ActivationModel, elu, leaky_relu
from parity_tests.reference.error_model import LAMBDA, Array, Bounded, Rounding, exact

Settings = Mapping[str, Any]


class Pass(NamedTuple):
    """What a layer computes with.

    Attributes:
        rounding: the arithmetic.
        settings: the arguments of the layer.
        step: the number of the training step, from 0.
        params: the layer's weights by name.
        x: the input.
    """

    rounding: Rounding
    settings: Settings
    step: int
    params: Mapping[str, Bounded]
    x: Bounded


class LayerModel(NamedTuple):
    """The bounds of one layer.

    Attributes:
        forward: returns out, in training.
        backward: returns the gradient with respect to x, and those of the parameters by name, for dout.
        inference: returns out, in inference; the default is x.
        moved: returns the weights without a gradient after a step, by name.
        weights: draws weights, for a number of units.
    """

    forward: Callable[[Pass], Bounded]
    backward: Callable[[Pass, Bounded], tuple[Bounded, dict[str, Bounded]]]
    inference: Callable[[Pass], Bounded] = lambda p: p.x
    moved: Callable[[Pass], dict[str, Bounded]] = lambda p: {}
    weights: Callable[[np.random.Generator, int], dict[str, Array]] = lambda rng, units: {}


def kept(settings: Settings, step: int, shape: tuple[int, ...]) -> Array:
    """Return the mask of a Dropout in a training step: scratch's, which Keras is given (``masks_for_keras``)."""
    return np.random.default_rng([settings["seed"], step]).random(shape, np.float32) >= settings["rate"]


def dropout(p: Pass) -> Bounded:
    """Return x·mask / (1 − rate)."""
    factor = kept(p.settings, p.step, p.x.value.shape) / (1 - p.settings["rate"])
    return _scaled(p.rounding, p.x, factor)


def rescaling(p: Pass) -> Bounded:
    """Return x·scale + offset; the setting is rounded, too (1)."""
    offset = np.full_like(p.x.value, p.settings["offset"])
    scaled = _scaled(p.rounding, p.x, p.settings["scale"])
    return p.rounding.add(scaled, Bounded(offset, p.rounding.u * np.abs(offset)))


class Statistics(NamedTuple):
    """Mean and variance of each unit, s = √(variance + ε), and (x − mean) / s."""

    mean: Bounded
    variance: Bounded
    s: Bounded
    xn: Bounded


def _batch_statistics(p: Pass) -> Statistics:
    """Return the statistics over the samples: sums (2), whose input errors add up (5)."""
    x, u, n = p.x.value, p.rounding.u, len(p.x.value)
    mean = x.mean(axis=0)
    mean_error = p.x.bound.mean(axis=0) + (p.rounding.gamma(n) + u) * p.x.magnitude.mean(axis=0)
    centred = x - mean
    error = p.x.bound + mean_error + u * np.abs(centred)
    variance = (centred**2).mean(axis=0)
    squares = (2 * np.abs(centred) * error + error**2).mean(axis=0)
    return _normalized(
        p, Bounded(mean, mean_error), Bounded(variance, squares + (p.rounding.gamma(n) + 3 * u) * variance)
    )


def _normalized(p: Pass, mean: Bounded, variance: Bounded) -> Statistics:
    """Return s and (x − mean) / s, whose errors are those of x, of the mean and of s (4)."""
    x, u, epsilon = p.x, p.rounding.u, p.settings["epsilon"]
    value = np.sqrt(variance.value + epsilon)
    smallest = np.sqrt(np.maximum(variance.value - variance.bound, 0) + epsilon)
    s = Bounded(value, variance.bound / (2 * smallest) + 3 * u * value)
    centred = x.value - mean.value
    # Keras on TensorFlow computes x·(1/s) − mean·(1/s): roundings of the order of both terms.
    rounded = 4 * u * (x.magnitude + mean.magnitude)
    xn_error = (x.bound + mean.bound + rounded) / smallest + np.abs(centred) * s.bound / (value * smallest)
    return Statistics(mean, variance, s, Bounded(centred / value, xn_error))


def _gamma(p: Pass) -> Bounded:
    """Return gamma, or ones if the layer does not scale."""
    return p.params.get("gamma", exact(np.ones(p.x.value.shape[1])))


def _gamma_beta(p: Pass, xn: Bounded) -> Bounded:
    """Return gamma·xn + beta."""
    gamma, beta, u = _gamma(p), p.params.get("beta", exact(np.zeros(p.x.value.shape[1]))), p.rounding.u
    value = gamma.value * xn.value
    product = Bounded(value, gamma.magnitude * xn.bound + gamma.bound * np.abs(xn.value) + 2 * u * np.abs(value))
    return p.rounding.add(product, beta)


def batch_normalization(p: Pass) -> Bounded:
    """Return gamma·xn + beta with the statistics of the batch."""
    return _gamma_beta(p, _batch_statistics(p).xn)


def batch_normalization_inference(p: Pass) -> Bounded:
    """Return gamma·xn + beta with the moving statistics."""
    return _gamma_beta(p, _normalized(p, p.params["moving_mean"], p.params["moving_variance"]).xn)


def batch_normalization_backward(p: Pass, dout: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
    """Return dx = (dxn − mean(dxn) − xn·mean(dxn·xn)) / s with dxn = dout·gamma, and the sums dgamma and dbeta.

    Automatic differentiation takes terms with x and with the mean apart: h, and not |xn|, is their size.
    """
    u, n = p.rounding.u, len(p.x.value)
    mean, _, s, xn = _batch_statistics(p)
    h = (p.x.magnitude + mean.magnitude) / s.value
    gamma = _gamma(p)
    dxn = dout.value * gamma.value
    dxn_error = dout.bound * gamma.magnitude + np.abs(dout.value) * gamma.bound + 2 * u * np.abs(dxn)
    size, rounding = np.abs(dxn) + dxn_error, p.rounding.gamma(n + 6)
    m1, m2 = dxn.mean(axis=0), (dxn * xn.value).mean(axis=0)
    m1_error = dxn_error.mean(axis=0) + rounding * size.mean(axis=0)
    m2_error = (dxn_error * xn.magnitude + np.abs(dxn) * xn.bound).mean(axis=0) + rounding * (size * h).mean(axis=0)
    error = dxn_error + m1_error + xn.magnitude * m2_error + xn.bound * np.abs(m2)
    error += np.abs(m2) * rounding * h.mean(axis=0)  # the gradient of the mean through the variance, which is 0
    terms = np.abs(dxn) + np.abs(m1) + np.abs(xn.value * m2)
    dx = Bounded((dxn - m1 - xn.value * m2) / s.value, (error + terms * (s.bound / s.value + 8 * u)) / s.value)
    over_samples = (dout.bound * xn.magnitude + np.abs(dout.value) * xn.bound).sum(axis=0)
    dgamma = Bounded((dout.value * xn.value).sum(axis=0), over_samples + rounding * (dout.magnitude * h).sum(axis=0))
    dbeta = Bounded(dout.value.sum(axis=0), dout.bound.sum(axis=0) + rounding * dout.magnitude.sum(axis=0))
    gradients = {"gamma": p.rounding.underflow(dgamma), "beta": p.rounding.underflow(dbeta)}
    return p.rounding.underflow(dx), {key: gradient for key, gradient in gradients.items() if key in p.params}


def moved_statistics(p: Pass) -> dict[str, Bounded]:
    """Return momentum·moving + (1 − momentum)·batch."""
    statistics, momentum, moved = _batch_statistics(p), p.settings["momentum"], {}
    for name, new in (("moving_mean", statistics.mean), ("moving_variance", statistics.variance)):
        moved[name] = p.rounding.add(
            _scaled(p.rounding, p.params[name], momentum), _scaled(p.rounding, new, 1 - momentum)
        )
    return moved


def batch_normalization_weights(rng: np.random.Generator, units: int) -> dict[str, Array]:
    """Draw weights in the order of Keras."""
    return {
        "gamma": rng.uniform(0.5, 1.5, units),
        "beta": rng.normal(scale=0.3, size=units),
        "moving_mean": rng.normal(scale=0.2, size=units),
        "moving_variance": rng.uniform(0.5, 2, units),
    }


def normalization(*left_out: str) -> LayerModel:
    """Return the bounds of a BatchNormalization without some of its weights."""

    def weights(rng: np.random.Generator, units: int) -> dict[str, Array]:
        drawn = batch_normalization_weights(rng, units)
        return {key: W for key, W in drawn.items() if key not in left_out}

    return LayerModel(
        batch_normalization,
        batch_normalization_backward,
        batch_normalization_inference,
        moved_statistics,
        weights,
    )


def regularizer(module: Any, key: str) -> Any:
    """Return the regularizer of a parameter, of the class in scratch's or Keras's ``regularizers`` module."""
    l1, l2 = PENALTIES[key]
    return module.L1L2(l1, l2) if l1 and l2 else module.L1(l1) if l1 else module.L2(l2)


def penalty(rounding: Rounding, key: str, W: Bounded) -> Bounded:
    """Return l1·Σ|W| + l2·ΣW² of a parameter: two sums (2), whose input errors add up (5)."""
    l1, l2 = PENALTIES[key]
    value = l1 * np.abs(W.value).sum() + l2 * (W.value**2).sum()
    propagated = (l1 * W.bound + 2 * l2 * W.magnitude * W.bound).sum()
    return Bounded(np.asarray(value), np.asarray(propagated + (rounding.gamma(W.value.size) + 6 * rounding.u) * value))


def penalty_gradient(rounding: Rounding, key: str, W: Bounded) -> Bounded:
    """Return l1·sign(W) + 2·l2·W; where the sign of W is uncertain, the error may be 2·l1 (6)."""
    (l1, l2), u = PENALTIES[key], rounding.u
    uncertain = (np.abs(W.value) <= W.bound) & (W.bound > 0)
    error = 2 * l2 * W.bound + 4 * u * (l1 + 2 * l2 * W.magnitude) + np.where(uncertain, 2 * LAMBDA * l1, 0)
    return Bounded(l1 * np.sign(W.value) + 2 * l2 * W.value, error)


def _scaled(rounding: Rounding, x: Bounded, factor: Any) -> Bounded:
    """Return x·factor, with two roundings (1): that of the factor, and that of the product."""
    return rounding.underflow(Bounded(x.value * factor, (x.bound + 3 * rounding.u * x.magnitude) * np.abs(factor)))


@contextmanager
def masks_for_keras() -> Iterator[None]:
    """Let Keras's Dropout apply ``kept`` within a block, instead of masks of its own generator; it must run eagerly."""

    def apply(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        first, step = (int(n) for n in keras.ops.convert_to_numpy(seed.next()))
        mask = keras.ops.convert_to_tensor(kept({"seed": first, "rate": rate}, step, tuple(inputs.shape)))
        return keras.ops.where(mask, inputs / (1 - rate), keras.ops.zeros_like(inputs))

    with mock.patch.object(keras.src.backend.random, "dropout", apply):
        yield


def activation(create: Callable[..., ActivationModel], name: str) -> LayerModel:
    """Return the bounds of a layer that is an activation function with a setting of that name."""

    def forward(p: Pass) -> Bounded:
        return create(p.settings[name]).forward(p.rounding, p.x)

    def backward(p: Pass, dout: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        return create(p.settings[name]).backward(p.rounding, dout, p.x, forward(p)), {}

    return LayerModel(forward, backward, inference=forward)


# The factors l1 and l2 of the regularizers of a Dense layer, exact in float32: Keras rounds them to it in float64, too.
PENALTIES = {"W": (0.015625, 0.03125), "b": (0.0, 0.25)}
SETTINGS: dict[str, dict[str, Any]] = {
    "ELU": {"alpha": 0.7},
    "LeakyReLU": {"negative_slope": 0.45},
    "BatchNormalization": {"momentum": 0.75, "epsilon": 0.01},
    "BatchNormalization, not scaled": {"momentum": 0.75, "epsilon": 0.01, "scale": False},
    "BatchNormalization, not centered": {"momentum": 0.75, "epsilon": 0.01, "center": False},
    "Dropout": {"rate": 0.375, "seed": 5},
    "Reshape": {"target_shape": (-1,)},
    "Rescaling": {"scale": 0.296875, "offset": -1.6875},  # exact in float32, which Keras rounds them to in float64, too
}
LAYERS = {
    "ELU": activation(elu, "alpha"),
    "LeakyReLU": activation(leaky_relu, "negative_slope"),
    "BatchNormalization": normalization(),
    "BatchNormalization, not scaled": normalization("gamma"),
    "BatchNormalization, not centered": normalization("beta"),
    "Dropout": LayerModel(dropout, lambda p, dout: (dropout(p._replace(x=dout)), {})),
    "Reshape": LayerModel(lambda p: p.x, lambda p, dout: (dout, {})),
    "Rescaling": LayerModel(
        rescaling, lambda p, dout: (_scaled(p.rounding, dout, p.settings["scale"]), {}), inference=rescaling
    ),
}
