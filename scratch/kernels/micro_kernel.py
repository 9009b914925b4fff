"""The micro-kernel of the matrix product: some packed rows of A times some panels of B.

It loads one row of each panel for each term, multiplies it by one number of each row of A, and keeps all sums in
registers::

                      B[k, j:]      b0       b1       b2       b3      vectors of 16 float32 (or 8 float64) numbers
                                ┌────────┬────────┬────────┬────────┐
    A[i    , k] in all lanes    │ sum 0  │ sum 1  │ sum 2  │ sum 3  │
    A[i + 1, k]    "            │ sum 4  │ sum 5  │ sum 6  │ sum 7  │   sum += A[i + r, k] * b
                                └────────┴────────┴────────┴────────┘

It is written once, for groups of two or four rows and for four panels or one: constants, for which LLVM unrolls the
loops.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.jit import Int, unrolled
from scratch.kernels.packing import VECTORS, Columns
from scratch.kernels.simd import VECTOR_BYTES, add, fma, get, load, put, registers, splat, store
from scratch.kernels.sparsity import GROUP, KC, PAIR, PackedRows

Array = NDArray[np.floating]


class Output(NamedTuple):
    """A part of C.

    Attributes:
        data: 1-D array that contains it.
        start: where its first row begins.
        ldc: leading dimension, the distance of two rows.
        columns: number of columns.
    """

    data: Array
    start: Int
    ldc: Int
    columns: Int


def _micro_kernel(height: int, vectors: int) -> Callable[..., None]:
    """Return the micro-kernel for groups of ``height`` rows of A and so many panels, each one vector wide."""
    tile = height * vectors

    @unrolled
    def add_panels(rows: PackedRows, count: int, columns: Columns, start: Int, edge: Array, C: Output) -> None:
        """Add to C the product of ``count`` packed rows of A with the panels of B that begin at ``start``.

        What would be beyond the last row or column of C is written to ``edge`` first.
        """
        terms, values, counts, (B, _, to_row, to_panel, _) = rows.terms, rows.values, rows.counts, columns
        out, place, ldc, lanes = C.data, C.start, C.ldc, VECTOR_BYTES // B.itemsize
        width = min(C.columns, vectors * lanes)
        zero = splat(B.dtype.type(0))
        whole = count // height if width == vectors * lanes else 0
        sums, b = registers(zero, tile), registers(zero, vectors)
        for group in range((count + height - 1) // height):
            first = group * KC
            for v in range(tile):
                sums[v] = zero
            for n in range(first, first + get(counts, group)):
                k = np.int64(get(terms, n))
                for v in range(vectors):
                    b[v] = load(B, start + k * to_row + v * to_panel)
                for r in range(height):
                    a = splat(get(values, height * n + r))
                    for v in range(vectors):
                        sums[r * vectors + v] = fma(a, b[v], sums[r * vectors + v])
            for r in range(height):  # constant indices, without which the sums would not be registers
                for v in range(vectors):
                    to, total = place + r * ldc + v * lanes, sums[r * vectors + v]
                    if group < whole:
                        store(out, to, add(load(out, to), total))
                    else:
                        store(edge, (r * vectors + v) * lanes, total)
            if group >= whole:
                for r in range(min(height, count - group * height)):
                    for j in range(width):
                        to = place + r * ldc + j
                        put(out, to, get(out, to) + get(edge, r * vectors * lanes + j))
            place += height * ldc

    return add_panels


add_pairs, add_groups = _micro_kernel(PAIR, VECTORS), _micro_kernel(GROUP, VECTORS)
add_pairs_to_panel, add_groups_to_panel = _micro_kernel(PAIR, 1), _micro_kernel(GROUP, 1)
