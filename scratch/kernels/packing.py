"""Packing a block of B for the matrix product: columns in panels, each of them contiguous.

A panel is one vector wide, 16 columns of float32 with AVX-512; the micro-kernel reads four panels at once, or one.
Rows are filled up with zeros, so that it always loads whole vectors.  A block with 3 rows and 40 columns::

    data   │ row 0: columns 0 to 15 │ row 1 │ row 2 │ row 0: columns 16 to 31 │ row 1 │ row 2 │ row 0: 32 to 39, 0, 0 …
           └───────────── first panel ──────────────┴───────────── second panel ──────────────┘

A block's rows of four panels take at most 34 KiB.  A third of MNIST's pixels are zero in all samples of a batch; their
rows of W are never read, and the others stay in an L1 cache of 32 KiB while all rows of A are multiplied by them.  Rows
of B that are 1,024 bytes apart, where they lie, would fall into a quarter of the cache.

A loop over the rows of a transposed matrix would use one number of each cache line that it reads before it comes back
for the next, so squares of 16 × 16 numbers are transposed in registers: W.T of a layer with 256 inputs and 100 units
takes 4 µs on one core of an AMD EPYC (Zen 4), and 8 number by number.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.arrays import clear
from scratch.kernels.jit import Bool, Int, inlined, subroutine, unrolled
from scratch.kernels.simd import (
    VECTOR_BYTES,
    add,
    fma,
    get,
    interleave,
    load,
    nonzero_lanes,
    put,
    registers,
    splat,
    store,
)

Array = NDArray[np.floating]
Tile = tuple[Int, Int, Int, Int]  # i0, i1, j0, j1: rows i0 to i1 - 1, columns j0 to j1 - 1 of a matrix
MAX_LANES = VECTOR_BYTES // 4  # of a vector of float32
VECTORS = 4  # panels that the micro-kernel reads at once
NR = VECTORS * MAX_LANES  # columns of so many panels of float32; a multiple of those of float64


class Factor(NamedTuple):
    """A matrix, or the transpose of one; ``data`` is C-contiguous in both cases, so that kernels are compiled once."""

    data: Array
    is_transposed: Bool


class Columns(NamedTuple):
    """Some rows and columns of B: packed, or where they are.

    Attributes:
        data: 1-D array that contains them.
        start: where the first row of the first panel begins.
        to_row: distance of two rows of a panel.
        to_panel: distance of two panels.
        width: number of columns, rounded up to whole panels.
    """

    data: Array
    start: Int
    to_row: Int
    to_panel: Int
    width: Int


@inlined
def pieces(tile: Tile, columns: Int) -> tuple[Int, Int]:
    """Return how many contiguous pieces a tile of a matrix with so many columns has, and the length of each.

    Complete rows are one piece; otherwise each row is one, and piece r begins with the tile's first column in row r.
    """
    i0, i1, j0, j1 = tile
    return (1, (i1 - i0) * columns) if j1 - j0 == columns else (i1 - i0, j1 - j0)


@inlined
def packed(data: Array, before: Int, rows: Int, columns: Int) -> Columns:
    """Return some rows and columns that are packed in ``data``, after ``before`` rows of other blocks."""
    lanes = VECTOR_BYTES // data.itemsize
    width = (columns + lanes - 1) // lanes * lanes
    return Columns(data, before * width, lanes, rows * lanes, width)


@subroutine
def pack_columns(B: Factor, tile: Tile, columns: Columns) -> bool:
    """Pack rows k0 to k1 - 1, columns j0 to j1 - 1 of B, and return whether they hold neither infinity nor NaN.

    Args:
        B: (K, N).
        tile: k0, k1, j0, j1.
        columns: receives them.
    """
    (k0, k1, _, _), data, start = tile, columns.data, columns.start
    if B.is_transposed:
        _pack_transposed(B.data, tile, columns)
    else:
        _pack_rows(B.data, tile, columns)
    return is_finite(data, start, start + (k1 - k0) * columns.width)


@subroutine
def _pack_rows(B: Array, tile: Tile, columns: Columns) -> None:
    """Pack some columns of B (K, N)."""
    (k0, k1, j0, j1), (data, start, lanes, to_panel, _) = tile, columns
    N, whole = B.shape[1], (j1 - j0) // lanes
    rest, last = j1 - j0 - whole * lanes, start + whole * to_panel
    for k in range(k0, k1):
        place, source = start + (k - k0) * lanes, k * N + j0
        for panel in range(whole):
            store(data, place + panel * to_panel, load(B, source + panel * lanes))
    if rest > 0:
        clear(data, last, to_panel)
        for k in range(k0, k1):
            place, source = last + (k - k0) * lanes, k * N + j1 - rest
            for j in range(rest):
                put(data, place + j, get(B, source + j))


@subroutine
def _pack_transposed(B: Array, tile: Tile, columns: Columns) -> None:
    """Pack some columns of a transposed matrix: B (N, K); ``lanes`` rows of B become a panel, in squares."""
    (k0, k1, j0, j1), (data, start, lanes, to_panel, _) = tile, columns
    K = B.shape[1]
    for j in range(j0, j1, lanes):
        count = min(lanes, j1 - j)
        if count == lanes and k1 - k0 >= lanes:
            for k in range(k0, k1, lanes):
                first = min(k, k1 - lanes)  # the last square overlaps with the one before
                interleave(B, (j * K + first, K), MAX_LANES, 1, data, (start + (first - k0) * lanes, lanes))
        else:
            clear(data, start, to_panel)
            for k in range(k0, k1):
                for c in range(count):
                    put(data, start + (k - k0) * lanes + c, get(B, (j + c) * K + k))
        start += to_panel


@unrolled
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
    rows, length = (1, count * columns.width) if columns.to_row == columns.width else (count, columns.width)
    for r in range(rows):
        start = columns.start + r * columns.to_row
        if not is_finite(columns.data, start, start + length):
            return False
    return True
