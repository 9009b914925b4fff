"""``scratch.kernels.gemm``: products against a wider dtype, with zeros, infinity and NaN, and on several cores."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity_tests.reference.error_model import Rounding
from scratch.kernels.gemm import MIN_PARALLEL_WORK, MIN_ROWS_TO_PACK, MIN_ROWS_TO_SKIP, Bias, product, run_tile, split_k
from scratch.kernels.packing import NR, Factor
from scratch.kernels.sparsity import KC, MC

Operands = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # A (M, K), B (K, N), bias (N,)


@st.composite
def operands(draw: st.DrawFn) -> Operands:
    """Draw A, B and perhaps a bias; A is dense, mostly zero, or has rows or columns of zeros, and may be transposed."""
    size = st.one_of(st.integers(1, 300), st.sampled_from([1, 4, 15, 16, 17, 64, 97, 112, 128, 256, 257, 293]))
    M, K, N = draw(size), draw(size), draw(size)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    A = rng.normal(size=(M, K)).astype(dtype)
    kind = draw(st.sampled_from(["dense", "sparse", "rows", "columns", "zero"]))
    if kind == "sparse":
        A *= rng.random((M, K)) < 0.1
    elif kind == "rows":
        A[rng.random(M) < 0.6] = 0
    elif kind == "columns":
        A[:, rng.random(K) < 0.6] = 0
    elif kind == "zero":
        A[:] = 0
    if draw(st.booleans()):
        A = np.ascontiguousarray(A.T).T
    B = rng.normal(size=(K, N)).astype(dtype)
    if draw(st.booleans()):
        B = np.ascontiguousarray(B.T).T
    bias = rng.normal(size=N).astype(dtype) if draw(st.booleans()) else None
    return A, B, bias


def check_product(A: np.ndarray, B: np.ndarray, bias: np.ndarray | None) -> None:
    """Compare ``product`` with NumPy in float64 (for float64: in longdouble).

    The bound is γ(K + 1)·(Σ|a||b| + |bias|), plus 100 of the smallest normal number for products that underflow.
    """
    wide = np.longdouble if A.dtype == np.float64 else np.float64
    with np.errstate(invalid="ignore"):
        b = 0 if bias is None else bias.astype(wide)
        expected = A.astype(wide) @ B.astype(wide) + b
        size = np.abs(A).astype(np.float64) @ np.abs(B).astype(np.float64) + np.abs(b)
    bound = Rounding(A.dtype.name).gamma(A.shape[1] + 1) * size + 100 * float(np.finfo(A.dtype).tiny)
    out = product(A, B, bias)
    assert out.dtype == A.dtype
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(out[~finite], expected[~finite].astype(A.dtype))
    assert (np.abs(out[finite] - expected[finite]) <= bound[finite]).all()


@settings(max_examples=200)
@given(operands())
def test_product_is_within_the_error_bound(case: Operands) -> None:
    check_product(*case)


@settings(max_examples=100)
@given(operands(), st.sampled_from([np.inf, -np.inf, np.nan]), st.sampled_from("AB"), st.data())
def test_infinity_and_nan_are_propagated_as_in_numpy(
    case: Operands, bad: float, where: str, data: st.DataObject
) -> None:
    A, B, bias = case
    k = data.draw(st.integers(0, len(B) - 1))
    if where == "B":
        A[:, k] = 0  # every term with the infinity is 0·∞ = NaN, which the kernel must not skip
        B[k, data.draw(st.integers(0, B.shape[1] - 1))] = bad
    else:
        A[data.draw(st.integers(0, len(A) - 1)), k] = bad
    check_product(A, B, bias)


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("M", [MIN_ROWS_TO_SKIP, MIN_ROWS_TO_SKIP + 1, MC + 1, KC + 3])  # an even and an odd last row
def test_a_term_counts_if_any_row_of_a_pair_is_not_zero(M: int, is_transposed: bool) -> None:
    A = np.diag(np.full(M, 3, np.float32))  # each row of a pair has another term
    B = np.random.default_rng(0).normal(size=(M, 10)).astype(np.float32)
    np.testing.assert_array_equal(product(A.T if is_transposed else A, B), 3 * B)


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("M", [MIN_ROWS_TO_SKIP, MIN_ROWS_TO_PACK])
@pytest.mark.parametrize("column", [0, NR - 1, NR, 2 * NR - 1])
def test_infinity_in_any_panel_counts(column: int, M: int, is_transposed: bool) -> None:
    """The product reads B where it is if A has few rows, else, and if B is transposed, it packs it."""
    A, B = np.ones((M, 8), np.float32), np.ones((8, 2 * NR), np.float32)
    A[:, 3], B[3, column] = 0, np.inf
    expected = np.full((len(A), 2 * NR), 7, np.float32)
    expected[:, column] = np.nan
    np.testing.assert_array_equal(product(A, np.ascontiguousarray(B.T).T if is_transposed else B), expected)


def tile_of(A: np.ndarray, B: np.ndarray, split: int | None = None) -> np.ndarray:
    """Return A B, computed as one tile."""
    out, bias = np.empty((len(A), B.shape[1]), np.float32), Bias(np.zeros(B.shape[1], np.float32), 0)
    run_tile(
        Factor(A, False), Factor(B, False), bias, len(B) if split is None else split, (0, len(A), 0, B.shape[1]), out
    )
    return out


def test_product_on_several_cores_has_the_bits_of_one_tile() -> None:
    rng = np.random.default_rng(0)
    for M, K, N in ((1030, 300, 300), (130, 784, 256), (100, 300, 200), (2, 2000, 1100)):
        A, B = np.maximum(rng.normal(size=(M, K)), 0).astype("float32"), rng.normal(size=(K, N)).astype("float32")
        assert M * K * N >= MIN_PARALLEL_WORK
        np.testing.assert_array_equal(product(A, B), tile_of(A, B))


@pytest.mark.parametrize(("M", "N"), [(1, 10), (7, 256), (130, 256), (1030, 100)])
def test_a_split_product_is_the_sum_of_two_products(M: int, N: int) -> None:
    """Both on one core and on several."""
    rng = np.random.default_rng(0)
    A, B, b = (rng.normal(size=shape).astype("float32") for shape in ((M, 784), (784, N), N))
    split = split_k(784, N)
    assert split == 400
    first, second = A[:, :split].copy(), A[:, split:].copy()
    expected = product(first, B[:split], b) + product(second, B[split:])
    np.testing.assert_array_equal(product(A, B, b, split), expected)
    np.testing.assert_array_equal(product(A, B, None, split), tile_of(A, B, split))


@pytest.mark.parametrize("split", [-1, 101])
def test_a_split_that_is_out_of_range_raises(split: int) -> None:
    with pytest.raises(ValueError, match=rf"^product needs a split of 0 to 100 terms; got {split}\."):
        product(np.ones((4, 100), np.float32), np.ones((100, 64), np.float32), None, split)


def test_the_first_product_of_a_thread_may_have_no_terms() -> None:
    found: list[np.ndarray] = []
    thread = threading.Thread(
        target=lambda: found.append(product(np.ones((2, 0), np.float32), np.ones((0, 3), np.float32)))
    )
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], np.zeros((2, 3), np.float32))


def test_products_of_few_terms_or_many_columns_are_one_sum() -> None:
    assert [split_k(511, 10), split_k(512, 10), split_k(5000, 511), split_k(5000, 512)] == [511, 256, 2512, 5000]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("N", [128, 10, 77])
@pytest.mark.parametrize("density", [0.0, 0.2, 1.0])  # packed in pairs, in pairs, in groups of four rows
def test_bits_depend_neither_on_the_other_rows_nor_on_how_they_are_packed(density: float, N: int, dtype: str) -> None:
    """One row is multiplied without packing."""
    rng = np.random.default_rng(0)
    A, B, b = (rng.normal(size=shape).astype(dtype) for shape in ((203, 600), (600, N), N))
    A[10:] *= rng.random((193, 600)) < density
    for split in (600, 304):
        whole = product(A, B, b, split)
        for rows in (slice(0, 1), slice(202, 203), slice(0, 10), slice(3, 8), slice(0, MIN_ROWS_TO_PACK + 5)):
            np.testing.assert_array_equal(product(A[rows], B, b, split), whole[rows])
