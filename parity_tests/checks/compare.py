"""The suite's one comparison: shape, then dtype, then values against a bound, and a message that says where."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from parity_tests.reference.error_model import Known


@dataclass(frozen=True)
class Comparison:
    """Two arrays, side by side.

    Attributes:
        name: what they are.
        error: difference where it comes nearest to its bound, or exceeds it most.
        bound: what is allowed there.
        used: the one as a share of the other; more than 1 is too much.
        fault: None if all is well, else one line that says what is wrong.
    """

    name: str
    error: float
    bound: float
    used: float
    fault: str | None

    @property
    def headroom(self) -> float:
        """How many times the difference fits into the bound."""
        return 1 / self.used if self.used else float("inf")


def compare(name: str, actual: np.ndarray, expected: np.ndarray, bound: np.ndarray | float) -> Comparison:
    """Compare two arrays entry by entry; NaN agrees with NaN, and infinity with itself."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        fault = f"{name}: {actual.dtype} {actual.shape}, expected {expected.dtype} {expected.shape}"
        return Comparison(name, np.inf, 0.0, np.inf, fault)
    a, b = np.atleast_1d(actual).astype(np.float64), np.atleast_1d(expected).astype(np.float64)
    limit = np.broadcast_to(np.atleast_1d(np.asarray(bound, np.float64)), a.shape)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = np.where(same, 0.0, np.abs(a - b))
        difference[np.isnan(difference)] = np.inf
        used = np.where(difference == 0, 0.0, difference / limit)
    if not used.size:
        return Comparison(name, 0.0, 0.0, 0.0, None)
    if not np.isfinite(limit).all() or (limit < 0).any():
        return Comparison(name, np.inf, np.nan, np.inf, f"{name}: the bound itself is not a finite number of 0 or more")
    worst = np.unravel_index(np.argmax(used), used.shape)
    fault = None
    if used[worst] > 1:
        got, wanted, off = float(a[worst]), float(b[worst]), float(difference[worst])
        ulp = float(np.spacing(np.abs(np.atleast_1d(expected)[worst]))) if expected.dtype.kind == "f" else 1.0
        at = ", ".join(map(str, worst)) if actual.ndim else "scalar"
        relative, ulps = off / abs(wanted) if wanted else np.inf, off / ulp if ulp else np.inf
        fault = (
            f"{name}[{at}]: got {got!r}, expected {wanted!r}; off by {off:.3g} absolute, {relative:.3g} relative, "
            f"{ulps:.3g} ULP, where {limit[worst]:.3g} is allowed; "
            f"{np.count_nonzero(used > 1):,} of {used.size:,} exceed"
        )
    return Comparison(name, float(difference[worst]), float(limit[worst]), float(used[worst]), fault)


def compare_traces(
    actual: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], known: Mapping[str, Known], factor: float = 2
) -> list[Comparison]:
    """Two traces, tensor by tensor in order of computation; the first fault is the first divergence.

    Args:
        actual: from the program under test.
        expected: from the other.
        known: bounds, from the error model.
        factor: 2 between two programs that both round, 1 against exact values.
    """
    if list(actual) != list(expected):
        fault = f"names: {', '.join(actual)}; expected {', '.join(expected)}"
        return [Comparison("names", np.inf, 0.0, np.inf, fault)]
    return [compare(name, actual[name], expected[name], factor * known[name].error) for name in actual]


def equal(name: str, actual: object, expected: object) -> Comparison:
    """Things that must be the same: names, shapes, texts, counts."""
    same = actual == expected
    fault = None if same else f"{name}: got {actual!r}, expected {expected!r}"
    return Comparison(name, 0.0 if same else np.inf, 0.0, 0.0 if same else np.inf, fault)


def same(name: str, actual: np.ndarray, expected: np.ndarray) -> Comparison:
    """Arrays that must be the same, bit for bit."""
    return compare(name, actual, expected, 0.0)


def first_fault(comparisons: Iterable[Comparison]) -> str | None:
    """What is wrong first, or None."""
    return next((c.fault for c in comparisons if c.fault), None)


def assert_all(comparisons: Iterable[Comparison]) -> None:
    """Fail with the first divergence."""
    fault = first_fault(comparisons)
    assert fault is None, fault
