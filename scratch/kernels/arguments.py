"""``checked``: the check of arrays where Python calls compiled code, which reads and writes memory without checks."""

import inspect
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
Kind = tuple[tuple[int, ...], np.dtype[Any], bool] | None  # shape, dtype, and whether kernels read it as it is


def checked(*patterns: str) -> Callable[[F], F]:
    """Let a function check the shapes and dtypes of its arrays, which must be its first arguments.

    The arrays reach the function C-contiguous, aligned and not read-only.  Others are copied: each memory layout is
    another Numba type, for which every kernel would be compiled again.

    Args:
        patterns: one shape for each array, such as ``"N D"``.  Axes with the same letter have the same length, which is
            1 or more, except for the number of samples N, which may be 0.  ``...`` stands for any axes, the same for
            each array.  An array that may be None has a pattern that ends in ``?``.

    Raises:
        ValueError: by the decorated function, if a shape does not match its pattern, or the arrays are not all float32
            or all float64.
    """

    def decorate(function: F) -> F:
        signature, count = inspect.signature(function), len(patterns)
        expected = dict(zip(signature.parameters, patterns, strict=False))

        @lru_cache  # a training calls a function with the same shapes again and again
        def check(*kinds: Kind) -> bool:
            _check(function.__name__, expected, kinds)
            return all(kind is None or kind[2] for kind in kinds)

        @wraps(function)
        def entry(*arguments: Any, **named: Any) -> Any:
            if named:
                arguments = signature.bind(*arguments, **named).args
            arrays = arguments[:count]
            if check(*[None if a is None else (a.shape, a.dtype, a.flags.carray) for a in arrays]):
                return function(*arguments)
            return function(*[None if a is None else np.array(a, order="C") for a in arrays], *arguments[count:])

        return cast(F, entry)

    return decorate


def _check(name: str, expected: dict[str, str], kinds: tuple[Kind, ...]) -> None:
    """Raise a ``ValueError`` unless the arrays of the function ``name`` have the expected shapes and one dtype."""
    dtypes = {str(kind[1]) for kind in kinds if kind}
    if dtypes not in ({"float32"}, {"float64"}):
        found = " and ".join(sorted(dtypes))
        raise ValueError(f"{name} needs arrays that are all float32 or all float64; got {found}: use astype.")
    lengths: dict[str, Any] = {}
    for (argument, pattern), kind in zip(expected.items(), kinds, strict=True):
        if not _matches(kind, pattern, lengths):
            shapes = ", ".join(f"{key} ({axes.rstrip('?').replace(' ', ', ')})" for key, axes in expected.items())
            got = ", ".join(str(kind[0] if kind else None) for kind in kinds)
            raise ValueError(
                f"{name} needs arrays of the shapes {shapes}, where only N may be 0; got {got}: reshape {argument}."
            )


def _matches(kind: Kind, pattern: str, lengths: dict[str, Any]) -> bool:
    """Return whether the shape has the axes of the pattern, with the ``lengths`` of the shapes before it."""
    if kind is None:
        return pattern.endswith("?")
    shape, axes = kind[0], pattern.rstrip("?").split()
    if axes[0] == "...":
        start = len(shape) - len(axes) + 1
        leading, shape, axes = shape[: max(0, start)], shape[max(0, start) :], axes[1:]
        if lengths.setdefault("...", leading) != leading:
            return False
    return len(shape) == len(axes) and all(
        lengths.setdefault(axis, n) == n and (n > 0 or axis == "N") for axis, n in zip(axes, shape, strict=True)
    )
