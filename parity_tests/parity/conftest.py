"""Fixtures of the comparisons with Keras."""

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="package", autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """Let NumPy's BLAS use one thread: its second thread competes with Keras's, and the comparisons take twice as long.

    The bounds hold for any order of summation; ``test_trace_with_several_blas_threads`` checks it.
    """
    with threadpool_limits(1, user_api="blas"):
        yield
