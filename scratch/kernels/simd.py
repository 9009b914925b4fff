"""The one loop that can't be written in Python: sums of products that stay in the processor's registers.

A compiler can't know that sums in an array don't overlap with the numbers that are added to them, so it would store
every sum after every term.  So the loop is written in the compiler's own language, LLVM's.
"""

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from scratch.kernels.jit import inlined

REGISTER = 64  # bytes of a vector
WIDEST = 4 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 1  # vectors side by side that registers hold
INT = ir.IntType(64)
LANE = ir.IntType(32)


def _kernel(vectors: int) -> Any:
    @intrinsic
    def add_products(
        context: Any,
        out: Any,
        corner: Any,
        pitch: Any,
        A: Any,
        turned: Any,
        i: Any,
        B: Any,
        origin: Any,
        stride: Any,
        at: Any,
        start: Any,
        end: Any,
    ) -> Any:
        """Add products of rows i to i + 3 of A with some rows of B to four rows of as many ``vectors`` each.

        One iteration loads the vectors of one row of B and multiplies them by one number of each row of A: a vector
        that is loaded serves four rows, and nothing is stored before the end.  Measured on one core of an AMD EPYC
        (Zen 5): 200 to 225 GFLOP/s for whole products, with sums in memory 100 to 190, as plain loops 24; OpenBLAS 240.

        Args:
            context: Numba's; the others are types here, and values in ``generate``.
            out: where the sums are added, in one row; the four rows begin ``pitch`` numbers apart, from ``corner`` on.
            corner: see ``out``.
            pitch: see ``out``.
            A: (M, K), or (K, M).
            turned: whether it is (K, M).
            i: a row of A, or a column; rows past the end are the last one again.
            B: in one row; its rows begin ``stride`` numbers apart, from ``origin`` on.
            origin: see ``B``.
            stride: see ``B``.
            at: which terms: columns of A and rows of B.
            start: the first entry of ``at`` that counts.
            end: the entry after the last.
        """
        number = B.dtype
        size, lanes = number.bitwidth // 8, REGISTER * 8 // number.bitwidth

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            out, corner, pitch, A, turned, i, B, origin, stride, at, start, end = (
                context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, arguments, strict=True)
            )
            vector = ir.VectorType(context.get_value_type(number), lanes)
            zero, everywhere = ir.Constant(vector, None), ir.Constant(ir.VectorType(LANE, lanes), None)

            def plus(x: Any, y: int) -> Any:
                return builder.add(x, ir.Constant(INT, y))

            def load(array: Any, index: Any) -> Any:
                return builder.load(builder.gep(array.data, [index]))

            def vector_at(array: Any, index: Any) -> Any:
                return builder.bitcast(builder.gep(array.data, [index]), vector.as_pointer())

            def in_every_lane(one: Any) -> Any:
                return builder.shuffle_vector(builder.insert_element(zero, one, ir.Constant(LANE, 0)), zero, everywhere)

            apart = [
                builder.sdiv(stride, ir.Constant(INT, size)) for stride in cgutils.unpack_tuple(builder, A.strides)
            ]
            next_row, next_term = builder.select(turned, apart[1], apart[0]), builder.select(turned, apart[0], apart[1])
            last = plus(builder.select(turned, *cgutils.unpack_tuple(builder, A.shape)[::-1]), -1)
            rows = [plus(i, r) for r in range(4)]
            rows = [builder.select(builder.icmp_signed("<", row, last), row, last) for row in rows]
            rows = [builder.mul(row, next_row) for row in rows]
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(4)]
            with cgutils.for_range_slice(builder, start, end, ir.Constant(INT, 1)) as (n, _):
                term = builder.sext(load(at, n), INT)
                first = builder.add(builder.mul(term, stride), origin)
                b = [builder.load(vector_at(B, plus(first, v * lanes)), align=size) for v in range(vectors)]
                column = builder.mul(term, next_term)
                for r in range(4):
                    a = in_every_lane(load(A, builder.add(rows[r], column)))
                    for v in range(vectors):
                        total = builder.load(sums[r][v])
                        total = builder.fadd(total, builder.fmul(a, b[v], flags=["contract"]), flags=["contract"])
                        builder.store(total, sums[r][v])
            for r in range(4):
                first = builder.add(builder.mul(pitch, ir.Constant(INT, r)), corner)
                for v in range(vectors):
                    into = vector_at(out, plus(first, v * lanes))
                    total = builder.fadd(builder.load(into, align=size), builder.load(sums[r][v]))
                    builder.store(total, into, align=size)
            return context.get_dummy_value()

        return types.void(out, corner, pitch, A, turned, i, B, origin, stride, at, start, end), generate

    return add_products


_kernel_1, _kernel_2, _kernel_3, _kernel_4 = map(_kernel, (1, 2, 3, 4))


@inlined
def add_products(
    vectors: int,
    out: NDArray[np.floating],
    corner: int,
    pitch: int,
    A: NDArray[np.floating],
    turned: bool,
    i: int,
    B: NDArray[np.floating],
    origin: int,
    stride: int,
    at: NDArray[np.int32],
    start: int,
    end: int,
) -> None:
    """The kernel for one to four vectors side by side."""
    if vectors == 4:
        _kernel_4(out, corner, pitch, A, turned, i, B, origin, stride, at, start, end)
    elif vectors == 3:
        _kernel_3(out, corner, pitch, A, turned, i, B, origin, stride, at, start, end)
    elif vectors == 2:
        _kernel_2(out, corner, pitch, A, turned, i, B, origin, stride, at, start, end)
    else:
        _kernel_1(out, corner, pitch, A, turned, i, B, origin, stride, at, start, end)
