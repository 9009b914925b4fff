"""The kernels on another processor: compiled for AVX2 only, they give the same bits as with wider vectors."""

import hashlib
import platform
from pathlib import Path

import numpy as np
import pytest

from parity_tests.unit.kernels import output
from scratch.kernels.gemm import product

PRODUCTS = """
from parity_tests.unit.test_portability import digest_of_products
from scratch.kernels.simd import VECTOR_BYTES
print(VECTOR_BYTES, digest_of_products())
"""


def digest_of_products() -> str:
    """Return a digest of products with zeros, edges, and transposed factors, in both dtypes."""
    rng, digest = np.random.default_rng(0), hashlib.sha256()
    for M, K, N in ((1, 300, 64), (5, 7, 3), (130, 784, 100), (100, 300, 10)):
        for dtype in ("float32", "float64"):
            A = (rng.normal(size=(M, K)) * (rng.random((M, K)) < 0.3)).astype(dtype)
            B = rng.normal(size=(K, N)).astype(dtype)
            digest.update(product(A, B).tobytes())
            digest.update(product(np.ascontiguousarray(A.T).T, np.ascontiguousarray(B.T).T).tobytes())
    return digest.hexdigest()


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="this processor has no AVX2")
def test_products_have_the_same_bits_with_avx2_only(tmp_path: Path) -> None:
    processor = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert output(PRODUCTS, **processor).split() == ["32", digest_of_products()]
