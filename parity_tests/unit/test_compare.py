"""The suite's own tools: the comparison and its message, and the error model against brute force."""

import numpy as np
import pytest

from parity_tests.checks.compare import assert_all, compare, compare_traces, equal, first_fault
from parity_tests.reference.error_model import Known, Rounding, exact


def test_shape_then_dtype_then_values() -> None:
    ones = np.ones((2, 3), "float32")
    assert compare("w", ones, ones, 0.0).fault is None
    assert compare("w", ones, np.ones((3, 2), "float32"), 9.0).fault == "w: float32 (2, 3), expected float32 (3, 2)"
    assert compare("w", ones, np.ones((2, 3)), 9.0).fault == "w: float32 (2, 3), expected float64 (2, 3)"


def test_the_message_names_the_worst_entry() -> None:
    expected = np.ones((2, 3), "float32")
    actual = expected.copy()
    actual[0, 1] += 2e-6
    actual[1, 2] = 1 + 4 * np.float32(2**-23)
    row = compare("dense/dW", actual, expected, 1e-7)
    assert row.error == pytest.approx(2e-6, rel=0.05)
    assert row.used == pytest.approx(20, rel=0.05)
    assert row.headroom == pytest.approx(0.05, rel=0.05)
    assert row.fault is not None
    assert row.fault.startswith("dense/dW[0, 1]: got 1.0000020")
    assert "17 ULP" in row.fault
    assert row.fault.endswith("where 1e-07 is allowed; 2 of 6 exceed")
    with pytest.raises(AssertionError, match=r"dense/dW\[0, 1\]"):
        assert_all([row])


def test_bounds_are_entry_by_entry() -> None:
    a, b = np.array([1.0, 2.0]), np.array([1.1, 2.1])
    assert compare("x", a, b, np.array([0.2, 0.2])).fault is None
    assert compare("x", a, b, np.array([0.2, 0.01])).fault.startswith("x[1]")
    assert compare("x", a, b, np.array([0.2, 0.0])).used == np.inf


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_agrees_with_itself_only(value: float) -> None:
    assert compare("x", np.array([value]), np.array([value]), 0.0).fault is None
    for other in (0.0, np.nan, np.inf, -np.inf):
        if repr(other) != repr(value):
            assert compare("x", np.array([value]), np.array([other]), 1e9).fault is not None


@pytest.mark.parametrize("bound", [np.nan, np.inf, -1.0])
def test_a_bound_that_is_none_is_a_fault(bound: float) -> None:
    assert compare("x", np.array([1.0]), np.array([1.0]), bound).fault is not None


def test_the_first_divergence_is_the_first_in_order() -> None:
    a = {"one": np.array([1.0]), "two": np.array([2.0]), "three": np.array([3.0])}
    b = {name: value + (name != "one") for name, value in a.items()}
    known = {name: exact(value) for name, value in a.items()}
    assert first_fault(compare_traces(a, a, known)) is None
    assert first_fault(compare_traces(a, b, known)).startswith("two[0]")
    assert first_fault(compare_traces(a, dict(reversed(a.items())), known)).startswith("names: one, two, three")
    assert equal("n", 1, 1).fault is None
    assert equal("n", 1, 2).fault == "n: got 1, expected 2"


def share(difference: np.ndarray, bound: np.ndarray) -> float:
    """The largest difference as a share of its bound; no difference uses nothing."""
    assert not difference[bound == 0].any()
    return float(np.max(np.abs(difference[bound > 0]) / bound[bound > 0], initial=0))


@pytest.mark.parametrize("kind", ["relu", "sigmoid", "tanh", "softmax"])
def test_bounds_hold_when_inputs_are_pushed_to_theirs(kind: str) -> None:
    """An input off by as much as its bound says moves the output by no more than its bound says, and not far less."""
    rng = np.random.default_rng(0)
    rounding = Rounding("float64")
    z, error = rng.normal(scale=3, size=(40, 6)), rng.uniform(0, 1e-3, (40, 6))
    known = rounding.activate(kind, Known(z, error))
    dout = Known(rng.normal(size=z.shape), np.zeros_like(z))
    flowing = rounding.activate_backward(kind, dout, Known(z, error), known)
    used, used_back = [], []
    for _ in range(200):
        moved = rounding.activate(kind, exact(z + error * rng.choice([-1, 1], z.shape)))
        used.append(share(moved.value - known.value, known.error))
        back = rounding.activate_backward(kind, dout, exact(moved.value if kind == "relu" else z), moved)
        used_back.append(share(back.value - flowing.value, flowing.error))
    assert 0.5 < max(used) <= 1 + 1e-9
    assert max(used_back) <= 1 + 1e-9


def test_bounds_of_a_product_hold_and_are_not_idle() -> None:
    """Float32 products stay within the bound; one digit less would not."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 784)).astype("float32"), rng.normal(size=(784, 60)).astype("float32")
    known = Rounding("float32").product(exact(a), exact(b))
    naive = np.zeros((50, 60), "float32")
    for k in range(784):
        naive += a[:, k : k + 1] * b[k : k + 1]
    assert (np.abs(naive - known.value) <= known.error).all()
    half = (a.astype("float16").astype("float32")) @ b
    assert (np.abs(half - known.value) > known.error).any()
