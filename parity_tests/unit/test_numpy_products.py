"""The rounding of matrix products in the NumPy backend, bit for bit."""

import numpy as np
import pytest

from scratch.ops import numpy_ops


@pytest.mark.parametrize(("samples", "inputs", "units"), [(5, 4, 3), (2, 784, 10), (64, 64, 32)])
def test_small_products_are_computed_in_float64_and_rounded_once(
    samples: int, inputs: int, units: int, rng: np.random.Generator
) -> None:
    """At most 2¹⁷ multiplications, as 64 · 64 · 32, are small."""
    x = rng.normal(size=(samples, inputs)).astype("float32")
    W = rng.normal(size=(inputs, units)).astype("float32")
    exact = x.astype("float64") @ W.astype("float64")
    np.testing.assert_array_equal(numpy_ops.dense_forward(x, W, None), exact.astype("float32"))
    assert (exact.astype("float32") != exact).any()


def test_large_products_with_sums_of_at_most_100_terms_are_one_float32_product(rng: np.random.Generator) -> None:
    x, W = rng.normal(size=(200, 100)).astype("float32"), rng.normal(size=(100, 50)).astype("float32")
    out = numpy_ops.dense_forward(x, W, None)
    np.testing.assert_array_equal(out, x @ W)
    rounded_once = (x.astype("float64") @ W.astype("float64")).astype("float32")
    in_halves = x[:, :50] @ W[:50] + x[:, 50:] @ W[50:]
    assert (out != rounded_once).any()
    assert (out != in_halves).any()
