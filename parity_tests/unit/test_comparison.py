"""Comparisons: what they compare, and the messages of those that fail."""

import numpy as np
import pytest

from parity_tests.comparison import assert_all, compare, compare_traces, equal, first_failure, labelled, same
from parity_tests.reference.error_model import exact


def test_shape_then_dtype_then_values() -> None:
    ones = np.ones((2, 3), "float32")
    assert compare("w", ones, ones, 0.0).failure is None
    other_shape, other_dtype = np.ones((3, 2), "float32"), np.ones((2, 3))
    assert compare("w", ones, other_shape, 9.0).failure == "w: got float32 (2, 3), expected float32 (3, 2)"
    assert compare("w", ones, other_dtype, 9.0).failure == "w: got float32 (2, 3), expected float64 (2, 3)"


def test_message_names_the_deciding_entry() -> None:
    expected = np.ones((2, 3), "float32")
    actual = expected.copy()
    actual[0, 1] += 2e-6
    actual[1, 2] = 1 + 4 * np.float32(2**-23)
    row = compare("dense/dW", actual, expected, 1e-7)
    assert row.difference == pytest.approx(2e-6, rel=0.05)
    assert row.bound == 1e-7
    assert row.ratio == pytest.approx(20, rel=0.05)
    assert row.index == (0, 1)
    assert row.failure is not None
    assert row.failure.startswith("dense/dW[0, 1]: got 1.0000020")
    assert "17 ULP" in row.failure
    assert row.failure.endswith("20 × its bound of 1e-07; 2 of 6 entries exceed their bound")
    with pytest.raises(AssertionError, match=r"dense/dW\[0, 1\]"):
        assert_all([row])


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (0, "equal"),
        (1e-9, "<0.01 %"),
        (0.00099, "0.1 %"),
        (0.031, "3.1 %"),
        (0.0996, "10 %"),
        (0.996, "100 %"),
        (1.001, "1.01 ×"),
        (9.99, "9.99 ×"),
        (37.4, "37 ×"),
        (12_345, "12,000 ×"),
        (3e9, ">1,000,000 ×"),
        (np.nan, "differs"),
    ],
)
def test_difference_as_part_of_its_bound(difference: float, text: str) -> None:
    assert compare("x", np.float64(difference), np.float64(0), 1.0).used == text


def test_an_exact_comparison_differs() -> None:
    assert same("x", np.array([1.0]), np.array([2.0])).used == "differs"
    assert "bound 0;" in str(same("x", np.array([1.0]), np.array([2.0])).failure)


def test_a_label_stands_before_name_and_failure() -> None:
    right, wrong = labelled("net", [equal("a", 1, 1), equal("b", 1, 2)])
    assert (right.name, right.failure) == ("net: a", None)
    assert (wrong.name, wrong.failure) == ("net: b", "net: b: got 1, expected 2")


def test_bounds_are_entry_by_entry() -> None:
    a, b = np.array([1.0, 2.0]), np.array([1.1, 2.1])
    assert compare("x", a, b, np.array([0.2, 0.2])).failure is None
    assert compare("x", a, b, np.array([0.2, 0.01])).failure.startswith("x[1]")
    assert compare("x", a, b, np.array([0.2, 0.01])).bound == 0.01
    assert compare("x", a, b, np.array([0.2, 0.0])).ratio == np.inf


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_values_equal_only_themselves(value: float) -> None:
    assert compare("x", np.array([value]), np.array([value]), 0.0).failure is None
    for other in (0.0, np.nan, np.inf, -np.inf):
        if repr(other) != repr(value):
            assert compare("x", np.array([value]), np.array([other]), 1e9).failure is not None


@pytest.mark.parametrize("bound", [np.nan, np.inf, -1.0])
def test_invalid_bound_fails(bound: float) -> None:
    assert compare("x", np.array([1.0]), np.array([1.0]), bound).failure is not None


def test_first_divergence_is_the_first_in_order_of_computation() -> None:
    a = {"one": np.array([1.0]), "two": np.array([2.0]), "three": np.array([3.0])}
    b = {name: value + (name != "one") for name, value in a.items()}
    reference = {name: exact(value) for name, value in a.items()}
    assert first_failure(compare_traces(a, a, reference)) is None
    assert first_failure(compare_traces(a, b, reference)).startswith("two[0]")
    assert first_failure(compare_traces(a, b, reference, label="net: ")).startswith("net: two[0]")
    other_order = first_failure(compare_traces(a, dict(reversed(a.items())), reference))
    assert other_order == "names: got one, two, three; expected three, two, one"


def test_equal() -> None:
    assert equal("n", 1, 1).failure is None
    assert equal("n", 1, 2).failure == "n: got 1, expected 2"


def test_same_compares_bits() -> None:
    assert same("x", np.array([0.0, np.nan]), np.array([0.0, np.nan])).failure is None
    assert same("x", np.array([0.0]), np.array([1e-300])).failure.startswith("x[0]: got 0.0")
    assert same("x", np.array([0.0]), np.array([-0.0])).failure.startswith("x: equal values, different bits")
