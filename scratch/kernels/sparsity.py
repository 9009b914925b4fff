"""Packing a block of A for the matrix product, without the terms that are zero.

81 % of MNIST's pixels are zero.  A term A[i, k] B[k, j] with A[i, k] = 0 adds exactly nothing to a sum, so a pair of
rows is packed as a list of those k at which one of the two rows is not zero: 29 % of the pixels of two digits, 22 % of
the digits for two pixels (two rows of x.T in dW = x.T dz).  The values are packed beside the terms, so that the
micro-kernel reads both in order.

Zeros are found 64 at a time: a word has one bit for each number, two rows are joined by ``|``, and the bits that are 1
are visited with ``lowest_bit``.  A block with 4 rows and 5 terms; ``.`` is zero::

    A      k = 0 1 2 3 4       words                     terms      values
    row 0      a . . b .    ┐  1 0 0 1 0
    row 1      . . . c .    ┘  0 0 0 1 0   |: 1 0 0 1 0    0 3       a .  b c           counts[0] = 2
    row 2      . d . . .    ┐  0 1 0 0 0
    row 3      . e f . .    ┘  0 1 1 0 0   |: 0 1 1 0 0    1 2       d e  . f           counts[1] = 2

A block with few zeros is packed in groups of four rows with all their terms: each number of B that is loaded then
serves four rows.  Measured on one core of an AMD EPYC (Zen 4): 14 to 16 µs for a batch of 100 digits and 20 to 21 µs
for its transpose; without zeros 15 and 16 µs, and 22 and 43 number by number.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.arrays import clear
from scratch.kernels.jit import Bool, Int, inlined, subroutine
from scratch.kernels.simd import VECTOR_BYTES, count_bits, either, get, interleave, load, lowest_bit, nonzero_lanes, put

Array = NDArray[np.floating]
Words = NDArray[np.uint64]
KC = 136  # terms of a block, at most: the two sums of MNIST's pixels, of 400 and 384, are three blocks each
MC = 256  # rows of a block, at most
WORD = 64  # numbers that a word describes
PAIR, GROUP = 2, 4  # rows that are packed together: without the terms that are zero, and with all terms
MAX_DENSITY = 0.7  # of the terms of pairs; with more, groups of four rows with all terms are faster
EVEN_BITS = np.uint64(0x5555555555555555)
ONE = np.uint64(1)


class Block(NamedTuple):
    """Rows i0 to i1 - 1 and terms k0 to k1 - 1 of A: at most ``MC`` and ``KC``."""

    i0: Int
    i1: Int
    k0: Int
    k1: Int


class PackedRows(NamedTuple):
    """A packed block of A, in groups of ``PAIR`` or ``GROUP`` rows.

    Attributes:
        counts: terms of each group.
        terms: k - k0 of each term, in increasing order; those of group g begin at g·KC.
        values: A[i, k] for each row i of the group and each term k; those of group g begin at g·KC·(rows of a group).
        words: which numbers of the block are not zero, while it is packed.
    """

    counts: NDArray[np.int64]
    terms: NDArray[np.uint8]
    values: Array
    words: Words


@subroutine
def pack_rows(A: Array, is_transposed: Bool, block: Block, may_skip: Bool, packed: PackedRows) -> int:
    """Pack a block of A; return how many rows form a group.

    Rows beyond the end of the block are zero, or rows of A that the block does not have.

    Args:
        A: (M, K), or (K, M) if ``is_transposed``; C-contiguous in both cases, so that this is compiled once.
        is_transposed: whether A holds the transpose.
        block: of A.
        may_skip: whether terms that are zero may be left out; 0·∞ and 0·NaN are NaN, so not if B has such numbers.
        packed: is filled.
    """
    if may_skip:
        pairs = (block.i1 - block.i0 + 1) // PAIR
        most = MAX_DENSITY * (pairs * (block.k1 - block.k0))
        if is_transposed:
            if _scan_columns(A, block, packed.words) <= most:
                _pack_pairs_of_columns(A, block, packed)
                return PAIR
        elif _scan_pairs(A, block, packed.words) <= most:
            _pack_pairs(A, block, packed)
            return PAIR
    _pack_groups(A, is_transposed, block, packed)
    return GROUP


@inlined
def _nonzero(A: Array, first: Int, second: Int, count: Int) -> np.uint64:
    """Return a word that tells at which of up to 64 places one of two rows is not zero."""
    lanes, word = VECTOR_BYTES // A.itemsize, np.uint64(0)
    if first + count < lanes:
        for i in range(count):
            word |= np.uint64((get(A, first + i) != 0) | (get(A, second + i) != 0)) << np.uint64(i)
        return word
    for v in range(0, count - lanes, lanes):
        word |= nonzero_lanes(either(load(A, first + v), load(A, second + v))) << np.uint64(v)
    start = count - lanes  # of the last vector, which overlaps with what is before it
    last = nonzero_lanes(either(load(A, first + start), load(A, second + start)))
    return word | (last << np.uint64(start) if start > 0 else last >> np.uint64(-start))


@subroutine
def _scan_pairs(A: Array, block: Block, words: Words) -> int:
    """Write the words of each pair of rows; return how many terms the pairs have."""
    K, n, found = A.shape[1], 0, 0
    for i in range(block.i0, block.i1, PAIR):
        second = min(i + 1, block.i1 - 1)
        for k in range(block.k0, block.k1, WORD):
            count = min(WORD, block.k1 - k)
            word = _nonzero(A, i * K + k, second * K + k, count)
            put(words, n, word)
            found += count_bits(word)
            n += 1
    return found


@subroutine
def _pack_pairs(A: Array, block: Block, packed: PackedRows) -> None:
    """Pack the terms of each pair of rows, from the words of ``_scan_pairs``."""
    K, w = A.shape[1], 0
    counts, terms, values, words = packed.counts, packed.terms, packed.values, packed.words
    for i in range(block.i0, block.i1, PAIR):
        first, second, g = i * K, min(i + 1, block.i1 - 1) * K, (i - block.i0) // PAIR
        n = g * KC
        for k in range(block.k0, block.k1, WORD):
            word = get(words, w)
            w += 1
            while word != 0:
                term = k + lowest_bit(word)
                put(terms, n, np.uint8(term - block.k0))
                put(values, PAIR * n, get(A, first + term))
                put(values, PAIR * n + 1, get(A, second + term))
                n += 1
                word &= word - ONE
        counts[g] = n - g * KC


@subroutine
def _scan_columns(A: Array, block: Block, words: Words) -> int:
    """Do as ``_scan_pairs`` for pairs of columns: an even bit c tells whether column c or c + 1 is not zero."""
    M, n, found = A.shape[1], 0, 0
    for k in range(block.k0, block.k1):
        for i in range(block.i0, block.i1, WORD):
            word = _nonzero(A, k * M + i, k * M + i, min(WORD, block.i1 - i))
            word = (word | (word >> ONE)) & EVEN_BITS
            put(words, n, word)
            found += count_bits(word)
            n += 1
    return found


@subroutine
def _pack_pairs_of_columns(A: Array, block: Block, packed: PackedRows) -> None:
    """Pack the terms of each pair of columns, from the words of ``_scan_columns``."""
    M, w = A.shape[1], 0
    counts, terms, values, words = packed.counts, packed.terms, packed.values, packed.words
    clear(counts, np.int64(0), (block.i1 - block.i0 + 1) // PAIR)
    for k in range(block.k0, block.k1):
        for i in range(block.i0, block.i1, WORD):
            word = get(words, w)
            w += 1
            while word != 0:
                column = i + lowest_bit(word)
                g = (column - block.i0) >> 1  # // PAIR
                n = g * KC + get(counts, g)
                put(terms, n, np.uint8(k - block.k0))
                put(values, PAIR * n, get(A, k * M + column))
                put(values, PAIR * n + 1, get(A, k * M + min(column + 1, block.i1 - 1)))
                put(counts, g, get(counts, g) + 1)
                word &= word - ONE


@subroutine
def _pack_groups(A: Array, is_transposed: Bool, block: Block, packed: PackedRows) -> None:
    """Pack all terms of each group of four rows."""
    count = block.k1 - block.k0
    for g in range((block.i1 - block.i0 + GROUP - 1) // GROUP):
        put(packed.counts, g, count)
        for k in range(count):
            put(packed.terms, g * KC + k, np.uint8(k))
    if is_transposed:
        _pack_groups_of_columns(A, block, packed.values)
    else:
        _pack_groups_of_rows(A, block, packed.values)


@subroutine
def _pack_groups_of_rows(A: Array, block: Block, values: Array) -> None:
    """Pack the values of each group of four rows: the first of each, the second of each, …."""
    (i0, i1, k0, k1), K, lanes = block, A.shape[1], VECTOR_BYTES // A.itemsize
    for i in range(i0, i1, GROUP):
        place = (i - i0) * KC
        if i + GROUP <= i1 and k1 - k0 >= lanes:
            for k in range(k0, k1, lanes):
                first = min(k, k1 - lanes)  # the last vectors overlap with those before
                interleave(A, (i * K + first, K), GROUP, 1, values, (place + (first - k0) * GROUP, lanes))
        else:
            for k in range(k0, k1):
                for r in range(GROUP):
                    put(values, place + (k - k0) * GROUP + r, get(A, min(i + r, i1 - 1) * K + k))


@subroutine
def _pack_groups_of_columns(A: Array, block: Block, values: Array) -> None:
    """Do as ``_pack_groups_of_rows`` for groups of four columns: four numbers of each row."""
    (i0, i1, k0, k1), M, lanes = block, A.shape[1], VECTOR_BYTES // A.itemsize
    rows = lanes // GROUP
    whole, last = i1 - (i1 - i0) % lanes, k1 - (k1 - k0) % rows
    for k in range(k0, last, rows):
        for i in range(i0, whole, lanes):
            interleave(A, (k * M + i, M), GROUP, GROUP, values, ((i - i0) * KC + (k - k0) * GROUP, GROUP * KC))
    for k in range(k0, k1):
        for i in range(whole if k < last else i0, i1, GROUP):
            for r in range(GROUP):
                put(values, (i - i0) * KC + (k - k0) * GROUP + r, get(A, k * M + min(i + r, i1 - 1)))
