"""A neural network from scratch in NumPy: the words of "Deep Learning from Scratch" behind the API of Keras."""

from scratch import callbacks, datasets, initializers, layers, losses, metrics, models, optimizers, utils
from scratch.gradient_check import gradient_check
from scratch.layers import Input
from scratch.models import Sequential

__version__ = "0.1.0"

__all__ = [
    "Input",
    "Sequential",
    "callbacks",
    "datasets",
    "gradient_check",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "utils",
]
