"""The micro-kernel of the matrix product: MR rows of C += A B, with all sums in vector registers.

One iteration over k loads one row of a panel of B, up to ``VECTORS_PER_TILE`` vectors, and multiplies it by one number
of each of MR = 4 rows of A.  Each loaded vector serves four rows, and nothing is stored before the last iteration:

::

                 B[k, j:]     b0       b1       b2       b3      vectors of 16 float32 (or 8 float64) numbers
                           ┌────────┬────────┬────────┬────────┐
    A[i    , k] in all lanes │ c00    │ c01    │ c02    │ c03    │
    A[i + 1, k]    "        │ c10    │ c11    │ c12    │ c13    │  c[r][v] += A[i + r, k] * b[v]:
    A[i + 2, k]    "        │ c20    │ c21    │ c22    │ c23    │  16 registers of sums, 16 fused multiply-adds
    A[i + 3, k]    "        │ c30    │ c31    │ c32    │ c33    │
                           └────────┴────────┴────────┴────────┘

The values of k come from a list, so that terms which are zero in all four rows can be left out (see ``sparsity``).

Numba cannot compile this from a Python loop: it does not know that the array of sums does not overlap with A or B, so
the sums would be stored in memory after every term.  So the loop is generated in LLVM's intermediate language.
Measured on one core of an AMD EPYC (Zen 5), float32: 200 to 225 GFLOP/s for whole matrix products; 100 to 190 with the
sums in memory, 24 as plain loops, 240 in OpenBLAS.
"""

from functools import partial
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from scratch.kernels.jit import Bool, Int, inlined

Array = NDArray[np.floating]
MR = 4  # rows of a tile
VECTOR_BYTES = 64  # with AVX-512 one register; elsewhere LLVM splits a vector into several
VECTORS_PER_TILE = 4 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 1  # as the registers have room for
INT64 = ir.IntType(64)
INT32 = ir.IntType(32)


class _Emitter:
    """Emit LLVM instructions for vectors of one dtype."""

    def __init__(self, context: Any, builder: Any, dtype: Any) -> None:
        self.builder = builder
        self.itemsize = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.itemsize
        self.vector = ir.VectorType(context.get_value_type(dtype), self.lanes)
        self.zero = ir.Constant(self.vector, None)

    def plus(self, x: Any, constant: int) -> Any:
        """Add an integer constant."""
        return self.builder.add(x, ir.Constant(INT64, constant))

    def number(self, array: Any, index: Any) -> Any:
        """Load array[index]."""
        return self.builder.load(self.builder.gep(array.data, [index]))

    def vector_pointer(self, array: Any, index: Any) -> Any:
        """Return the address of the vector that starts at array[index]; it is aligned to one number only."""
        return self.builder.bitcast(self.builder.gep(array.data, [index]), self.vector.as_pointer())

    def splat(self, number: Any) -> Any:
        """Return a vector with the number in all lanes."""
        one_lane = self.builder.insert_element(self.zero, number, ir.Constant(INT32, 0))
        lane_zero = ir.Constant(ir.VectorType(INT32, self.lanes), None)
        return self.builder.shuffle_vector(one_lane, self.zero, lane_zero)

    def multiply_add(self, a: Any, b: Any, total: Any) -> Any:
        """Return total + a * b; ``contract`` lets LLVM use a fused multiply-add instruction."""
        product = self.builder.fmul(a, b, flags=["contract"])
        return self.builder.fadd(total, product, flags=["contract"])

    def row_offsets(self, A: Any, is_transposed: Any, row: Any) -> tuple[list[Any], Any]:
        """Return where the MR rows of A start, and the distance of two terms in a row, both in numbers.

        A row past the end of A is the last row again: its sums are computed, but not used.
        """
        builder, itemsize = self.builder, ir.Constant(INT64, self.itemsize)
        strides = [builder.sdiv(stride, itemsize) for stride in cgutils.unpack_tuple(builder, A.strides)]
        to_row = builder.select(is_transposed, strides[1], strides[0])
        to_term = builder.select(is_transposed, strides[0], strides[1])
        shape = cgutils.unpack_tuple(builder, A.shape)
        last = self.plus(builder.select(is_transposed, shape[1], shape[0]), -1)
        rows = [self.plus(row, r) for r in range(MR)]
        rows = [builder.select(builder.icmp_signed("<", r, last), r, last) for r in rows]
        return [builder.mul(r, to_row) for r in rows], to_term


def _micro_kernel(vectors: int) -> Any:
    @intrinsic
    def kernel(
        context: Any,
        C: Any,
        c_start: Any,
        ldc: Any,
        A: Any,
        is_transposed: Any,
        row: Any,
        B: Any,
        b_start: Any,
        ldb: Any,
        terms: Any,
        first: Any,
        last: Any,
    ) -> Any:
        """Return the type of ``micro_kernel`` with so many vectors, and the function that generates its code."""
        result = types.void(C, c_start, ldc, A, is_transposed, row, B, b_start, ldb, terms, first, last)
        return result, partial(_generate, vectors, B.dtype)

    return kernel


def _generate(vectors: int, dtype: Any, context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    C, c_start, ldc, A, is_transposed, row, B, b_start, ldb, terms, first, last = (
        context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, arguments, strict=True)
    )
    emit = _Emitter(context, builder, dtype)
    columns = [v * emit.lanes for v in range(vectors)]
    offsets, to_term = emit.row_offsets(A, is_transposed, row)
    # LLVM keeps these local variables in registers, as nothing else can point to them.
    sums = [[cgutils.alloca_once_value(builder, emit.zero) for _ in columns] for _ in range(MR)]
    with cgutils.for_range_slice(builder, first, last, ir.Constant(INT64, 1)) as (n, _):
        k = builder.sext(emit.number(terms, n), INT64)
        start = builder.add(builder.mul(k, ldb), b_start)
        b = [builder.load(emit.vector_pointer(B, emit.plus(start, c)), align=emit.itemsize) for c in columns]
        column_of_A = builder.mul(k, to_term)
        for r in range(MR):
            a = emit.splat(emit.number(A, builder.add(offsets[r], column_of_A)))
            for v in range(vectors):
                builder.store(emit.multiply_add(a, b[v], builder.load(sums[r][v])), sums[r][v])
    for r in range(MR):
        start = builder.add(builder.mul(ldc, ir.Constant(INT64, r)), c_start)
        for v, c in enumerate(columns):
            pointer = emit.vector_pointer(C, emit.plus(start, c))
            total = builder.fadd(builder.load(pointer, align=emit.itemsize), builder.load(sums[r][v]))
            builder.store(total, pointer, align=emit.itemsize)
    return context.get_dummy_value()


_kernel_1, _kernel_2, _kernel_3, _kernel_4 = map(_micro_kernel, (1, 2, 3, 4))


@inlined
def micro_kernel(
    vectors: int,
    C: Array,
    c_start: Int,
    ldc: int,
    A: Array,
    is_transposed: Bool,
    row: int,
    B: Array,
    b_start: Int,
    ldb: int,
    terms: NDArray[np.int32],
    first: int,
    last: int,
) -> None:
    """Add the products of MR rows of A with some rows of B to MR rows of C, in as many ``vectors`` of columns.

    Args:
        vectors: 1 to 4.
        C: 1-D; receives the sums.
        c_start: where the first of its MR rows begins.
        ldc: leading dimension, the distance of two rows of C.
        A: (M, K), or (K, M) if ``is_transposed``.
        is_transposed: whether A holds the transpose.
        row: the first of the MR rows of A.
        B: 1-D.
        b_start: where row k = 0 begins.
        ldb: leading dimension, the distance of two rows of B.
        terms: values of k: columns of A and rows of B.
        first: the first entry of ``terms`` that is used.
        last: the entry after the last one that is used.
    """
    if vectors == 4:
        _kernel_4(C, c_start, ldc, A, is_transposed, row, B, b_start, ldb, terms, first, last)
    elif vectors == 3:
        _kernel_3(C, c_start, ldc, A, is_transposed, row, B, b_start, ldb, terms, first, last)
    elif vectors == 2:
        _kernel_2(C, c_start, ldc, A, is_transposed, row, B, b_start, ldb, terms, first, last)
    else:
        _kernel_1(C, c_start, ldc, A, is_transposed, row, B, b_start, ldb, terms, first, last)
