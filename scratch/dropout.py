"""``Dropout``: in training, set a random share of the inputs to 0, so that units do not rely on each other.

Srivastava et al., 2014; the book's section 6.4.3; ``keras/src/layers/regularization/dropout.py``.
"""

import math
from typing import Unpack

import numpy as np

from scratch import utils
from scratch.checks import check_integer, check_number
from scratch.dropped_names import renamed
from scratch.layer import Common, Layer
from scratch.utils import Array, Shape


class Dropout(Layer):
    """In training out = x·mask / (1 − rate), otherwise out = x: (N, …) → (N, …).

    The mask has an independent 0 with probability ``rate``, else 1.  The factor keeps the expected value of the output,
    so that inference needs none; the book's ``Dropout`` instead multiplies by 1 − rate in inference.

    The masks of a layer are numbered, and mask i is drawn from a generator with the seed ``[seed, i]``, as in Keras: a
    run that is resumed, or a trace before a training step, draws the same mask.

    Args:
        rate: share of the inputs that is dropped, 0 to 1.
        seed: a non-negative integer below 2³²; default: drawn from the model's generator.
        **common: ``input_shape``, ``input_dim``, ``name``, ``dtype``.

    Attributes:
        keep: the boolean mask of the last ``forward``; None if that was not in training.
        state: ``masks``, the seed and the number of masks drawn so far, uint32 (2,).

    Raises:
        ValueError: if ``rate`` or ``seed`` is out of range.
    """

    fused_rule = "dropout"
    settings = ("rate",)

    @renamed(p="rate")
    def __init__(self, rate: float, seed: int | None = None, **common: Unpack[Common]) -> None:
        self.rate = check_number("rate", rate, 0, 1)
        self.seed = None if seed is None else check_integer("seed", seed, minimum=0)
        if self.seed is not None and self.seed >= 1 << 32:
            raise ValueError(f"seed must be below 2**32; got {seed}.")
        self.keep: Array | None = None
        super().__init__(**common)

    def build(self, input_shape: Shape, rng: np.random.Generator | None = None) -> None:
        """Set the number of masks to 0, and draw the seed if none was given."""
        rng = rng or utils.spawn_generator()
        super().build(input_shape, rng)
        seed = rng.integers(1 << 32) if self.seed is None else self.seed
        self.state["masks"] = np.array([seed, 0], np.uint32)

    def forward(self, x: Array, training: bool = False) -> Array:
        """(N, …) → (N, …); the identity unless ``training``."""
        self.keep = None
        if training and self.rate > 0:
            self.keep = self.mask(0, x.shape)
            self.state["masks"][1] += 1
        return self.activate(self._scaled(x))

    def backward(self, dout: Array, *, from_logits: bool = False, need_dx: bool = True) -> Array | None:
        """Pass the gradient where the input was kept, with the factor of ``forward``: (N, …) → (N, …)."""
        dz = super().backward(dout, from_logits=from_logits, need_dx=need_dx)
        return None if dz is None else self._scaled(dz)

    @property
    def factor(self) -> float:
        """Factor of the inputs that are kept: 1 / (1 − rate), or 0 if the rate is 1."""
        return 1 / (1 - self.rate) if self.rate < 1 else 0.0

    def mask(self, ahead: int, shape: tuple[int, ...]) -> Array:
        """Return the mask that is ``ahead`` steps after the next one; the count of drawn masks is unchanged.

        The mask is ``default_rng([seed, i]).random(shape, np.float32) >= rate``, in 70 % of the time: such a number has
        the upper 24 of 32 random bits, and the generator draws 64 at once.
        """
        masks, count = self.state["masks"].copy(), math.prod(shape)
        masks[1] += ahead
        words = np.asarray(np.random.PCG64(masks).random_raw((count + 1) // 2), "<u8")
        limit = math.ceil(float(np.float32(self.rate)) * (1 << 24)) << 8
        return words.view("<u4")[:count].reshape(shape) > limit - 1

    def _scaled(self, x: Array) -> Array:
        if self.keep is None:
            return x
        # np.where, since a product with 0 would keep infinity as NaN, which Keras drops.
        return np.where(self.keep, x * x.dtype.type(self.factor), 0)
