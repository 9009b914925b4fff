"""The matrix product, compiled: four rows at a time, without the terms that are zero in all four."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from scratch.ops import threads
from scratch.ops.compiler import compiled

Array = NDArray[np.floating]
WIDTH = 256  # columns of a strip
PITCH = WIDTH + 16  # from one row of a strip's sums to the next
DEPTH = 256  # terms after which a strip's sums go into the result
ROWS = 256  # rows of one task, at most
FEW = 16  # so few rows are not worth a look at zeros, or a copy of B
SHARED = 1 << 22  # multiplications from which a second core is worth waking


def product(A: Array, B: Array, bias: Array | None = None) -> Array:
    """A B + bias: (M, K), (K, N), (N,) → (M, N); A may be a transposed view, B lies row by row."""
    (M, K), N = A.shape, B.shape[1]
    out = np.empty((M, N), A.dtype)
    bias = np.zeros(N, A.dtype) if bias is None else bias
    if M * K * N < SHARED:
        product_tile(A, B, bias, out, 0, M, 0, N)
    else:
        rows = 4 * math.ceil(M / max(2, M / ROWS) / 4)
        tiles = ((i, min(i + rows, M), j, min(j + WIDTH, N)) for i in range(0, M, rows) for j in range(0, N, WIDTH))
        threads.run([partial(product_tile, A, B, bias, out[tile[0] : tile[1]], *tile) for tile in tiles])
    return out


@compiled
def product_tile(A: Array, B: Array, bias: Array, out: Array, i0: int, i1: int, j0: int, j1: int) -> None:
    """Rows i0 to i1 of A B + bias, columns j0 to j1, into ``out``, which has these rows and all columns.

    i0 is a multiple of 4.
    A strip of B is copied so that it lies in one piece and stays in the cache for all rows.  Where four rows of A are
    mostly zeros (digits are: 61 % of the pixels are zero in any four of them), only those rows of B are used, where
    they lie, that meet a number other than zero: a zero contributes exactly nothing.  Unless it meets an infinity or a
    NaN, so that B is looked at first.  What is computed for a row depends on its group of four and on nothing else, so
    a product may be cut into tiles in any way.  Measured on the first product of the article's network, one core:
    120 µs, without skipping 270, in OpenBLAS 190; its backward product 120 µs, 250, 190.
    """
    terms = A.shape[1]
    flat = B.reshape(-1)
    panel = np.empty(min(terms + 3, DEPTH) * WIDTH, A.dtype)
    sums = np.empty(4 * PITCH, A.dtype)
    a = np.empty(4 * DEPTH, A.dtype)
    at = np.empty(DEPTH + 1, np.uint64)
    for j in range(j0, j1, WIDTH):
        columns = min(WIDTH, j1 - j)
        width = WIDTH if columns > 128 else 128 if columns > 32 else 32
        finite = -1  # not looked at yet
        for k0 in range(0, terms, DEPTH):
            depth = min(DEPTH, terms - k0)
            packed = False
            for i in range(i0, i1, 4):
                used = depth
                if A.shape[0] >= FEW and width == columns and _mostly_zero(A, i, i1, k0, depth):
                    if finite < 0:
                        finite = _finite(B, j, columns)
                    if finite == 1:
                        used = _not_all_zero(A, i, i1, k0, depth, at)
                if used == depth:
                    for k in range(depth):
                        at[k] = k
                direct = used < depth or (A.shape[0] < FEW and width == columns)
                if not direct and not packed:
                    _pack(B, k0, depth, j, columns, width, panel)
                    packed = True
                fours = _gather(A, i, i1, k0, used, at, a)
                if direct:
                    for k in range(4 * fours):
                        at[k] = (k0 + at[k]) * B.shape[1] + j
                else:
                    for k in range(4 * fours):
                        at[k] *= width
                sums[:] = 0
                source = flat if direct else panel
                if width == 256:
                    _strip_256(sums, source, at, a, fours)
                elif width == 128:
                    _strip_128(sums, source, at, a, fours)
                else:
                    _strip_32(sums, source, at, a, fours)
                for r in range(min(4, i1 - i)):
                    to, total = out[i - i0 + r, j : j + columns], sums[r * PITCH : r * PITCH + columns]
                    first = bias[j : j + columns] if k0 == 0 else to
                    for c in range(columns):
                        to[c] = first[c] + total[c]


def _strip(width: int) -> Callable[..., None]:
    @compiled
    def add_products(sums: Array, B: Array, at: NDArray[np.uint64], a: Array, fours: int) -> None:
        """Add a B to sums, for four rows of a, and those rows of B, ``width`` numbers wide, that begin ``at`` places.

        Four rows times four terms: each number of B that is loaded serves four rows, and each sum that is loaded and
        stored takes four terms, so that the multipliers set the pace and not the loads: 160 to 250 GFLOP/s on one core
        of an AMD EPYC (Zen 5), where OpenBLAS reaches 240 and plain compiled loops 24.  Rows of sums are not 256 apart,
        because a load waits for an earlier store that is a multiple of 4,096 bytes away.  The four products are added
        to each other first: the running sum is four times shorter, and so more exact.
        """
        for g in range(fours):
            q, k = a[16 * g : 16 * g + 16], at[4 * g : 4 * g + 4]
            a00, a01, a02, a03, a10, a11, a12, a13 = q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7]
            a20, a21, a22, a23, a30, a31, a32, a33 = q[8], q[9], q[10], q[11], q[12], q[13], q[14], q[15]
            k0, k1, k2, k3 = k[0], k[1], k[2], k[3]
            for i in range(width):
                j = np.uint64(i)
                b0, b1, b2, b3 = B[k0 + j], B[k1 + j], B[k2 + j], B[k3 + j]
                sums[i] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                sums[PITCH + i] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                sums[2 * PITCH + i] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                sums[3 * PITCH + i] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3

    return add_products


_strip_256, _strip_128, _strip_32 = _strip(256), _strip(128), _strip(32)


@compiled
def _row(i: int, r: int, end: int) -> int:
    """Row r of the four that begin at i; past the end the last one again, whose sums nobody takes."""
    return min(i + r, end - 1)


@compiled
def _mostly_zero(A: Array, i: int, end: int, k0: int, depth: int) -> bool:
    """Whether fewer than 60 % of the terms are needed by any of four rows, judged by every eighth."""
    i1, i2, i3 = _row(i, 1, end), _row(i, 2, end), _row(i, 3, end)
    needed = 0
    for k in range(k0, k0 + depth, 8):
        needed += (A[i, k] != 0) | (A[i1, k] != 0) | (A[i2, k] != 0) | (A[i3, k] != 0)
    return needed * 8 < 0.6 * depth


@compiled
def _not_all_zero(A: Array, i: int, end: int, k0: int, depth: int, at: NDArray[np.uint64]) -> int:
    """List the terms that are not zero in all of four rows, without a branch that could be guessed wrong."""
    i1, i2, i3 = _row(i, 1, end), _row(i, 2, end), _row(i, 3, end)
    used = 0
    for k in range(depth):
        at[used] = k
        p = k0 + k
        used += (A[i, p] != 0) | (A[i1, p] != 0) | (A[i2, p] != 0) | (A[i3, p] != 0)
    return used


@compiled
def _gather(A: Array, i: int, end: int, k0: int, used: int, at: NDArray[np.uint64], a: Array) -> int:
    """Put the listed terms of four rows side by side, four terms a row, and zeros where the last four are not full."""
    i1, i2, i3 = _row(i, 1, end), _row(i, 2, end), _row(i, 3, end)
    fours = (used + 3) // 4
    for n in range(used, 4 * fours):
        at[n] = at[used - 1]
    for n in range(4 * fours):
        g, p = n // 4 * 16 + n % 4, k0 + np.int64(at[n])
        a[g], a[g + 4], a[g + 8], a[g + 12] = A[i, p], A[i1, p], A[i2, p], A[i3, p]
    for n in range(used, 4 * fours):
        g = n // 4 * 16 + n % 4
        a[g], a[g + 4], a[g + 8], a[g + 12] = 0, 0, 0, 0
    return fours


@compiled
def _pack(B: Array, k0: int, depth: int, j: int, columns: int, width: int, panel: Array) -> None:
    """Copy a strip of B, and fill it with zeros up to its width."""
    for k in range(depth):
        row, source = panel[k * width : (k + 1) * width], B[k0 + k, j : j + columns]
        for c in range(columns):
            row[c] = source[c]
        for c in range(columns, width):
            row[c] = 0


@compiled
def _finite(B: Array, j: int, columns: int) -> int:
    """1 if no number in these columns is infinite or NaN, else 0: 0·x is then 0 for all of them, else NaN for one."""
    good = 0
    for k in range(B.shape[0]):
        row = B[k, j : j + columns]
        for c in range(columns):
            good += row[c] * 0 == 0
    return 1 if good == B.shape[0] * columns else 0


@compiled
def transposed(W: Array) -> Array:
    """W.T, copied so that it lies row by row."""
    out = np.empty((W.shape[1], W.shape[0]), W.dtype)
    for i0 in range(0, W.shape[0], 16):
        for j in range(W.shape[1]):
            for i in range(i0, min(i0 + 16, W.shape[0])):
                out[j, i] = W[i, j]
    return out
