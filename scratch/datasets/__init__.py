"""Data sets, as in ``keras.datasets``."""

from scratch.datasets import fashion_mnist, mnist

__all__ = ["fashion_mnist", "mnist"]
