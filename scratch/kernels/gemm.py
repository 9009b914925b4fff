"""The matrix product C = A B + bias, blocked for caches and registers as in BLIS, without the terms that are zero.

::

                              NC columns
                          ┌────┬────┬────┬────┐
                          │    │    │    │    │
       KC terms        KC │ panels, NR wide   │  B (K, N): a packed panel is contiguous and fits in the L1 cache
                          │    │    │    │    │
      ┌──────────┐        ├────┼────┼────┼────┤
    MR├──────────┤      MR├────┼────┼────┼────┤
    MR├──────────┤      MR├────┼────┼────┼────┤  C (M, N): the micro-kernel adds to a tile of MR × NR numbers
      │          │        │    │    │    │    │
    A (M, K): MC rows     └────┴────┴────┴────┘
    with one list of
    non-zero terms per
    MR rows

The loops, from the outermost: MC rows of A, KC terms, NC columns, NR columns (a panel of B), MR rows (a call of
``simd.micro_kernel``).  A panel is packed, that is, copied so that what is used together is contiguous, if many rows of
A use it; else B is read where it is.

What is computed for a row depends on its group of MR rows and on nothing else, so a product may be cut into tiles
anywhere, as long as i0 is a multiple of MR and j0 a multiple of NC (of NR if B is finite), and its bits do
not depend on the number of threads.

Measured on one core of an AMD EPYC (Zen 5), 100 digits: forward (100 × 784 × 256) 115 µs, dW (784 × 100 × 256) 95 µs;
OpenBLAS takes 200 and 190 µs.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratch.kernels import threads
from scratch.kernels.arrays import add, aligned_empty, all_finite, copy
from scratch.kernels.jit import Bool, Int, compiled, inlined
from scratch.kernels.simd import MR, VECTOR_BYTES, VECTORS_PER_TILE, micro_kernel
from scratch.kernels.sparsity import ALL, NONZERO, Block, TermLists, list_terms

Array = NDArray[np.floating]
Tile = tuple[int, int, Int, int]  # i0, i1, j0, j1: rows i0 to i1 - 1, columns j0 to j1 - 1 of a product
MC = 256
NC = 256
KC_PACKED = 128  # at most; a packed panel of float32 numbers takes 32 KiB, and the L1 cache has 32 to 48
KC_IN_PLACE = 1024  # at most; KC × NC float32 numbers of B take 1 MiB, the size of an L2 cache
TERMS_PER_SUM = 64  # terms that are summed in a register before they are added to C: fewer are more accurate
MIN_ROWS_TO_PACK = 128  # with fewer rows of A, packing B costs more than it saves
MIN_ROWS_TO_SCAN = 16  # with fewer rows of A, looking for zeros costs more than it saves
MIN_PARALLEL_WORK = 1 << 22  # multiplications; with fewer, notifying a second core costs more than it saves


class Operands(NamedTuple):
    """The factors of a product, as ``product_tile`` describes them."""

    A: Array
    is_transposed: Bool
    B: Array
    B_is_finite: Bool


class Panel(NamedTuple):
    """Some rows of B, columns j to j + width - 1.

    Attributes:
        data: 1-D array that contains them.
        start: where the first row begins.
        ldb: leading dimension, the distance of two rows.
        j: the first column.
        width: number of columns, at most NR.
    """

    data: Array
    start: Int
    ldb: int
    j: int
    width: int


class Buffers(NamedTuple):
    """Aligned temporary arrays: a packed panel (KC·NR,), and a tile of C that reaches beyond its edge (MR·NR,)."""

    panel: Array
    edge: Array


def product(A: Array, B: Array, bias: Array | None = None) -> Array:
    """Return A B + bias: (M, K), (K, N), (N,) → (M, N).

    Args:
        A: C-contiguous, or the transpose of a C-contiguous array.
        B: C-contiguous.
        bias: zeros if None.

    Raises:
        ValueError: if the shapes or the dtypes do not fit together.
    """
    (M, K), N = A.shape, B.shape[1]
    fits = len(B) == K and A.dtype == B.dtype and (bias is None or (bias.shape == (N,) and bias.dtype == A.dtype))
    if not fits:  # the compiled loops would access memory outside the arrays
        arrays = ", ".join(f"{a.dtype} {a.shape}" for a in (A, B, bias) if a is not None)
        raise ValueError(f"product needs A (M, K), B (K, N) and a bias (N,) of one dtype; got {arrays}.")
    is_transposed = not A.flags.c_contiguous
    bias = np.zeros(N, A.dtype) if bias is None else bias
    operands = A.T if is_transposed else A, is_transposed, B, False, bias
    out = np.empty((M, N), A.dtype)
    if M * K * N < MIN_PARALLEL_WORK:
        product_tile(*operands, (0, M, 0, N), out)
    else:
        rows = MR * math.ceil(M / max(2, M / MC) / MR)  # of a tile; at least two tiles, one for each of two cores
        tiles = [(i, min(i + rows, M), j, min(j + NC, N)) for i in range(0, M, rows) for j in range(0, N, NC)]
        threads.run([partial(product_tile, *operands, tile, out[tile[0] : tile[1]]) for tile in tiles])
    return out


@compiled
def product_tile(
    A: Array, is_transposed: Bool, B: Array, B_is_finite: Bool, bias: Array, tile: Tile, out: Array
) -> None:
    """Compute one tile of A B + bias.

    Args:
        A: (M, K), or (K, M) if ``is_transposed``; C-contiguous in both cases, so that this is compiled once.
        is_transposed: whether A holds the transpose.
        B: (K, N).
        B_is_finite: whether B is known to hold neither infinity nor NaN; if False, it is scanned.
        bias: (N,), added to every row of the product.
        tile: of the product; see the restrictions at the top of this module.
        out: (i1 - i0, N), the rows of the tile; its columns j0 to j1 - 1 are overwritten.
    """
    i0, i1, j0, j1 = tile
    M, K = A.shape[1] if is_transposed else A.shape[0], B.shape[0]
    limit = KC_PACKED if M >= MIN_ROWS_TO_PACK else KC_IN_PLACE
    KC = 4 * max(1, math.ceil(K / max(1, math.ceil(K / limit)) / 4))  # blocks of equal size; there may be no terms
    NR = VECTORS_PER_TILE * (VECTOR_BYTES // A.itemsize)
    groups = (min(MC, i1 - i0) + MR - 1) // MR
    lists = TermLists(np.empty(groups, np.int64), np.empty(groups * KC + 1, np.int32), KC)
    buffer = aligned_empty((KC * NR + MR * NR,), A.dtype)
    buffers = Buffers(buffer[: KC * NR], buffer[KC * NR :])
    operands = Operands(A, is_transposed, B, B_is_finite)
    for i in range(i0, i1, MC):
        end = min(i + MC, i1)
        rows = out[i - i0 : end - i0]
        for r in range(len(rows)):
            copy(bias[j0:j1], rows[r, j0:j1])
        for k in range(0, K, KC):
            _add_block(operands, Block(i, end, k, min(k + KC, K)), (j0, j1), lists, buffers, rows)


@inlined
def _add_block(
    operands: Operands, block: Block, columns: tuple[Int, int], lists: TermLists, buffers: Buffers, rows: Array
) -> None:
    """Add the products of one block of A with the same terms of B, in some columns."""
    A, is_transposed, B = operands.A, operands.is_transposed, operands.B
    M, N = A.shape[1] if is_transposed else A.shape[0], B.shape[1]
    k0, k1 = block.k0, block.k1
    A_block = A[k0:k1, block.i0 : block.i1] if is_transposed else A[block.i0 : block.i1, k0:k1]
    lanes, NR = VECTOR_BYTES // A.itemsize, len(buffers.edge) // MR
    listed = 0  # neither ALL nor NONZERO
    for strip in range(columns[0], columns[1], NC):
        strip_end = min(strip + NC, columns[1])
        scan = M >= MIN_ROWS_TO_SCAN and (operands.B_is_finite or all_finite(B, k0, k1, strip, strip_end))
        which = NONZERO if scan else ALL
        if listed != which:
            list_terms(A, is_transposed, block, which, lists)
            listed = which
        for j in range(strip, strip_end, NR):
            width = min(NR, strip_end - j)
            panel = Panel(B.reshape(-1), k0 * N + j, N, j, width)
            if M >= MIN_ROWS_TO_PACK or width % lanes != 0:  # in place, the micro-kernel would read beyond B's edge
                _pack(B[k0:k1], j, width, NR, buffers.panel)
                panel = Panel(buffers.panel, np.int64(0), NR, j, width)
            _add_panel(A_block, is_transposed, panel, lists, buffers.edge, rows)


@inlined
def _pack(B: Array, j: int, width: int, NR: int, panel: Array) -> None:
    """Copy columns j to j + width - 1 of B into rows of NR numbers, and fill these up with zeros."""
    for k in range(len(B)):
        row = panel[k * NR : (k + 1) * NR]
        copy(B[k, j : j + width], row)
        row[width:] = 0


@compiled
def _add_panel(A: Array, is_transposed: Bool, panel: Panel, lists: TermLists, edge: Array, out: Array) -> None:
    """Add the products of a block of A with a panel of B; at most ``TERMS_PER_SUM`` terms per call of the kernel."""
    N, lanes, j = out.shape[1], VECTOR_BYTES // out.itemsize, panel.j
    vectors = (panel.width + lanes - 1) // lanes
    for i in range(0, len(out), MR):
        start = i // MR * lists.KC
        stop = start + lists.counts[i // MR]
        fits = i + MR <= len(out) and panel.width % lanes == 0
        C, c_start, ldc = out.reshape(-1), i * N + j, N
        if not fits:  # the micro-kernel would write beyond the edge of ``out``
            edge[:] = 0
            C, c_start, ldc = edge, np.int64(0), len(edge) // MR
        for k in range(start, stop, TERMS_PER_SUM):
            last = min(k + TERMS_PER_SUM, stop)
            B, b_start, ldb = panel.data, panel.start, panel.ldb
            micro_kernel(vectors, C, c_start, ldc, A, is_transposed, i, B, b_start, ldb, lists.indices, k, last)
        if not fits:
            for r in range(i, min(i + MR, len(out))):
                add(edge[(r - i) * ldc :][: panel.width], out[r, j : j + panel.width])
