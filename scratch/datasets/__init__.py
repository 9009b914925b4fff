"""Data sets, as in ``keras.datasets``."""

from typing import TYPE_CHECKING

from scratch import lazy
from scratch.datasets import mnist

if TYPE_CHECKING:
    from scratch.datasets import fashion_mnist

__all__ = ["fashion_mnist", "mnist"]
__getattr__, __dir__ = lazy.exports(__name__, fashion_mnist=[])
