"""Atomic operations on counters that several threads share, sequentially consistent, with the names of C++.

A counter is the first element of an int64 array.  What a thread wrote to memory before its ``fetch_add`` is visible to
every thread whose ``load`` returns the new value: that is how one thread hands over results to another without a lock.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic

from scratch.kernels.simd import data_pointer

ORDER = "seq_cst"
BYTES = 8  # of a counter


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Return the address of the counter, which is the first argument."""
    return data_pointer(context, builder, signature.args[0], arguments[0])


@intrinsic
def load(typing_context: Any, counter: Any) -> Any:
    """Return the counter's value."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_pointer(context, builder, signature, arguments), ORDER, BYTES)

    return types.int64(counter), generate


@intrinsic
def fetch_add(typing_context: Any, counter: Any, value: Any) -> Any:
    """Add a value to the counter; return what it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(context, builder, signature, arguments), arguments[1], ORDER)

    return types.int64(counter, types.int64), generate


@intrinsic
def compare_exchange(typing_context: Any, counter: Any, expected: Any, desired: Any) -> Any:
    """Set the counter to ``desired`` if its value is ``expected``; return whether it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments)
        result = builder.cmpxchg(pointer, arguments[1], arguments[2], ORDER, ORDER)
        return builder.extract_value(result, 1)

    return types.boolean(counter, types.int64, types.int64), generate
