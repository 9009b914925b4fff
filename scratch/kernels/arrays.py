"""Array operations that several kernels need: aligned allocation, copies, a transpose, sums over rows and columns.

Arrays are C-contiguous (the last axis is contiguous in memory) unless a docstring says otherwise.
"""

import numpy as np
from numpy.typing import NDArray

from scratch import utils
from scratch.kernels.jit import Int, compiled, inlined

Array = NDArray[np.floating]
TRANSPOSE_ROWS = 16  # rows of a transpose that are read together: float32 numbers in a cache line
MIN_ROWS_TO_TRANSPOSE = 8  # with fewer rows of A, A B.T is faster as dot products than with a transposed copy of B
LANES = 64  # partial sums of a dot product, so that no addition waits for the one before

aligned_empty = inlined(utils.aligned_empty)


def writeable(x: Array) -> Array:
    """Return x as a C-contiguous array that is not read-only, without a copy if it is one already.

    A read-only array is another Numba type, for which every kernel would be compiled again.
    """
    x = np.ascontiguousarray(x)
    return x if x.flags.writeable else x.copy()


@compiled
def copy(source: Array, destination: Array) -> None:
    """Copy a 1-D array.

    Numba compiles ``destination[:] = source`` in two seconds, because of the errors that it may have to raise; this
    loop compiles in a tenth of a second.
    """
    for i in range(len(source)):
        destination[i] = source[i]


@compiled
def add(source: Array, destination: Array) -> None:
    """Add a 1-D array to the beginning of another one."""
    for i in range(len(destination)):
        destination[i] += source[i]


@compiled
def transposed(W: Array) -> Array:
    """Return a C-contiguous copy of W.T.

    A loop over columns of W uses one number of each cache line that it reads, and the line of a large W is gone from
    the cache when the next column needs it.  So ``TRANSPOSE_ROWS`` rows are transposed together, which uses every
    number of a line.
    """
    out = np.empty((W.shape[1], W.shape[0]), W.dtype)
    for i in range(0, W.shape[0], TRANSPOSE_ROWS):
        end = min(i + TRANSPOSE_ROWS, W.shape[0])
        for j in range(W.shape[1]):
            row = out[j, i:end]
            for r in range(len(row)):
                row[r] = W[i + r, j]
    return out


@compiled
def float64_sum(x: Array) -> float:
    """Return the sum of a 1-D array, accumulated in float64."""
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total


@compiled
def product_with_transpose(A: Array, B: Array) -> Array:
    """Return A B.T, as dot products of rows: (M, K), (N, K) → (M, N).

    Each dot product has ``LANES`` partial sums in the arrays' dtype, which are added up in float64.
    """
    out = np.empty((A.shape[0], B.shape[0]), B.dtype)
    sums = np.empty(LANES, B.dtype)
    for j in range(B.shape[0]):
        for i in range(A.shape[0]):
            sums[:] = 0
            end = B.shape[1] // LANES * LANES
            for k in range(0, end, LANES):
                a, b = A[i, k : k + LANES], B[j, k : k + LANES]
                for lane in range(LANES):
                    sums[lane] += a[lane] * b[lane]
            for k in range(end, B.shape[1]):
                sums[k - end] += A[i, k] * B[j, k]
            out[i, j] = float64_sum(sums)
    return out


@compiled
def column_sums(x: Array) -> Array:
    """Return the sum of each column, accumulated in float64: (N, H) → (H,)."""
    sums = np.zeros(x.shape[1], np.float64)
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(x.shape[1]):
            sums[j] += row[j]
    return sums.astype(x.dtype)


@compiled
def all_finite(B: Array, k0: Int, k1: Int, j0: Int, j1: int) -> bool:
    """Return whether rows k0 to k1 - 1, columns j0 to j1 - 1 hold neither infinity nor NaN."""
    nonfinite = 0
    for k in range(k0, k1):
        row, found = B[k, j0:j1], np.int32(0)  # a 32-bit count, as a vector has room for as many of them as of float32
        for j in range(len(row)):
            found += np.int32(row[j] - row[j] != 0)  # ∞ - ∞ and NaN - NaN are NaN
        nonfinite += int(found)
    return nonfinite == 0
