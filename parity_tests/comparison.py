"""Compare two arrays entry by entry against a bound: first the shape, then the dtype, then the values."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity_tests.reference.error_model import Bounded


@dataclass(frozen=True)
class Comparison:
    """The result of one comparison.

    The *deciding entry* is the entry with the largest ratio of difference to bound: the one that comes closest to its
    bound, or exceeds it most.  The bound differs from entry to entry, so the entry with the largest difference may be
    another one.

    Attributes:
        name: what was compared.
        difference: absolute difference at the deciding entry.
        bound: largest difference allowed at the deciding entry.
        ratio: difference / bound at the deciding entry; the comparison fails if it is above 1.
        failure: None if the arrays agree, otherwise one line that says where and by how much they differ.
        index: indices of the deciding entry, () in a scalar; None if it is not the values that were compared.
    """

    name: str
    difference: float
    bound: float
    ratio: float
    failure: str | None
    index: tuple[int, ...] | None = None

    @property
    def used(self) -> str:
        """The difference as part of its bound: ``equal``, ``3.1 %`` or, if it is larger, ``1,200 ×``."""
        if not self.ratio:
            return "equal"
        if math.isinf(self.ratio):
            return "differs"
        return _percent(self.ratio) if self.ratio <= 1 else _times(self.ratio)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers and the failure in types of JSON, which has no infinity."""
        numbers = {"difference": self.difference, "bound": self.bound, "ratio": self.ratio}
        finite = {name: float(number) if math.isfinite(number) else str(number) for name, number in numbers.items()}
        return finite | {"failure": self.failure}


def _percent(ratio: float) -> str:
    """Return a ratio of at most 1 in percent, with two digits."""
    percent = 100 * ratio
    if percent < 0.01:
        return "<0.01 %"
    return f"{percent:.0f} %" if percent >= 9.95 else f"{round(percent, 2):.2g} %"


def _times(ratio: float) -> str:
    """Return a ratio above 1 as a multiple, with two digits; rounded up, so that it is never 1."""
    if ratio >= 1e6:
        return ">1,000,000 ×"
    return f"{float(f'{ratio:.2g}'):,.0f} ×" if ratio >= 10 else f"{math.ceil(100 * ratio) / 100:.3g} ×"


def compare(name: str, actual: np.ndarray, expected: np.ndarray, bound: np.ndarray | float) -> Comparison:
    """Compare two arrays entry by entry; NaN equals NaN, and infinity equals infinity of the same sign.

    Args:
        name: what is compared, for the failure message.
        actual: array of the implementation under test.
        expected: array of the same shape and dtype.
        bound: largest difference allowed, one for all entries or one for each.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return _failed(name, f"got {actual.dtype} {actual.shape}, expected {expected.dtype} {expected.shape}")
    a, b = np.atleast_1d(actual).astype(np.float64), np.atleast_1d(expected).astype(np.float64)
    bounds = np.broadcast_to(np.atleast_1d(np.asarray(bound, np.float64)), a.shape)
    if not a.size:
        return Comparison(name, 0.0, 0.0, 0.0, None)
    if not np.isfinite(bounds).all() or (bounds < 0).any():
        return _failed(name, "the bound itself must be finite and not negative")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        difference = np.where(same, 0.0, np.abs(a - b))
        difference[np.isnan(difference)] = np.inf
        ratio = np.where(difference == 0, 0.0, difference / bounds)
    worst = np.unravel_index(np.argmax(ratio), ratio.shape)
    failure = None
    if ratio[worst] > 1:
        entry = ", ".join(map(str, worst)) if actual.ndim else "scalar"
        spacing = float(np.spacing(np.abs(np.atleast_1d(expected)[worst]))) if expected.dtype.kind == "f" else 1.0
        failure = (
            f"{name}[{entry}]: got {float(a[worst])!r}, expected {float(b[worst])!r}; "
            f"{_describe(float(difference[worst]), float(b[worst]), spacing)}, "
            f"{_beyond(float(ratio[worst]), float(bounds[worst]))}; "
            f"{np.count_nonzero(ratio > 1):,} of {ratio.size:,} entries exceed their bound"
        )
    index = tuple(map(int, worst)) if actual.ndim else ()
    return Comparison(name, float(difference[worst]), float(bounds[worst]), float(ratio[worst]), failure, index)


def _failed(name: str, reason: str) -> Comparison:
    """Return a comparison that fails for a reason other than the values."""
    return Comparison(name, np.inf, 0.0, np.inf, f"{name}: {reason}")


def _describe(difference: float, expected: float, spacing: float) -> str:
    """Return the difference in absolute and relative terms and in units in the last place (ULP)."""
    relative = difference / abs(expected) if expected else np.inf
    ulps = difference / spacing if spacing else np.inf
    return f"difference {difference:.3g} (relative {relative:.3g}, {ulps:.3g} ULP)"


def _beyond(ratio: float, bound: float) -> str:
    """Return by how much a bound is exceeded."""
    return f"{_times(ratio)} its bound of {bound:.3g}" if math.isfinite(ratio) else f"bound {bound:.3g}"


def compare_traces(
    actual: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    reference: Mapping[str, Bounded],
    label: str = "",
) -> list[Comparison]:
    """Compare two traces, tensor by tensor in order of computation; the first failure is the first divergence.

    Args:
        actual: trace of the implementation under test.
        expected: trace to compare it with.
        reference: bound of each tensor, from the error model; twice that is allowed, since both programs round.
        label: what precedes each tensor's name in the comparisons, for example the network.
    """
    if list(actual) != list(expected):
        return [_failed(f"{label}names", f"got {', '.join(actual)}; expected {', '.join(expected)}")]
    return [compare(f"{label}{name}", actual[name], expected[name], 2 * reference[name].bound) for name in actual]


def compare_weights(
    label: str, actual: Iterable[np.ndarray], expected: Iterable[np.ndarray], bounded: Iterable[Bounded]
) -> list[Comparison]:
    """Compare the weights of two programs, in the order of ``get_weights()``, within twice the bound of each."""
    arrays = enumerate(zip(actual, expected, bounded, strict=True))
    return [compare(f"{label}: array {i}", W, V, 2 * reference.bound) for i, (W, V, reference) in arrays]


def equal(name: str, actual: object, expected: object) -> Comparison:
    """Compare two objects for equality: names, shapes, texts, counts."""
    if actual == expected:
        return Comparison(name, 0.0, 0.0, 0.0, None)
    return _failed(name, f"got {actual!r}, expected {expected!r}")


def same(name: str, actual: np.ndarray, expected: np.ndarray) -> Comparison:
    """Compare two arrays that must be equal bit for bit."""
    alike = actual.size and (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    if alike and actual.tobytes() == expected.tobytes():
        return Comparison(name, 0.0, 0.0, 0.0, None, (0,) * actual.ndim)
    result = compare(name, actual, expected, 0.0)
    if result.failure is None and actual.tobytes() != expected.tobytes():
        return _failed(name, "equal values, different bits: a zero has another sign, or a NaN another payload")
    return result


def labelled(label: str, comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return the comparisons with a label, for example the network, before each name and each failure."""
    return [
        replace(row, name=f"{label}: {row.name}", failure=row.failure and f"{label}: {row.failure}")
        for row in comparisons
    ]


def first_failure(comparisons: Iterable[Comparison]) -> str | None:
    """Return the message of the first comparison that failed, or None."""
    return next((comparison.failure for comparison in comparisons if comparison.failure), None)


def assert_all(comparisons: Iterable[Comparison]) -> None:
    """Raise an ``AssertionError`` with the first divergence."""
    failure = first_failure(comparisons)
    assert failure is None, failure
