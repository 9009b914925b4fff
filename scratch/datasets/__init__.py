"""Data sets, as ``keras.datasets``."""

from scratch.datasets import mnist

__all__ = ["mnist"]
