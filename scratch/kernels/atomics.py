"""Operations on a number that several cores use at once, which none of them sees half done."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def _atomic(compute: Callable[[Any, Any, Any], Any]) -> Any:
    @intrinsic
    def operation(context: Any, array: Any, index: Any) -> Any:
        """``compute``, on the place in the array."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            return compute(builder, builder.gep(data, [arguments[1]]), ir.Constant(ir.IntType(64), 1))

        return types.int64(array, types.int64), generate

    return operation


count = _atomic(lambda builder, place, one: builder.atomic_rmw("add", place, one, "seq_cst"))  # array[index] += 1
look = _atomic(lambda builder, place, one: builder.load_atomic(place, "seq_cst", 8))  # array[index]


@intrinsic
def claim(context: Any, array: Any, index: Any, seen: Any) -> Any:
    """array[index] += 1 if that number is still the one that was seen there; whether it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        more = builder.add(arguments[2], ir.Constant(ir.IntType(64), 1))
        found = builder.cmpxchg(builder.gep(data, [arguments[1]]), arguments[2], more, "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return types.boolean(array, types.int64, types.int64), generate
