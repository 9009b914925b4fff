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


class Pass(NamedTuple):
    """What a layer computes with.

    Attributes:
        rounding: the arithmetic.
        settings: the arguments of the layer.
        step: the number of the training step, from 0.
        params: the layer's parameters by name.
        x: the input.
    """

    rounding: Rounding
    settings: Settings
    step: int
    params: Mapping[str, Bounded]
    x: Bounded


class LayerModel(NamedTuple):
    """The bounds of one layer.

    Attributes:
        forward: returns out, in training.
        backward: returns the gradient with respect to x, and those of the parameters by name, for dout.
        inference: returns out, in inference; the default is x.
    """

    forward: Callable[[Pass], Bounded]
    backward: Callable[[Pass, Bounded], tuple[Bounded, dict[str, Bounded]]]
    inference: Callable[[Pass], Bounded] = lambda p: p.x


def kept(settings: Settings, step: int, shape: tuple[int, ...]) -> Array:
    """Return the mask of a Dropout in a training step: scratch's, which Keras is given (``masks_for_keras``)."""
    return np.random.default_rng([settings["seed"], step]).random(shape, np.float32) >= settings["rate"]


def dropout(p: Pass) -> Bounded:
    """Return x·mask / (1 − rate)."""
    factor = kept(p.settings, p.step, p.x.value.shape) / (1 - p.settings["rate"])
    return _scaled(p.rounding, p.x, factor)


def rescaling(p: Pass) -> Bounded:
    """Return x·scale + offset; the setting is rounded, too (1)."""
    offset = np.full_like(p.x.value, p.settings["offset"])
    scaled = _scaled(p.rounding, p.x, p.settings["scale"])
    return p.rounding.add(scaled, Bounded(offset, p.rounding.u * np.abs(offset)))


def _scaled(rounding: Rounding, x: Bounded, factor: Any) -> Bounded:
    """Return x·factor, with two roundings (1): that of the factor, and that of the product."""
    return rounding.underflow(Bounded(x.value * factor, (x.bound + 3 * rounding.u * x.magnitude) * np.abs(factor)))


@contextmanager
def masks_for_keras() -> Iterator[None]:
    """Let Keras's Dropout apply ``kept`` within a block, instead of masks of its own generator; it must run eagerly."""

    def apply(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        first, step = (int(n) for n in keras.ops.convert_to_numpy(seed.next()))
        mask = keras.ops.convert_to_tensor(kept({"seed": first, "rate": rate}, step, tuple(inputs.shape)))
        return keras.ops.where(mask, inputs / (1 - rate), keras.ops.zeros_like(inputs))

    with mock.patch.object(keras.src.backend.random, "dropout", apply):
        yield


SETTINGS: dict[str, dict[str, Any]] = {
    "Dropout": {"rate": 0.375, "seed": 5},
    "Rescaling": {"scale": 0.3, "offset": -1.7},
}
LAYERS = {
    "Dropout": LayerModel(dropout, lambda p, dout: (dropout(p._replace(x=dout)), {})),
    "Rescaling": LayerModel(
        rescaling, lambda p, dout: (_scaled(p.rounding, dout, p.settings["scale"]), {}), inference=rescaling
    ),
}
