"""Array operations that several kernels need: aligned allocation, copies, sums over rows and columns.

Arrays are C-contiguous (the last axis is contiguous in memory) unless a docstring says otherwise.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratch import utils
from scratch.kernels.jit import Int, compiled, inlined
from scratch.kernels.simd import get, put

Array = NDArray[np.floating]

aligned_empty = inlined(utils.aligned_empty)


def writeable(x: Array) -> Array:
    """Return x as a C-contiguous array that is not read-only, without a copy if it is one already.

    A read-only array is another Numba type, for which every kernel would be compiled again.
    """
    x = np.ascontiguousarray(x)
    return x if x.flags.writeable else x.copy()


@compiled
def copy(source: Array, start: Int, destination: Array, place: Int, count: Int) -> None:
    """Copy some numbers of a 1-D array to another one, and convert them to its dtype.

    Starts are numbers, not slices: a slice of an array that threads share costs two atomic operations.
    """
    for i in range(count):
        put(destination, place + i, get(source, start + i))


@compiled
def clear(x: NDArray[Any], start: Int, count: Int) -> None:
    """Set some numbers of a 1-D array to 0; like ``copy``, this compiles faster than an assignment to a slice."""
    for i in range(start, start + count):
        put(x, i, x.dtype.type(0))


@compiled
def float64_sum(x: Array) -> float:
    """Return the sum of a 1-D array, accumulated in float64."""
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total


@compiled
def column_sums(x: Array) -> Array:
    """Return the sum of each column, accumulated in float64: (N, H) → (H,)."""
    sums = np.zeros(x.shape[1], np.float64)
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(x.shape[1]):
            sums[j] += row[j]
    return sums.astype(x.dtype)
