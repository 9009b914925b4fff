"""Faults in how a model is set up: initial weights, shapes and automatic names."""

from typing import Any

import numpy as np

from parity_tests.faults.catalogue import planted_fault
from scratch import initializers, layer, layers, utils

Array = np.ndarray


@planted_fault(initializers, "_fans", caught_by="initial weights")
def glorot_of_inputs_only(shape: tuple[int, ...]) -> tuple[int, int]:
    """The Glorot limit is computed from the number of inputs alone."""
    return shape[0], shape[0]


@planted_fault(initializers, "_fans", caught_by="initial weights")
def fans_exchanged(shape: tuple[int, ...]) -> tuple[int, int]:
    """Numbers of inputs and outputs are exchanged."""
    return shape[-1], shape[0]


@planted_fault(initializers, "_truncated_normal", caught_by="initial weights")
def deviation_not_corrected(shape: tuple[int, ...], stddev: float, rng: Any) -> Array:
    """A truncated normal distribution has a smaller standard deviation than asked for."""
    return np.clip(rng.normal(size=shape), -2, 2) * stddev


@planted_fault(layers.Dense, "weight_shapes", caught_by="structure")
def kernel_transposed(self: Any, input_shape: Any) -> Any:
    """Kernels have the shape (units, inputs)."""
    return {"W": ((self.units, input_shape[1]), self.kernel_initializer), "b": ((self.units,), self.bias_initializer)}


@planted_fault(layer, "auto_name", caught_by="structure")
def names_counted_from_one(class_name: str) -> str:
    """Automatic names are counted from 1, as in Keras 2."""
    utils._names[class_name] += 1
    return f"{class_name.lower()}_{utils._names[class_name]}"
