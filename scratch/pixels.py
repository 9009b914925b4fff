"""Images that stay bytes until they are computed with."""

from types import EllipsisType

import numpy as np
from numpy.typing import DTypeLike

from scratch.utils import Array

WHITE = np.float32(255)


class Pixels:
    """Bytes 0 to 255 that are taken for float32 numbers 0 to 1: a quarter of the memory, a quarter of the way to it.

    A model takes them in the place of ``images / np.float32(255)``, and computes the same, bit for bit.

    Args:
        bytes: uint8, of any shape (N, …); indexed, it gives ``Pixels`` again.

    Raises:
        ValueError: if they are not uint8.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, bytes: Array) -> None:  # noqa: A002  (as NumPy calls them)
        if not isinstance(bytes, np.ndarray) or bytes.dtype != np.uint8:
            kind = bytes.dtype if isinstance(bytes, np.ndarray) else type(bytes).__name__
            raise ValueError(f"Pixels are an array of uint8; got {kind}. Give other numbers to the model as they are.")
        self.bytes = bytes

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, …)."""
        return self.bytes.shape

    def __len__(self) -> int:
        return len(self.bytes)

    def __getitem__(self, rows: slice | Array | EllipsisType) -> "Pixels":
        return Pixels(self.bytes[rows])

    def astype(self, dtype: DTypeLike, copy: bool = True) -> Array:
        """The numbers; always a new array."""
        return (self.bytes / WHITE).astype(dtype, copy=False)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return self.astype(dtype or self.dtype)
