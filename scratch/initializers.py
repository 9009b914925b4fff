"""Initializers (重みの初期値): functions of a shape and a random generator, with Keras's names.

The scales are Keras's (``keras/src/initializers/random_initializers.py``).  The random numbers are NumPy's, so a
comparison with Keras copies the weights instead of the seed.
"""

import math
from collections.abc import Callable

import numpy as np

from scratch.utils import Array, check_name

Initializer = Callable[[tuple[int, ...], np.random.Generator], Array]


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return zeros, the default of a bias."""
    return np.zeros(shape)


def ones(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return ones."""
    return np.ones(shape)


def random_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from a uniform distribution on ±0.05."""
    return rng.uniform(-0.05, 0.05, shape)


def random_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from a normal distribution with standard deviation 0.05."""
    return rng.normal(0.0, 0.05, shape)


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw uniformly on ±√(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010; the book's "Xavier"): Keras's default."""
    limit = math.sqrt(6 / sum(_fans(shape)))
    return rng.uniform(-limit, limit, shape)


def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from a normal distribution with variance 2 / (fan_in + fan_out), truncated at two standard deviations."""
    return _truncated_normal(shape, math.sqrt(2 / sum(_fans(shape))), rng)


def he_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw uniformly on ±√(6 / fan_in) (He et al., 2015), derived for ReLU."""
    limit = math.sqrt(6 / _fans(shape)[0])
    return rng.uniform(-limit, limit, shape)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw from a normal distribution with variance 2 / fan_in, truncated at two standard deviations."""
    return _truncated_normal(shape, math.sqrt(2 / _fans(shape)[0]), rng)


INITIALIZERS: dict[str, Initializer] = {
    f.__name__: f
    for f in (
        glorot_uniform,
        glorot_normal,
        he_uniform,
        he_normal,
        zeros,
        ones,
        random_uniform,
        random_normal,
    )
}


def get(initializer: str | Initializer) -> Initializer:
    """Return the initializer with that name; a function of ``(shape, rng)`` is returned unchanged.

    Raises:
        ValueError: if the name is unknown; the message lists the known names.
    """
    if callable(initializer):
        return initializer
    return INITIALIZERS[check_name("initializer", initializer, INITIALIZERS)]


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return fan_in and fan_out of a kernel (inputs, units); for a bias (units,) both are ``units``, as in Keras."""
    return shape[0], shape[-1]


def _truncated_normal(shape: tuple[int, ...], stddev: float, rng: np.random.Generator) -> Array:
    # A standard normal distribution truncated at ±2 has standard deviation 0.8796…: dividing by it restores ``stddev``.
    values = rng.normal(size=shape)
    while (far := np.abs(values) > 2).any():
        values[far] = rng.normal(size=int(far.sum()))
    return values * (stddev / 0.87962566103423978)
