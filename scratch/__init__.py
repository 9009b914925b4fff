"""A neural network from scratch in NumPy: the words of "Deep Learning from Scratch" behind the API of Keras."""

import sys

from scratch import (
    activations,
    backend,
    callbacks,
    datasets,
    dropped_names,
    gradients,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    regularizers,
    saving,
    utils,
)
from scratch.gradients import gradient_check, numerical_gradient
from scratch.layers import Input
from scratch.models import Sequential

__version__ = "0.2.0"
dropped_names.register(__name__)
sys.modules["scratch.gradient_check"] = gradients  # the module's old name, which the function of that name hides

__all__ = [
    "Input",
    "Sequential",
    "activations",
    "backend",
    "callbacks",
    "datasets",
    "gradient_check",
    "gradients",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "numerical_gradient",
    "optimizers",
    "regularizers",
    "utils",
]
dropped_names.refuse_unknown_names(
    *(sys.modules[__name__], activations, backend, callbacks, datasets, initializers, layers, losses, metrics),
    *(models, ops, optimizers, optimizers.schedules, regularizers, saving, utils),
)
