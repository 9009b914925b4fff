"""The memory in which one thread computes: one buffer of bytes, as no kernel allocates any memory.

::

    buffer   │ rows: counts, words, terms, values │ edge │ columns │ numbers │ sums │        each begins on a cache line

A kernel that allocates counts references and checks for failure after each call; without that, kernels compile twice
as fast, and start sooner.  One buffer, because Numba takes 0.2 µs to accept an array from Python.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.jit import Int, inlined
from scratch.kernels.packing import NR
from scratch.kernels.simd import buffer_view
from scratch.kernels.sparsity import GROUP, KC, MC, PAIR, WORD, PackedRows
from scratch.utils import CACHE_LINE, aligned_empty

Array = NDArray[np.floating]
Bytes = NDArray[np.uint8]
GROUPS, WORDS, TERMS, VALUES = MC // PAIR, MC * KC // WORD, MC // PAIR * KC, MC * KC  # of a packed block of A
EDGE = GROUP * NR


class Workspace(NamedTuple):
    """The parts of a buffer; each is used for one purpose at a time.

    Attributes:
        rows: a packed block of A.
        edge: the sums of a micro-kernel whose tile is partly outside of C.
        columns: packed rows of B; or sums, where B is not packed.
        numbers: a gradient, before it is applied; or the second sums of a tile.
        sums: float64 sums of columns.
    """

    rows: PackedRows
    edge: Array
    columns: Array
    numbers: Array
    sums: NDArray[np.float64]


def buffer_for(dtype: np.dtype[np.floating], columns: int, numbers: int = 0, sums: int = 0) -> Bytes:
    """Return a buffer for a workspace with so many entries in its last three parts."""
    parts = 8 * GROUPS, 8 * WORDS, TERMS, *(n * dtype.itemsize for n in (VALUES, EDGE, columns, numbers)), 8 * sums
    return aligned_empty((sum(map(aligned, parts)),), np.dtype(np.uint8))


def panel_columns(columns: int) -> int:
    """Return how many numbers so many packed columns take in each row, at most, with those that may be read besides."""
    return (columns + NR - 1) // NR * NR


def aligned(size: int) -> int:
    """Return a number of bytes, rounded up to complete cache lines."""
    return (size + CACHE_LINE - 1) // CACHE_LINE * CACHE_LINE


_aligned: Any = inlined(aligned)


@inlined
def workspace(buffer: Bytes, columns: Int, numbers: Int, like: Array) -> Workspace:
    """Return the parts of a buffer for numbers of the dtype of ``like``; the arguments are those of ``buffer_for``."""
    size = like.itemsize
    words = 8 * GROUPS
    terms = words + 8 * WORDS
    values = terms + TERMS
    edge = values + _aligned(VALUES * size)
    packed = edge + _aligned(EDGE * size)
    gradient = packed + _aligned(columns * size)
    sums = gradient + _aligned(numbers * size)
    rows = PackedRows(
        buffer_view(buffer, np.int64(0), GROUPS, np.int64),
        buffer_view(buffer, terms, TERMS, np.uint8),
        buffer_view(buffer, values, VALUES, like.dtype),
        buffer_view(buffer, words, WORDS, np.uint64),
    )
    return Workspace(
        rows,
        buffer_view(buffer, edge, EDGE, like.dtype),
        buffer_view(buffer, packed, columns, like.dtype),
        buffer_view(buffer, gradient, numbers, like.dtype),
        buffer_view(buffer, sums, (len(buffer) - sums) // 8, np.float64),
    )
