"""The parameters of all layers in one flat array, as llm.c keeps them: an optimizer is one pass over it.

::

    │ W0: inputs × units │ b0 │ W1 │ b1 │ …       each begins on a cache line
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scratch.utils import aligned_empty

Array = NDArray[Any]
Weights = Sequence[tuple[Array, Array | None]]
ALIGNMENT = 16  # float32 numbers in a cache line


def aligned(size: int) -> int:
    """Return a number of numbers, rounded up to complete cache lines."""
    return math.ceil(size / ALIGNMENT) * ALIGNMENT


class Parameters:
    """A flat array that holds W and b of each layer, and its parts.

    Args:
        weights: W (inputs, units) and b (units,) or None of each layer, first to last, all of one dtype; are copied.

    Attributes:
        flat: all parameters.
        offsets: where W and b of each layer begin; -1 without a bias.
    """

    def __init__(self, weights: Weights) -> None:
        self.shapes = [(W.shape, None if b is None else b.shape) for W, b in weights]
        self.offsets, size = [], 0
        for W, b in weights:
            start_of_b = size + aligned(W.size)
            self.offsets.append((size, -1 if b is None else start_of_b))
            size = start_of_b + (0 if b is None else aligned(b.size))
        self.flat = self.zeros(size, weights[0][0].dtype)
        for arrays, views in zip(weights, self.views(self.flat), strict=True):
            for array, view in zip(arrays, views, strict=True):
                if array is not None and view is not None:
                    view[...] = array

    @staticmethod
    def zeros(size: int, dtype: np.dtype[Any]) -> Array:
        """Return an aligned flat array of zeros."""
        flat = aligned_empty((size,), dtype)
        flat[:] = 0
        return flat

    def views(self, flat: Array) -> list[tuple[Array, Array | None]]:
        """Return the parts of a flat array of this layout, with the shapes of W and b of each layer."""

        def view(start: int, shape: tuple[int, ...] | None) -> Any:
            return None if shape is None else flat[start : start + math.prod(shape)].reshape(shape)

        return [
            (view(start, shape), view(start_of_b, shape_of_b))
            for (start, start_of_b), (shape, shape_of_b) in zip(self.offsets, self.shapes, strict=True)
        ]
