"""Packing a block of B for the matrix product: columns in panels, each of them contiguous.

A panel is ``VECTORS`` vectors wide, 64 columns of float32 with AVX-512; one or two vectors of columns that remain are
panels of one vector.  Rows are filled up with zeros, so that the micro-kernel always loads whole vectors.  A block with
3 rows and 80 columns, for panels of 64 and 16::

    data   │ row 0: columns 0 to 63 │ row 1 │ row 2 │ row 0: columns 64 to 79 │ row 1 │ row 2 │
           └─────────────── first panel ────────────┴───────────── second panel ──────────────┘

A block's rows of a panel take at most 34 KiB.  A third of MNIST's pixels are zero in all samples of a batch; their rows
of W are never read, and the others stay in an L1 cache of 32 KiB while all rows of A are multiplied by them.  Rows of B
that are 1,024 bytes apart, where they lie, would fall into a quarter of the cache.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.arrays import clear
from scratch.kernels.jit import Bool, Int, inlined, subroutine
from scratch.kernels.simd import VECTOR_BYTES, add, fma, get, load, nonzero_lanes, put, registers, splat, store

Array = NDArray[np.floating]
Tile = tuple[Int, Int, Int, Int]  # i0, i1, j0, j1: rows i0 to i1 - 1, columns j0 to j1 - 1 of a matrix
VECTORS = 4  # of a panel
MAX_NARROW_PANELS = 2  # the last columns are panels of one vector if so many suffice
PANEL = VECTORS * VECTOR_BYTES // 4  # columns of a panel of float32; a multiple of those of a float64 panel
TRANSPOSED_ROWS = 16  # float32 numbers in a cache line


class Factor(NamedTuple):
    """A matrix, or the transpose of one; ``data`` is C-contiguous in both cases, so that kernels are compiled once."""

    data: Array
    is_transposed: Bool


class Columns(NamedTuple):
    """Some rows and columns of B: packed, one panel after the other, or where they are.

    Attributes:
        data: 1-D array that contains them.
        start: where the first row begins.
        ldb: leading dimension of B, the distance of two rows, if they are not packed; else 0.
        width: number of columns, rounded up to whole vectors.
    """

    data: Array
    start: Int
    ldb: Int
    width: Int


@inlined
def pieces(tile: Tile, columns: Int) -> tuple[Int, Int]:
    """Return how many contiguous pieces a tile of a matrix with so many columns has, and the length of each.

    Complete rows are one piece; otherwise each row is one, and piece r begins with the tile's first column in row r.
    """
    i0, i1, j0, j1 = tile
    return (1, (i1 - i0) * columns) if j1 - j0 == columns else (i1 - i0, j1 - j0)


@inlined
def packed_width(N: Int, like: Array) -> Int:
    """Return how many numbers N packed columns of the dtype of ``like`` take in each row."""
    lanes = VECTOR_BYTES // like.itemsize
    panel, rest = VECTORS * lanes, N % (VECTORS * lanes)
    return N - rest + (panel if rest > MAX_NARROW_PANELS * lanes else (rest + lanes - 1) // lanes * lanes)


@subroutine
def pack_columns(B: Factor, tile: Tile, packed: Columns) -> bool:
    """Pack rows k0 to k1 - 1, columns j0 to j1 - 1 of B, and return whether they hold neither infinity nor NaN.

    Args:
        B: (K, N).
        tile: k0, k1, j0, j1.
        packed: receives them.
    """
    k0, k1, j0, j1 = tile
    data, start = packed.data, packed.start
    lanes, j = VECTOR_BYTES // data.itemsize, 0
    while j < packed.width:
        NR = VECTORS * lanes if packed.width - j >= VECTORS * lanes else lanes
        columns = min(NR, j1 - j0 - j)
        end = start + (k1 - k0) * NR
        if columns < NR:
            clear(data, start, end - start)
        part = k0, k1, j0 + j, j0 + j + columns
        if B.is_transposed:
            _pack_transposed(B.data, part, NR, data, start)
        else:
            _pack_panel(B.data, part, NR, data, start)
        start = end
        j += NR
    return is_finite(data, packed.start, start)


@subroutine
def _pack_panel(B: Array, tile: Tile, NR: Int, data: Array, start: Int) -> None:
    """Pack rows k0 to k1 - 1, columns j0 to j1 - 1 of B (K, N) as rows of NR numbers."""
    k0, k1, j0, j1 = tile
    N, lanes = B.shape[1], VECTOR_BYTES // B.itemsize
    whole = (j1 - j0) // lanes * lanes
    for k in range(k0, k1):
        place, source = start + (k - k0) * NR, k * N + j0
        for j in range(0, whole, lanes):
            store(data, place + j, load(B, source + j))
        for j in range(whole, j1 - j0):
            put(data, place + j, get(B, source + j))


@subroutine
def _pack_transposed(B: Array, tile: Tile, NR: Int, data: Array, start: Int) -> None:
    """Pack columns of a transposed matrix: B (N, K).

    A loop over k alone would use one number of each cache line that it reads before it comes back for the next.  So
    ``TRANSPOSED_ROWS`` rows of B are packed together, which uses every number of a line.
    """
    k0, k1, j0, j1 = tile
    K = B.shape[1]
    for j in range(j0, j1, TRANSPOSED_ROWS):
        count = min(TRANSPOSED_ROWS, j1 - j)
        for k in range(k0, k1):
            place = start + (k - k0) * NR + j - j0
            for c in range(count):
                put(data, place + c, get(B, (j + c) * K + k))


@subroutine
def is_finite(numbers: Array, start: Int, end: Int) -> bool:
    """Return whether whole vectors of a 1-D array hold neither infinity nor NaN: 0·∞ and 0·NaN are NaN."""
    lanes = VECTOR_BYTES // numbers.itemsize
    zero = splat(numbers.dtype.type(0))
    sums = registers(zero, VECTORS)
    whole = start + (end - start) // (VECTORS * lanes) * (VECTORS * lanes)
    for i in range(start, whole, VECTORS * lanes):
        for v in range(VECTORS):
            sums[v] = fma(load(numbers, i + v * lanes), zero, sums[v])
    for i in range(whole, end, lanes):
        sums[0] = fma(load(numbers, i), zero, sums[0])
    for v in range(1, VECTORS):
        sums[0] = add(sums[0], sums[v])
    return nonzero_lanes(sums[0]) == 0


@subroutine
def rows_are_finite(columns: Columns, count: Int) -> bool:
    """Return whether ``count`` rows of B that are not packed hold neither infinity nor NaN."""
    rows, length = (1, count * columns.width) if columns.ldb == columns.width else (count, columns.width)
    for r in range(rows):
        start = columns.start + r * columns.ldb
        if not is_finite(columns.data, start, start + length):
            return False
    return True
