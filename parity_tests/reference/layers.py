"""The error model of layers other than Dense; numbers in parentheses are the rules of ``error_model``.

To add a layer that keeps the shape of its input, add one entry to ``LAYERS`` and its settings to ``SETTINGS``: the
cases have a network with each of them between its Dense layers.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import keras
import numpy as np

from parity_tests.reference.error_model import Array, Bounded, Rounding

Settings = Mapping[str, Any]


class LayerModel(NamedTuple):
    """The bounds of one layer in training.

    Attributes:
        forward: (rounding, settings, step, x) → out; the step counts from 0.
        backward: (rounding, settings, step, dout) → dx.
    """

    forward: Callable[[Rounding, Settings, int, Bounded], Bounded]
    backward: Callable[[Rounding, Settings, int, Bounded], Bounded]


def kept(settings: Settings, step: int, shape: tuple[int, ...]) -> Array:
    """Return the mask of a Dropout in a training step: scratch's, which Keras is given (``masks_for_keras``)."""
    return np.random.default_rng([settings["seed"], step]).random(shape, np.float32) >= settings["rate"]


def dropout(rounding: Rounding, settings: Settings, step: int, x: Bounded) -> Bounded:
    """Return x·mask / (1 − rate), with two roundings (1): that of the factor, and that of the product."""
    factor = kept(settings, step, x.value.shape) / (1 - settings["rate"])
    return rounding.underflow(Bounded(x.value * factor, (x.bound + 3 * rounding.u * x.magnitude) * factor))


@contextmanager
def masks_for_keras() -> Iterator[None]:
    """Let Keras's Dropout apply ``kept`` within a block, instead of masks of its own generator; it must run eagerly."""

    def apply(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        first, step = (int(n) for n in keras.ops.convert_to_numpy(seed.next()))
        mask = keras.ops.convert_to_tensor(kept({"seed": first, "rate": rate}, step, tuple(inputs.shape)))
        return keras.ops.where(mask, inputs / (1 - rate), keras.ops.zeros_like(inputs))

    with mock.patch.object(keras.src.backend.random, "dropout", apply):
        yield


SETTINGS: dict[str, dict[str, Any]] = {"Dropout": {"rate": 0.375, "seed": 5}}
LAYERS = {"Dropout": LayerModel(dropout, dropout)}
