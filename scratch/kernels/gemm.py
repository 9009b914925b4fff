"""The matrix product C = A B + bias, blocked for caches and registers as in BLIS, without the terms that are zero.

::

                            columns of a tile
                          ┌────┬────┬────┬──┐
                          │    │    │    │  │
       KC terms        KC │    packed B     │  NR columns: four panels, each contiguous, one vector wide
                          │    │    │    │  │
      ┌──────────┐        ├────┼────┼────┼──┤
     2├──────────┤       2├────┼────┼────┼──┤
     2├──────────┤       2├────┼────┼────┼──┤  C: the micro-kernel adds to 2 (or 4) rows of NR columns
      │          │        │    │    │    │  │
    A: MC rows, packed    └────┴────┴────┴──┘
    in pairs (``sparsity``)

The loops, from the outermost: parts of C of up to 512 rows, which stay in the caches; blocks of KC terms, for which B
is packed; blocks of MC rows, for which A is packed; NR columns, or one panel at a time of the last ones; groups of two
or four rows, which ``micro_kernel`` multiplies by them.

A number of C is the sum of its bias and of one partial sum per block of KC terms, each in the order of k.  Terms that
are left out are exactly zero, so its bits depend neither on the tile that contains it, nor on the number of threads,
nor on how A was packed.  x W of a Dense layer with many inputs and few units is two such sums, which are added at the
end: *split-K*.  Two cores can compute one each.

If A is one row, such as one image, B is read where it lies, zeros included: reading it takes longer than the
multiplications.  784 × 256 takes 12 µs on one core of an AMD EPYC (Zen 4), and 19 µs with packing.  There,
(4096 × 2048)(2048 × 1024) runs at 95 GFLOP/s, and at 85 if all 4,096 rows are one part of C.

Measured on one core of an AMD EPYC (Zen 5), with packing and blocks of 128 terms: 100 digits, forward (100 × 784 × 256)
107 µs, dW (784 × 100 × 256) 92 µs, where OpenBLAS takes 200 and 180 µs; dense, 1,024 × 1,024 × 1,024: 225 GFLOP/s,
OpenBLAS 206.
"""

import math
import threading
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import config
from numpy.typing import NDArray

from scratch.kernels import threads
from scratch.kernels.arrays import clear, copy
from scratch.kernels.jit import Bool, Int, inlined, kernel, subroutine
from scratch.kernels.micro_kernel import Output, add_groups, add_groups_to_panel, add_pairs, add_pairs_to_panel
from scratch.kernels.packing import (
    NR,
    VECTORS,
    Columns,
    Factor,
    Tile,
    pack_columns,
    packed,
    rows_are_finite,
)
from scratch.kernels.parameters import aligned
from scratch.kernels.simd import VECTOR_BYTES, get, put, vector_view
from scratch.kernels.sparsity import GROUP, KC, MC, PAIR, Block, pack_rows
from scratch.kernels.workspace import Bytes, Workspace, buffer_for, panel_columns, workspace

Array = NDArray[np.floating]
MIN_ROWS_TO_PACK = 128  # with fewer rows of A, packing B costs more than it saves
MIN_ROWS_TO_SKIP = 4  # with fewer rows of A, looking for infinity in B costs more than leaving out zeros saves
MIN_PARALLEL_WORK = 1 << 22  # multiplications; with fewer, notifying a second core costs more than it saves
MAX_ROWS = 512  # of C that are computed together: with more, C leaves the caches before its next block of terms
# Of a product that is two sums.  A layer with more units, 256 for each of two threads, may be partitioned by units.
MIN_SPLIT_TERMS, MAX_SPLIT_COLUMNS = 512, 511
NO_BIAS = {np.dtype(dtype): np.empty(0, dtype) for dtype in ("float32", "float64")}


_panel_columns: Any = inlined(panel_columns)


class Bias(NamedTuple):
    """What is added to every row of a product.

    Attributes:
        data: 1-D array that contains it.
        start: where it begins; -1 if there is none.
    """

    data: Array
    start: Int


class _Thread(threading.local):
    """What a thread keeps: a buffer for so many packed columns, and so many numbers of second sums."""

    columns, numbers = -1, -1
    buffer: Bytes


_thread = _Thread()


def split_k(K: int, N: int) -> int:
    """Return how many terms the first of two sums has in the product of x (M, K) and W (K, N): K if one sum suffices.

    It does not depend on the number of threads, so that the bits of the product do not.
    """
    return aligned((K + 1) // 2) if K >= MIN_SPLIT_TERMS and N <= MAX_SPLIT_COLUMNS else K


def product(A: Array, B: Array, bias: Array | None = None, split: int | None = None) -> Array:
    """Return A B + bias: (M, K), (K, N), (N,) → (M, N).

    Args:
        A: C-contiguous, or the transpose of a C-contiguous array.
        B: C-contiguous, or the transpose of a C-contiguous array.
        bias: zeros if None.
        split: number of terms of the first of two sums, at most K; one sum if None.

    Raises:
        ValueError: if the shapes or the dtypes do not fit together, or ``split`` is out of range.
    """
    (M, K), N = A.shape, B.shape[1]
    split = K if split is None else split
    fits = len(B) == K and A.dtype == B.dtype and (bias is None or (bias.shape == (N,) and bias.dtype == A.dtype))
    if not fits:  # the compiled loops would access memory outside the arrays
        arrays = ", ".join(f"{a.dtype} {a.shape}" for a in (A, B, bias) if a is not None)
        raise ValueError(f"product needs A (M, K), B (K, N) and a bias (N,) of one dtype; got {arrays}.")
    if not 0 <= split <= K:
        raise ValueError(f"product needs a split of 0 to {K} terms; got {split}.")
    operands = _factor(A), _factor(B), Bias(NO_BIAS[A.dtype], -1) if bias is None else Bias(bias, 0), split
    out = np.empty((M, N), A.dtype)
    if M * K * N < MIN_PARALLEL_WORK:
        run_tile(*operands, (0, M, 0, N), out)
    else:
        rows, columns = _tile_shape(M, N)
        tiles = [(i, min(i + rows, M), j, min(j + columns, N)) for i in range(0, M, rows) for j in range(0, N, columns)]
        threads.run([partial(run_tile, *operands, tile, out) for tile in tiles])
    return out


def _factor(matrix: Array) -> Factor:
    is_transposed = not matrix.flags.c_contiguous
    return Factor(matrix.T if is_transposed else matrix, is_transposed)


def _tile_shape(M: int, N: int) -> tuple[int, int]:
    """Return rows and columns of a tile; each tile packs its part of A and B, so the longer side of C is cut."""
    if M >= N:
        tiles = max(config.NUMBA_NUM_THREADS, math.ceil(M / MAX_ROWS))
        return GROUP * math.ceil(M / tiles / GROUP), N
    return M, NR * math.ceil(N / config.NUMBA_NUM_THREADS / NR)


def run_tile(A: Factor, B: Factor, bias: Bias, split: int, tile: Tile, out: Array) -> None:
    """Compute a tile in the buffer of this thread, or in a larger one, which is kept for the next tile."""
    K, (i0, i1, j0, j1) = A.data.shape[0 if A.is_transposed else 1], tile
    columns, numbers = min(K, KC) * panel_columns(int(j1 - j0)), int((i1 - i0) * (j1 - j0)) if split < K else 0
    if columns > _thread.columns or numbers > _thread.numbers:
        _thread.columns, _thread.numbers = max(columns, _thread.columns), max(numbers, _thread.numbers)
        _thread.buffer = buffer_for(np.dtype(np.float64), _thread.columns, _thread.numbers)
    run_tile_in_buffer(A, B, bias, split, tile, out, _thread.buffer)


@kernel
def run_tile_in_buffer(A: Factor, B: Factor, bias: Bias, split: Int, tile: Tile, out: Array, buffer: Bytes) -> None:
    """Compute one tile of A B + bias, of which the first ``split`` terms are one sum and the others another."""
    (i0, i1, j0, j1), K, N = tile, A.data.shape[0 if A.is_transposed else 1], out.shape[1]
    numbers = (i1 - i0) * (j1 - j0) if split < K else 0
    space = workspace(buffer, min(K, KC) * _panel_columns(j1 - j0), numbers, out)
    C = Output(vector_view(out, np.int64(0), out.size), i0 * N + j0, N, j1 - j0)
    product_tile(A, B, bias, (np.int64(0), split, tile), C, space)
    if split < K:
        second = Output(space.numbers, np.int64(0), j1 - j0, j1 - j0)
        product_tile(A, B, Bias(bias.data, np.int64(-1)), (split, K, tile), second, space)
        add_sums(second, i1 - i0, C)


@subroutine
def add_sums(sums: Output, rows: Int, C: Output) -> None:
    """Add other sums to ``rows`` rows of C."""
    for r in range(rows):
        for j in range(C.columns):
            place = C.start + r * C.ldc + j
            put(C.data, place, get(C.data, place) + get(sums.data, sums.start + r * sums.ldc + j))


@subroutine
def product_tile(A: Factor, B: Factor, bias: Bias, part: tuple[Int, Int, Tile], C: Output, space: Workspace) -> None:
    """Compute one tile of A B + bias, or a sum of some of its terms.

    Args:
        A: (M, K).
        B: (K, N).
        bias: added to every row of the product.
        part: the first term, the one after the last, and the tile of the product.
        C: receives the tile.
        space: of this thread.
    """
    first, last, (i0, i1, j0, j1) = part
    N, lanes = B.data.shape[0 if B.is_transposed else 1], VECTOR_BYTES // C.data.itemsize
    in_place = not B.is_transposed and i1 - i0 < MIN_ROWS_TO_PACK and (j1 - j0) % NR == 0
    for r in range(i1 - i0):
        if bias.start < 0:
            clear(C.data, C.start + r * C.ldc, j1 - j0)
        else:
            copy(bias.data, bias.start + j0, C.data, C.start + r * C.ldc, j1 - j0)
    if i1 - i0 == 1 and not (A.is_transposed or B.is_transposed):
        for k in range(first, last, KC):
            add_row(A.data, Block(i0, i1, k, min(k + KC, last)), B.data, j0, C, space.columns)
        return
    for i in range(i0, i1, MAX_ROWS):
        i_end, part_of_C = min(i + MAX_ROWS, i1), Output(C.data, C.start + (i - i0) * C.ldc, C.ldc, C.columns)
        for k in range(first, last, KC):
            end = min(k + KC, last)
            if in_place:
                columns = Columns(vector_view(B.data, k * N, (end - k) * N), j0, N, lanes, j1 - j0)
                is_finite = i1 - i0 >= MIN_ROWS_TO_SKIP and rows_are_finite(columns, end - k)
            else:
                columns = packed(space.columns, np.int64(0), end - k, j1 - j0)
                is_finite = pack_columns(B, (k, end, j0, j1), columns)
            add_product(A, Block(i, i_end, k, end), is_finite, columns, part_of_C, space)


@subroutine
def add_row(A: Array, block: Block, B: Array, j0: Int, C: Output, sums: Array) -> None:
    """Add to C, one row, the product of a block of one row of A with rows of B, which are read once, in order.

    It does what BLAS calls ``gemv``.  Each number gets the sum, with the same bits, that the micro-kernel would add.
    ``sums`` has room for as many numbers as C has columns.
    """
    i, _, k0, k1 = block
    clear(sums, np.int64(0), C.columns)
    for k in range(k0, k1):
        a, start = get(A, i * A.shape[1] + k), k * B.shape[1] + j0
        for j in range(C.columns):
            sums[j] += a * get(B, start + j)
    add_sums(Output(sums, np.int64(0), C.columns, C.columns), np.int64(1), C)


@subroutine
def add_product(A: Factor, block: Block, may_skip: Bool, columns: Columns, C: Output, space: Workspace) -> None:
    """Add to C the product of a block of A, of any number of rows, with packed rows of B.

    Args:
        A: (M, K).
        block: of A; the terms are those of the packed rows of B, at most ``KC``.
        may_skip: whether B is finite there, so that terms may be left out.
        columns: of B; if they are not packed, the width is a multiple of NR.
        C: as many rows as the block.
        space: of this thread.
    """
    i0, i1, k0, k1 = block
    lanes, rows, edge = VECTOR_BYTES // C.data.itemsize, space.rows, space.edge
    for i in range(i0, i1, MC):
        end = min(i + MC, i1)
        height = pack_rows(A.data, A.is_transposed, Block(i, end, k0, k1), may_skip, rows)
        # Three panels at once are as fast as one after the other for groups of four rows, and faster for pairs.
        least = (VECTORS - 1 if height == PAIR else VECTORS) * lanes
        j, start = 0, columns.start
        while j < columns.width:
            part = Output(C.data, C.start + (i - i0) * C.ldc + j, C.ldc, C.columns - j)
            is_wide = columns.width - j >= least
            if is_wide and height == PAIR:
                add_pairs(rows, end - i, columns, start, edge, part)
            elif is_wide:
                add_groups(rows, end - i, columns, start, edge, part)
            elif height == PAIR:
                add_pairs_to_panel(rows, end - i, columns, start, edge, part)
            else:
                add_groups_to_panel(rows, end - i, columns, start, edge, part)
            panels = VECTORS if is_wide else 1
            start += panels * columns.to_panel
            j += panels * lanes
