"""Images stored as bytes and converted to floats when they are used."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from scratch.utils import Array

WHITE = np.float32(255)


class Pixels:
    """An array of bytes from 0 to 255 that stands for float32 values from 0 to 1, in a quarter of the memory.

    A model accepts it in place of ``images / np.float32(255)``, and returns bit-identical results.

    Args:
        bytes: uint8 array (N, …).

    Raises:
        ValueError: if ``bytes`` is not a uint8 array.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, bytes: Array) -> None:  # noqa: A002  (NumPy's word)
        if not isinstance(bytes, np.ndarray) or bytes.dtype != np.uint8:
            received = f"dtype {bytes.dtype}" if isinstance(bytes, np.ndarray) else type(bytes).__name__
            raise ValueError(f"Pixels needs a uint8 array; got {received}. Pass other data to the model directly.")
        self.bytes = bytes

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (N, …) of the bytes."""
        return self.bytes.shape

    def __len__(self) -> int:
        return len(self.bytes)

    def __getitem__(self, index: Any) -> "Pixels":
        return Pixels(self.bytes[index])

    def astype(self, dtype: DTypeLike, copy: bool = True) -> Array:
        """Return the values from 0 to 1 as a new array of ``dtype``; ``copy`` is accepted for NumPy's signature."""
        return (self.bytes / WHITE).astype(dtype, copy=False)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        return self.astype(dtype or self.dtype)
