"""Lists of the terms of a matrix product that are not zero.

81 % of MNIST's pixels are zero.  A term A[i, k] B[k, j] with A[i, k] = 0 adds exactly nothing to a sum, so the
micro-kernel skips every k at which all MR = 4 rows of its tile are zero.  Of four digits, 39 % of the pixels remain; of
four pixels (four rows of x.T in dW = x.T dz), 29 % of the digits.

This holds only if B is finite: 0·∞ and 0·NaN are NaN.  A block of B that is not known to be finite is scanned first
(``arrays.all_finite``), and all its terms are used if it holds infinity or NaN.

The lists of a block of A with 6 rows and 5 terms, for KC = 8; ``x`` is a number that is not zero, ``.`` is zero::

    A      k = 0 1 2 3 4          groups of MR rows         indices: one list of KC entries per group
    row 0      x . . . .    ┐
    row 1      . . . x .    │     k = 0, 3                  0 3 . . . . . .    counts[0] = 2
    row 2      . . . x .    │
    row 3      . . . . .    ┘
    row 4      . x . . .    ┐     k = 1, 2                  1 2 . . . . . .    counts[1] = 2
    row 5      . x x . .    ┘
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scratch.kernels.jit import Bool, inlined
from scratch.kernels.simd import MR

Array = NDArray[np.floating]
ALL, NONZERO = 1, 2  # which terms are listed


class Block(NamedTuple):
    """Rows i0 to i1 - 1 and terms k0 to k1 - 1 of A."""

    i0: int
    i1: int
    k0: int
    k1: int


class TermLists(NamedTuple):
    """For each group of MR rows, the terms to add.

    Attributes:
        counts: terms of each group, int64.
        indices: k - k0 of each term, int32; the list of group g begins at g·KC.  One entry longer than all lists,
            because ``list_terms`` writes an index before it knows whether to keep it.
        KC: the most terms that a group can have.
    """

    counts: NDArray[np.int64]
    indices: NDArray[np.int32]
    KC: int


@inlined
def list_terms(A: Array, is_transposed: Bool, block: Block, which: int, lists: TermLists) -> None:
    """Fill the lists with all terms of each group of rows, or with those that are not zero in every row.

    Args:
        A: (M, K), or (K, M) if ``is_transposed``.
        is_transposed: whether A holds the transpose.
        block: of A.
        which: ``ALL`` or ``NONZERO``.
        lists: is filled.
    """
    groups, terms = (block.i1 - block.i0 + MR - 1) // MR, block.k1 - block.k0
    nonzero = _nonzero(A, is_transposed, block)
    next_group, next_term = (1, groups) if is_transposed else (terms, 1)
    if which == ALL:
        nonzero[:] = 1
    for g in range(groups):
        end = g * lists.KC
        for k in range(terms):  # without a branch, which the processor would often mispredict
            lists.indices[end] = k
            end += nonzero[g * next_group + k * next_term]
        lists.counts[g] = end - g * lists.KC


@inlined
def _nonzero(A: Array, is_transposed: Bool, block: Block) -> NDArray[np.uint8]:
    """Return, for each group of MR rows and each term, 1 if a row of the group is not zero there, else 0.

    The result is 1-D: (groups, terms) flattened, or (terms, groups) if A is transposed.  So A is read along its
    contiguous axis, several numbers per instruction: 3 to 5 µs for half a batch of digits or its transpose, 30 µs one
    number at a time.
    """
    groups, terms = (block.i1 - block.i0 + MR - 1) // MR, block.k1 - block.k0
    nonzero = np.zeros(groups * terms, np.uint8)
    if is_transposed:
        for k in range(terms):
            column, found = A[block.k0 + k, block.i0 : block.i1], nonzero[k * groups : (k + 1) * groups]
            for g in range(len(column) // MR):
                i = MR * g
                found[g] = (column[i] != 0) | (column[i + 1] != 0) | (column[i + 2] != 0) | (column[i + 3] != 0)
            for i in range(len(column) // MR * MR, len(column)):
                found[groups - 1] |= column[i] != 0
    else:
        for i in range(block.i0, block.i1):
            row, start = A[i, block.k0 : block.k1], (i - block.i0) // MR * terms
            found = nonzero[start : start + terms]
            for k in range(terms):
                found[k] |= row[k] != 0
    return nonzero
