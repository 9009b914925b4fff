"""Faults in how a model is set up: initial weights, shapes and automatic names."""

from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import initializers, layer, layers, utils

Array = np.ndarray
SCALED = initializers.VarianceScaling._draw


@planted_fault(initializers, "_fans", caught_by="initial weights")
def glorot_of_inputs_only(shape: tuple[int, ...]) -> tuple[int, int]:
    """The Glorot limit is computed from the number of inputs alone."""
    return shape[0], shape[0]


@planted_fault(initializers, "_fans", caught_by="initial weights")
def fans_exchanged(shape: tuple[int, ...]) -> tuple[int, int]:
    """Numbers of inputs and outputs are exchanged."""
    return shape[-1], shape[0]


@planted_fault(initializers, "_truncated_normal", caught_by="initial weights")
def values_clipped(shape: tuple[int, ...], stddev: float, rng: Any) -> Array:
    """Values beyond two standard deviations are moved to the limit instead of drawn again."""
    return np.clip(rng.normal(size=shape), -2, 2) * stddev


@planted_fault(initializers.VarianceScaling, "_draw", caught_by="initial weights")
def deviation_not_corrected(self: Any, shape: tuple[int, ...], rng: Any) -> Array:
    """A truncated normal distribution has a smaller standard deviation than asked for."""
    truncated = self.distribution == "truncated_normal"
    return SCALED(self, shape, rng) * (initializers.TRUNCATED_STDDEV if truncated else 1)


@planted_fault(initializers.TruncatedNormal, "_draw", caught_by="initial weights")
def deviation_corrected_too_often(self: Any, shape: tuple[int, ...], rng: Any) -> Array:
    """TruncatedNormal has the standard deviation that it is given, which in Keras is the one before the truncation."""
    return self.mean + initializers._truncated_normal(shape, self.stddev / initializers.TRUNCATED_STDDEV, rng)


@planted_fault(initializers.Orthogonal, "_draw", caught_by="initial weights")
def columns_only_normalized(self: Any, shape: tuple[int, ...], rng: Any) -> Array:
    """The columns of an orthogonal matrix have the length 1 but are not orthogonal."""
    W = rng.normal(size=shape)
    return self.gain * W / np.linalg.norm(W, axis=0)


@planted_fault(initializers.Constant, "_draw", caught_by="initial weights")
def constant_of_one(self: Any, shape: tuple[int, ...], rng: Any) -> Array:
    """Constant takes 1 for its value."""
    return np.ones(shape)


@planted_fault(initializers.Identity, "_draw", caught_by="initial weights")
def gain_of_identity_ignored(self: Any, shape: tuple[int, ...], rng: Any) -> Array:
    """Identity ignores its gain."""
    return np.eye(*shape)


@planted_fault(initializers.RandomUniform, "_draw", caught_by="initial weights")
def uniform_around_zero(self: Any, shape: tuple[int, ...], rng: Any) -> Array:
    """RandomUniform draws between -maxval and maxval."""
    return rng.uniform(-self.maxval, self.maxval, shape)


@planted_fault(initializers.RandomNormal, "_draw", caught_by="initial weights")
def mean_of_normal_ignored(self: Any, shape: tuple[int, ...], rng: Any) -> Array:
    """RandomNormal ignores its mean."""
    return rng.normal(0, self.stddev, shape)


@planted_fault(initializers.HeUniform, "_draw", caught_by="initial weights")
def glorot_for_he(self: Any, shape: tuple[int, ...], rng: Any) -> Array:
    """He's initializers have the scale of Glorot's."""
    limit = np.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, shape)


@planted_fault(initializers.Initializer, "__call__", caught_by="initial weights")
def seed_of_initializer_ignored(self: Any, shape: tuple[int, ...], rng: Any = None, *, dtype: Any = None) -> Array:
    """The generator of the model is used although the initializer has a seed."""
    return self._draw(shape, rng).astype(dtype)


@planted_fault(layers.Dense, "weight_shapes", caught_by="structure")
def kernel_transposed(self: Any, input_shape: Any) -> Any:
    """Kernels have the shape (units, inputs)."""
    return {"W": ((self.units, input_shape[1]), self.kernel_initializer), "b": ((self.units,), self.bias_initializer)}


@planted_fault(layer, "auto_name", caught_by="structure")
def names_counted_from_one(class_name: str) -> str:
    """Automatic names are counted from 1, as in Keras 2."""
    utils._names[class_name] += 1
    return f"{class_name.lower()}_{utils._names[class_name]}"
