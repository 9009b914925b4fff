"""A vector type for Numba, with which a SIMD kernel is a loop nest in plain Python.

A local variable of this type is one register, or several where the processor's are narrower::

    zero = splat(np.float32(0))
    sums = registers(zero, 8)                  # eight vectors, which LLVM keeps in registers
    for k in range(terms):
        row = load(B, k * ldb)                 # 16 float32 numbers of a 1-D array
        for r in range(8):                     # unrolled (see ``jit``), as 8 is a constant
            sums[r] = fma(splat(A[r * lda + k]), row, sums[r])

Without it, Numba does not know that an array of sums does not overlap with A or B, so it stores the sums in memory
after every term.  Measured on one core of an AMD EPYC (Zen 5), float32: 24 GFLOP/s for plain loops, 190 to 225 for the
matrix products of ``gemm``, which are written with this type.
"""

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils, errors
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model
from numba.np.arrayobj import populate_array


def _vector_bytes() -> int:
    """Return the width of the vectors: that of AVX-512 registers if the processor has them, else that of AVX2's.

    A processor with narrower registers, such as NEON's, takes two for a vector.
    """
    named = config.CPU_NAME is not None and config.CPU_NAME != "host"  # NUMBA_CPU_NAME, with its NUMBA_CPU_FEATURES
    has_avx512 = "+avx512f" in (config.CPU_FEATURES or "") if named else binding.get_host_cpu_features().get("avx512f")
    return 64 if has_avx512 else 32


VECTOR_BYTES = _vector_bytes()


class Vector(types.Type):
    """The Numba type of ``lanes`` numbers of one dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype, self.lanes = dtype, VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    """How a vector is represented in LLVM."""

    def __init__(self, manager: Any, fe_type: Any) -> None:
        element = manager.lookup(fe_type.dtype).get_value_type()
        super().__init__(manager, fe_type, ir.VectorType(element, fe_type.lanes))


def data_pointer(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Return the address of an array's first number; this is less code for LLVM than Numba's ``make_array``."""
    return builder.extract_value(array, context.data_model_manager[array_type].get_field_position("data"))


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Return the address of the vector that begins at array[index]; it is aligned to one number only."""
    data = data_pointer(context, builder, array_type, array)
    return builder.bitcast(builder.gep(data, [index]), context.get_value_type(Vector(array_type.dtype)).as_pointer())


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """Return the vector that begins at array[index], of a C-contiguous array.

    The index counts the numbers of all rows, one row after the other, and is not checked.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, array, *arguments), align=array.dtype.bitwidth // 8)

    return Vector(array.dtype)(array, types.int64), generate


@intrinsic
def store(typing_context: Any, array: Any, index: Any, vector: Any) -> Any:
    """Write the vector to array[index : index + lanes], with an index as in ``load``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _pointer(context, builder, array, *arguments[:2])
        builder.store(arguments[2], place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), generate


@intrinsic
def get(typing_context: Any, array: Any, index: Any) -> Any:
    """Return array[index], with an index as in ``load``; a negative one does not count from the end."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = data_pointer(context, builder, array, arguments[0])
        return builder.load(builder.gep(data, [arguments[1]]))

    return array.dtype(array, types.int64), generate


@intrinsic
def put(typing_context: Any, array: Any, index: Any, number: Any) -> Any:
    """Write a number of the array's dtype to array[index], with an index as in ``load``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = data_pointer(context, builder, array, arguments[0])
        builder.store(arguments[2], builder.gep(data, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(array, types.int64, array.dtype), generate


def _view(array: Any, shape: Any, dtype: Any, *further: Any) -> Any:
    """Return signature and code of a view of a 1-D array, from one of its numbers on, as numbers of a dtype.

    Args:
        array: the type of the array.
        shape: the types of the lengths of the view.
        dtype: of the view.
        *further: the types of arguments that follow the lengths.
    """
    kind = types.Array(dtype, len(shape), "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = data_pointer(context, builder, array, arguments[0])
        view = context.make_array(kind)(context, builder)
        itemsize = context.get_constant(types.intp, dtype.bitwidth // 8)
        lengths = list(arguments[2 : 2 + len(shape)])
        strides = [itemsize] if len(lengths) == 1 else [builder.mul(lengths[1], itemsize), itemsize]
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), view.data.type)
        populate_array(view, pointer, shape=lengths, strides=strides, itemsize=itemsize, meminfo=None)
        return view._getvalue()

    return kind(array, types.int64, *shape, *further), generate


@intrinsic
def vector_view(typing_context: Any, flat: Any, start: Any, count: Any) -> Any:
    """Return flat[start : start + count]; the bounds are not checked, which compiles faster than a slice."""
    return _view(flat, (types.int64,), flat.dtype)


@intrinsic
def matrix_view(typing_context: Any, flat: Any, start: Any, rows: Any, columns: Any) -> Any:
    """Return the matrix (rows, columns) that begins at flat[start], like ``vector_view``."""
    return _view(flat, (types.int64, types.int64), flat.dtype)


@intrinsic
def buffer_view(typing_context: Any, buffer: Any, start: Any, count: Any, dtype: Any) -> Any:
    """Return ``count`` numbers of a dtype, the first of which begins at byte ``start`` of an array of bytes."""
    return _view(buffer, (types.int64,), dtype.dtype, dtype)


@intrinsic
def splat(typing_context: Any, number: Any) -> Any:
    """Return a vector with the number in every lane."""
    vector = Vector(number)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lane = ir.IntType(32)
        undefined = ir.Constant(context.get_value_type(vector), ir.Undefined)
        one_lane = builder.insert_element(undefined, arguments[0], ir.Constant(lane, 0))
        return builder.shuffle_vector(one_lane, undefined, ir.Constant(ir.VectorType(lane, vector.lanes), None))

    return vector(number), generate


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, rounded once where the processor has such an instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        product = builder.fmul(arguments[0], arguments[1], flags=["contract"])
        return builder.fadd(product, arguments[2], flags=["contract"])

    return c(a, b, c), generate


@intrinsic
def add(typing_context: Any, a: Any, b: Any) -> Any:
    """Return a + b."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments)

    return a(a, b), generate


@intrinsic
def either(typing_context: Any, a: Any, b: Any) -> Any:
    """Return a vector that is zero in the lanes in which both vectors are: the bits of both."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = ir.VectorType(ir.IntType(a.dtype.bitwidth), a.lanes)
        both = builder.or_(*(builder.bitcast(vector, bits) for vector in arguments))
        return builder.bitcast(both, arguments[0].type)

    return a(a, b), generate


@intrinsic(prefer_literal=True)
def registers(typing_context: Any, like: Any, count: Any) -> Any:
    """Return ``count`` zero vectors; where every index is a constant once loops are unrolled, they are registers."""
    if not isinstance(count, types.IntegerLiteral):
        raise errors.RequireLiteralValue("count must be a constant")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = ir.ArrayType(context.get_value_type(like), count.literal_value)
        place = cgutils.alloca_once(builder, block)
        builder.store(ir.Constant(block, None), place)
        return builder.bitcast(place, context.get_value_type(like).as_pointer())

    return types.CPointer(like)(like, count), generate


@intrinsic(prefer_literal=True)
def interleave(typing_context: Any, A: Any, rows: Any, most: Any, block: Any, out: Any, places: Any) -> Any:
    """Copy a vector of each of some rows, block by block: the first block of each row, the second of each row, ….

    With blocks of one number and as many rows as a vector has lanes, this transposes a square matrix.  Vectors are
    shuffled as often as the number of rows can be halved, like the two halves of a deck of cards::

        a0 a1 a2 a3    →    a0 c0 a1 c1    a2 c2 a3 c3    →    a0 b0 c0 d0    a1 b1 c1 d1    …
        b0 b1 b2 b3         b0 d0 b1 d1    b2 d2 b3 d3
        c0 c1 c2 c3
        d0 d1 d2 d3

    Args:
        typing_context: Numba's.
        A: C-contiguous array.
        rows: where the first row begins, and the distance of two rows.
        most: number of rows, a power of two, or as many as a vector has blocks, if these are fewer; a constant.
        block: length of a block; a constant.
        out: C-contiguous array; receives as many vectors as there are rows.
        places: where the first of them is written, and the distance of two.
    """
    lanes, size = Vector(A.dtype).lanes, block.literal_value
    count = min(most.literal_value, lanes // size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def address(kind: Any, array: Any, places: Any, i: int) -> Any:
            start, distance = (builder.extract_value(places, n) for n in range(2))
            return _pointer(context, builder, kind, array, builder.add(start, builder.mul(distance, distance.type(i))))

        align = A.dtype.bitwidth // 8
        vectors = [builder.load(address(A, arguments[0], arguments[1], i), align=align) for i in range(count)]
        order = np.arange(2 * lanes).reshape(2, -1, size).swapaxes(0, 1).reshape(2, -1)  # blocks of two, in turns
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), lanes), half.tolist()) for half in order]
        for _ in range(count.bit_length() - 1):
            pairs = zip(vectors[: count // 2], vectors[count // 2 :], strict=True)
            vectors = [builder.shuffle_vector(*pair, mask) for pair in pairs for mask in masks]
        for i, vector in enumerate(vectors):
            builder.store(vector, address(out, arguments[4], arguments[5], i), align=align)
        return context.get_dummy_value()

    two = types.UniTuple(types.int64, 2)
    return types.void(A, two, most, block, out, two), generate


@intrinsic
def nonzero_lanes(typing_context: Any, vector: Any) -> Any:
    """Return a word with one bit for each lane: 1 where its number is not zero; NaN is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        mask = builder.fcmp_unordered("!=", arguments[0], ir.Constant(arguments[0].type, None))
        return builder.zext(builder.bitcast(mask, ir.IntType(vector.lanes)), ir.IntType(64))

    return types.uint64(vector), generate


@intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Return the number of the lowest bit that is 1; undefined for 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def count_bits(typing_context: Any, word: Any) -> Any:
    """Return how many bits are 1."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate
