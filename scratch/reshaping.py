"""Layers without parameters that change the shape or the scale of their input: ``Reshape`` and ``Rescaling``."""

import math
import sys
from collections.abc import Sequence
from typing import Unpack

from scratch.checks import check_integer, check_number
from scratch.layer import Common, Layer
from scratch.utils import Array, Shape


class Reshape(Layer):
    """Give each sample another shape with as many values: (N, 28, 28) → (N, 28, 28, 1), for example.

    Source: ``keras/src/layers/reshaping/reshape.py``.

    Args:
        target_shape: the shape of one sample; one entry may be -1, which is computed from the others.
        **common: ``input_shape``, ``input_dim``, ``name``, ``dtype``.

    Raises:
        ValueError: if ``target_shape`` is no such shape; when the model is built, if the number of values differs.
    """

    settings = ("target_shape",)

    def __init__(self, target_shape: Sequence[int], **common: Unpack[Common]) -> None:
        if not isinstance(target_shape, tuple | list):
            raise ValueError(f"target_shape must be a tuple such as (28, 28, 1); got {target_shape!r}.")
        self.target_shape = tuple(
            n if n == -1 else check_integer("each entry of target_shape", n) for n in target_shape
        )
        if self.target_shape.count(-1) > 1:
            raise ValueError(f"target_shape may have one -1; got {self.target_shape}.")
        super().__init__(**common)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, a, b, …) → (N, *target_shape); None in place of -1 if a size of the input is unknown."""
        super().compute_output_shape(input_shape)
        known = [n for n in input_shape[1:] if n is not None]
        size, rest = math.prod(known), math.prod(n for n in self.target_shape if n != -1)
        if len(known) < len(input_shape) - 1:
            return input_shape[0], *(None if n == -1 else n for n in self.target_shape)
        if size % rest if -1 in self.target_shape else size != rest:
            raise ValueError(
                f"Layer {self.name!r} cannot reshape samples of shape {input_shape[1:]} to {self.target_shape}: they "
                f"have {size} values. Choose another target_shape."
            )
        return input_shape[0], *(size // rest if n == -1 else n for n in self.target_shape)

    def forward(self, x: Array) -> Array:
        """(N, a, b, …) → (N, *target_shape)."""
        self.x_shape = x.shape
        return self.activate(x.reshape(len(x), *self.target_shape))

    def backward(self, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
        """(N, *target_shape) → (N, a, b, …)."""
        del from_logits, need_dx
        return dout.reshape(self.x_shape)


class Rescaling(Layer):
    """out = x·scale + offset, for example ``Rescaling(1 / 255)`` for pixels: (N, …) → (N, …).

    Source: ``keras/src/layers/preprocessing/rescaling.py``.

    Args:
        scale: the factor.
        offset: what is added.
        **common: ``input_shape``, ``input_dim``, ``name``, ``dtype``.

    Raises:
        ValueError: if ``scale`` or ``offset`` is not a finite number.
    """

    settings = ("scale", "offset")

    def __init__(self, scale: float, offset: float = 0.0, **common: Unpack[Common]) -> None:
        self.scale = check_number("scale", scale, -sys.float_info.max)
        self.offset = check_number("offset", offset, -sys.float_info.max)
        super().__init__(**common)

    def forward(self, x: Array) -> Array:
        """(N, …) → (N, …)."""
        return self.activate(x * x.dtype.type(self.scale) + x.dtype.type(self.offset))

    def backward(self, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
        """Return dx = dout·scale: (N, …) → (N, …)."""
        dz = super().backward(dout, from_logits=from_logits, need_dx=need_dx)
        return None if dz is None else dz * dz.dtype.type(self.scale)
