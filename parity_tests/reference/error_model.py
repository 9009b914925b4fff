"""The error model: by how much the results of two correct floating-point programs may differ.

Every floating-point operation rounds, so two correct programs that add the same numbers in different orders differ.
The rules below bound by how much.  They are the only source of the suite's tolerances for tensors: the modules
``activations``, ``losses``, ``sgd`` and ``bounded_network`` apply them to each formula of a network.

Notation: u is the unit roundoff of the dtype (2⁻²⁴ for float32, 2⁻⁵³ for float64).  Each quantity x is a ``Bounded``:
its float64 value x̄, and a bound β(x) ≥ |x̂ − x̄| on the forward error of any correctly computed x̂.  Bounds are of first
order: products of two errors are neglected, except where a magnitude includes its own error (``Bounded.magnitude``).

1. **One operation.**  A sum, difference, product or quotient is computed with a relative error of at most u (IEEE 754;
   Higham 2002, section 2.2).  Results below the smallest normal number may be flushed to zero: ``underflow``.
2. **A sum of n terms** has an error of at most γ(n) times the sum of the terms' magnitudes, γ(n) = min(n, λ√n)·u.
   n·u holds for any order of summation (Higham 2002, section 4.2).  λ√n·u with λ = 7 holds if the rounding errors are
   independent with mean zero, except with probability 2·exp(−λ²/2) = 5e-11 for each addition (Higham and Mary 2019).
   A sum of integers whose magnitudes add up to less than 1/(2u) is exact, in any order.
3. **Elementary functions** (exp, log, tanh, sigmoid) are computed with a relative error of at most ``ELEMENTARY``·u.
4. **Propagation.**  An input error β(x) becomes |f′|·β(x) in f(x), with |f′| the largest slope within reach of x̄.
5. **Combination.**  In a sum over units the input errors come from separate roundings: they are independent, and the
   bound of the sum is the root of the sum of their squares.  In a sum over samples, and for errors of weights, they may
   be correlated (samples may be equal, weights were trained on the same samples): the bounds add up.
6. **Errors of full size.**  Rule 5 treats a bound as λ standard deviations.  Where an error can take its full size, for
   example the gradient of a ReLU whose input may have either sign, its bound is λ times that size.
7. **Comparison.**  A program must stay within β(x) of x̄, and two programs must stay within 2·β(x) of each other.

Sources: N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, SIAM, 2002.  N. J. Higham and
T. Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41(5), 2019, section 3.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Array = np.ndarray
LAMBDA = 7.0
# Rule 3.  Measured on 4 million float32 values of each function: at most 4.5 u in NumPy, 2.8 u in the compiled kernels
# and 8.2 u in Keras (its sigmoid on TensorFlow).  Twice the largest of these.
ELEMENTARY = 16.0


class Bounded(NamedTuple):
    """An array with a bound beside each entry.

    Attributes:
        value: the float64 values.
        bound: by how much a correctly computed value may differ, of the same shape.
    """

    value: Array
    bound: Array

    @property
    def magnitude(self) -> Array:
        """The largest magnitude that a computed value may have."""
        return np.abs(self.value) + self.bound

    @property
    def T(self) -> "Bounded":  # noqa: N802 (as in NumPy)
        """The transpose."""
        return Bounded(self.value.T, self.bound.T)

    def reshape(self, *shape: int) -> "Bounded":
        """Return the same entries in another shape."""
        return Bounded(self.value.reshape(shape), self.bound.reshape(shape))


def exact(value: Array) -> Bounded:
    """Return a value without an error: one that all programs are given."""
    value = np.asarray(value, np.float64)
    return Bounded(value, np.zeros_like(value))


@dataclass(frozen=True)
class Rounding:
    """The arithmetic of one dtype, ``'float32'`` or ``'float64'``."""

    dtype: str

    @property
    def u(self) -> float:
        """Unit roundoff."""
        return float(np.finfo(self.dtype).eps) / 2

    def gamma(self, n: int) -> float:
        """Return γ(n), the relative error of a sum of n terms (rule 2)."""
        return min(n, LAMBDA * np.sqrt(n)) * self.u

    def underflow(self, x: Bounded) -> Bounded:
        """Add the error of results below the smallest normal number (rule 1)."""
        return Bounded(x.value, x.bound + 100 * float(np.finfo(self.dtype).tiny))

    def add(self, a: Bounded, b: Bounded) -> Bounded:
        """Return a + b (rule 1)."""
        value = a.value + b.value
        return self.underflow(Bounded(value, a.bound + b.bound + self.u * (np.abs(value) + a.bound + b.bound)))

    def product(self, a: Bounded, b: Bounded, *, over_samples: bool = False) -> Bounded:
        """Return the matrix product a b.

        Errors of a·b are those of a times |b|, those of b times |a| (rule 4), and the rounding of the sums (rule 2).

        Args:
            a: (N, K); a row holds the units of one sample, or with ``over_samples`` one unit of all samples.
            b: (K, M); weights, or with ``over_samples`` a gradient of all samples.
            over_samples: whether the sum over K is one over samples, whose errors add up (rule 5).
        """
        if _integers(a) and _integers(b) and (np.abs(a.value) @ np.abs(b.value)).max(initial=0) < 0.5 / self.u:
            return exact(a.value @ b.value)
        if over_samples:
            propagated = np.abs(a.value) @ b.bound + a.bound @ b.magnitude
        else:
            propagated = _root_of_squares(a.bound, b.magnitude) + np.abs(a.value) @ b.bound
        rounded = self.gamma(a.value.shape[-1]) * (a.magnitude @ b.magnitude)
        return self.underflow(Bounded(a.value @ b.value, propagated + rounded))

    def dense(self, x: Bounded, W: Bounded, b: Bounded | None) -> Bounded:
        """Return the affine transformation x W + b, as one product: (x, 1) times W with b as its last row."""
        if b is None:
            return self.product(x, W)
        ones = exact(np.ones((len(x.value), 1)))
        return self.product(_concatenate(x, ones, axis=1), _concatenate(W, b.reshape(1, -1), axis=0))


def _integers(x: Bounded) -> bool:
    """Return whether x is exact and holds only integers."""
    return not x.bound.any() and bool((x.value == np.round(x.value)).all())


def _root_of_squares(a: Array, b: Array) -> Array:
    """Return √(a² b²), a product of matrices, scaled so that the squares of small numbers do not vanish."""
    a_scale = np.abs(a).max(axis=1, keepdims=True, initial=1e-300)
    b_scale = np.abs(b).max(axis=0, keepdims=True, initial=1e-300)
    return np.sqrt(((a / a_scale) ** 2) @ ((b / b_scale) ** 2)) * a_scale * b_scale


def _concatenate(a: Bounded, b: Bounded, axis: int) -> Bounded:
    return Bounded(np.concatenate([a.value, b.value], axis), np.concatenate([a.bound, b.bound], axis))
