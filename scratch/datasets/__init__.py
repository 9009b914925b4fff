"""Data sets, as in ``keras.datasets``."""

from scratch.datasets import mnist

__all__ = ["mnist"]
