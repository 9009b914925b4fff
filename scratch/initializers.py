"""Initializers (重みの初期値): the distributions of initial weights, with Keras's names, arguments and defaults.

An initializer is called with a shape and a random generator; ``HeNormal(seed=1)`` draws the same values at each call,
``HeNormal()`` or ``"he_normal"`` draws from the generator of the model.  The formulas are Keras's: ``Constant``,
``Zeros``, ``Ones`` and ``Identity`` are in ``keras/src/initializers/constant_initializers.py``, the others in
``random_initializers.py``.  The random numbers are NumPy's, so a comparison with Keras copies the weights instead of
the seed.
"""

import math
import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from scratch import utils
from scratch.checks import check_integer, check_name, check_number
from scratch.utils import Array

InitializerFunction = Callable[[tuple[int, ...], np.random.Generator], Array]
MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
# The standard deviation of a standard normal distribution truncated at ±2: dividing by it restores the one asked for.
TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(utils.Configured):
    """Base of the initializers below: a call, ``get_config`` and ``repr``; ``_draw`` is the formula of each."""

    seed: int | None = None

    def __call__(
        self, shape: tuple[int, ...], rng: np.random.Generator | None = None, *, dtype: DTypeLike = np.float64
    ) -> Array:
        """Return initial values of that shape and dtype, drawn from ``rng`` (default: a new generator) unless seeded.

        Raises:
            ValueError: if the initializer does not support the shape.
            TypeError: if ``rng`` is no generator.
        """
        if rng is not None and not isinstance(rng, np.random.Generator):
            raise TypeError(f"{type(self).__name__} takes a generator after the shape, and dtype by name; got {rng!r}.")
        if self.seed is not None:
            rng = np.random.default_rng(self.seed)
        return self._draw(tuple(shape), rng or utils.spawn_generator()).astype(dtype, copy=False)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Return the initial values, drawn from ``rng``."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.get_config().items())})"


def _finite(argument: str, value: float) -> float:
    return check_number(argument, value, minimum=-sys.float_info.max)


def _check_seed(seed: int | None) -> int | None:
    return None if seed is None else check_integer("seed", seed, minimum=0)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return fan_in and fan_out of a kernel (inputs, units); for a bias (units,) both are ``units``, as in Keras."""
    return shape[0], shape[-1]


def _matrix_shape(initializer: Initializer, shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) != 2:
        name = type(initializer).__name__
        raise ValueError(
            f"{name} is for kernels, which have two dimensions; got the shape {shape}: choose another one."
        )
    return shape[0], shape[1]


def _truncated_normal(shape: tuple[int, ...], stddev: float, rng: np.random.Generator) -> Array:
    """Draw from a normal distribution with that standard deviation, again for values beyond two of them."""
    values = rng.normal(size=shape)
    while (far := np.abs(values) > 2).any():
        values[far] = rng.normal(size=int(far.sum()))
    return values * stddev


class Constant(Initializer):
    """The same value everywhere."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = _finite("value", value)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.full(shape, self.value)


class Zeros(Constant):
    """Zeros, the default of a bias."""

    def __init__(self) -> None:
        super().__init__(0.0)


class Ones(Constant):
    """Ones."""

    def __init__(self) -> None:
        super().__init__(1.0)


class Identity(Initializer):
    """``gain`` times the identity matrix, with zeros beside or below it if the matrix is not square."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = _finite("gain", gain)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self.gain * np.eye(*_matrix_shape(self, shape))


class RandomUniform(Initializer):
    """A uniform distribution on [``minval``, ``maxval``)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval, self.maxval, self.seed = _finite("minval", minval), _finite("maxval", maxval), _check_seed(seed)
        if self.minval > self.maxval:
            raise ValueError(f"maxval must be minval or more, {minval!r}; got {maxval!r}.")

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.uniform(self.minval, self.maxval, shape)


class RandomNormal(Initializer):
    """A normal distribution with that mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev, self.seed = _finite("mean", mean), check_number("stddev", stddev), _check_seed(seed)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.stddev, shape)


class TruncatedNormal(RandomNormal):
    """A normal distribution that is drawn again beyond mean ± 2 stddev, so that its deviation is 0.88 stddev."""

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self.mean + _truncated_normal(shape, self.stddev, rng)


class VarianceScaling(Initializer):
    """A distribution with mean 0 and variance ``scale`` / n, where n counts the inputs, the outputs, or their average.

    Args:
        scale: a number above 0.
        mode: what n is, ``'fan_in'``, ``'fan_out'`` or ``'fan_avg'``.
        distribution: ``'truncated_normal'`` (at two standard deviations; also ``'normal'``), ``'untruncated_normal'``
            or ``'uniform'``, which is the one on ±√(3 scale / n).
        seed: an integer for the same values at each call; default: draw from the model's generator.

    Raises:
        ValueError: if an argument is not one of these.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        self.scale, self.seed = check_number("scale", scale), _check_seed(seed)
        if self.scale == 0:
            raise ValueError(f"scale must be greater than 0; got {scale!r}.")
        self.mode = check_name("mode", mode, MODES)
        name = distribution.lower() if isinstance(distribution, str) else distribution
        self.distribution = check_name("distribution", "truncated_normal" if name == "normal" else name, DISTRIBUTIONS)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        fan_in, fan_out = _fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        if self.distribution == "uniform":
            limit = math.sqrt(3 * self.scale / n)
            return rng.uniform(-limit, limit, shape)
        stddev = math.sqrt(self.scale / n)
        if self.distribution == "untruncated_normal":
            return rng.normal(0.0, stddev, shape)
        return _truncated_normal(shape, stddev / TRUNCATED_STDDEV, rng)


class GlorotUniform(VarianceScaling):
    """Uniform on ±√(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010; the book's "Xavier"): the default of a kernel."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed)


class GlorotNormal(VarianceScaling):
    """A truncated normal distribution with variance 2 / (fan_in + fan_out)."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed)


class HeUniform(VarianceScaling):
    """Uniform on ±√(6 / fan_in) (He et al., 2015), derived for ReLU."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "uniform", seed)


class HeNormal(VarianceScaling):
    """A truncated normal distribution with variance 2 / fan_in."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal", seed)


class LecunUniform(VarianceScaling):
    """Uniform on ±√(3 / fan_in) (LeCun et al., 1998)."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "uniform", seed)


class LecunNormal(VarianceScaling):
    """A truncated normal distribution with variance 1 / fan_in, as SELU expects (Klambauer et al., 2017)."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed)


class Orthogonal(Initializer):
    """``gain`` times a random matrix whose columns, or rows if these are fewer, are orthonormal (Saxe et al., 2014)."""

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain, self.seed = _finite("gain", gain), _check_seed(seed)

    def _draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        rows, columns = _matrix_shape(self, shape)
        Q, R = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        Q *= np.sign(np.diag(R))  # without the signs, not all orthogonal matrices would be equally likely
        return self.gain * (Q if rows >= columns else Q.T)


CLASSES: tuple[type[Initializer], ...] = (
    *(GlorotUniform, GlorotNormal, HeUniform, HeNormal, Zeros, Ones, RandomUniform, RandomNormal),
    *(LecunUniform, LecunNormal, TruncatedNormal, VarianceScaling, Constant, Orthogonal, Identity),
)
INITIALIZERS: dict[str, type[Initializer]] = {utils.snake_case(class_.__name__): class_ for class_ in CLASSES}
ALIASES = {"normal": "random_normal", "uniform": "random_uniform", "one": "ones", "zero": "zeros"}  # as in Keras
ALIASES |= {"OrthogonalInitializer": "orthogonal", "IdentityInitializer": "identity"}
OrthogonalInitializer, IdentityInitializer = Orthogonal, Identity
ConfiguredInitializer = Initializer  # its older name, which a program may import


class _Spelling:
    """Another spelling of a class: ``he_normal(seed=1)`` is an object, as in Keras; ``he_normal(shape, rng)`` draws."""

    def __init__(self, initializer: type[Initializer]) -> None:
        self.initializer = initializer

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        """Return an initializer with these settings or, for a shape, an array."""
        is_shape = "shape" in settings or isinstance(next(iter(arguments), None), tuple)
        return (self.initializer() if is_shape else self.initializer)(*arguments, **settings)

    def __repr__(self) -> str:
        return repr(self.initializer())


glorot_uniform = _Spelling(GlorotUniform)
glorot_normal = _Spelling(GlorotNormal)
he_uniform = _Spelling(HeUniform)
he_normal = _Spelling(HeNormal)
lecun_uniform = _Spelling(LecunUniform)
lecun_normal = _Spelling(LecunNormal)
random_uniform = _Spelling(RandomUniform)
random_normal = _Spelling(RandomNormal)
truncated_normal = _Spelling(TruncatedNormal)
variance_scaling = _Spelling(VarianceScaling)
orthogonal = _Spelling(Orthogonal)
identity = _Spelling(Identity)
zeros = _Spelling(Zeros)
ones = _Spelling(Ones)
constant = _Spelling(Constant)


def get(initializer: str | InitializerFunction | type[Initializer]) -> InitializerFunction:
    """Return a new initializer for a name, ``'he_normal'`` or ``'HeNormal'``, or a class; a function is returned as is.

    Raises:
        ValueError: if the name is unknown; the message lists the known names.
    """
    class_ = initializer.initializer if isinstance(initializer, _Spelling) else initializer
    if isinstance(class_, type) and issubclass(class_, Initializer):
        return class_()
    if callable(initializer):
        return cast(InitializerFunction, initializer)
    names = {class_.__name__: name for name, class_ in INITIALIZERS.items()} | ALIASES
    name = names.get(initializer, initializer) if isinstance(initializer, str) else initializer
    return INITIALIZERS[check_name("initializer", name, INITIALIZERS)]()
