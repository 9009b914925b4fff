"""Two operations on a number that several cores use at once, which none of them sees half done."""

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
