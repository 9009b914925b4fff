"""Array operations that several kernels need: aligned allocation, copies, sums over rows and columns.

Arrays are C-contiguous (the last axis is contiguous in memory) unless a docstring says otherwise.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.jit import Int, kernel, subroutine
from scratch.kernels.simd import get, put

Array = NDArray[np.floating]


def writeable(x: Array) -> Array:
    """Return x as a C-contiguous array that is not read-only, without a copy if it is one already.

    A read-only array is another Numba type, for which every kernel would be compiled again.
    """
    x = np.ascontiguousarray(x)
    return x if x.flags.writeable else x.copy()


@subroutine
def copy(source: Array, start: Int, destination: Array, place: Int, count: Int) -> None:
    """Copy some numbers of a 1-D array to another one, and convert them to its dtype."""
    for i in range(count):
        put(destination, place + i, get(source, start + i))


@subroutine
def clear(x: NDArray[Any], start: Int, count: Int) -> None:
    """Set some numbers of a 1-D array to 0; like ``copy``, this compiles faster than an assignment to a slice."""
    for i in range(start, start + count):
        put(x, i, x.dtype.type(0))


@subroutine
def float64_sum(x: Array) -> float:
    """Return the sum of a 1-D array, accumulated in float64."""
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total


@subroutine
def sum_columns(x: Array, sums: Array, out: Array) -> None:
    """Compute the sum of each column, accumulated in float64.

    Args:
        x: (N, H).
        sums: float64, 1-D, at least H; receives the sums.
        out: 1-D, at least H; receives the sums in its dtype.
    """
    N, H = x.shape
    clear(sums, np.int64(0), H)
    for i in range(N):
        for j in range(H):
            put(sums, j, get(sums, j) + get(x, i * H + j))
    copy(sums, np.int64(0), out, np.int64(0), H)


@kernel
def column_sums(x: Array, sums: Array, out: Array) -> None:
    """Do as ``sum_columns``, for Python; the fused step contains that one, and is used before this is compiled."""
    sum_columns(x, sums, out)
