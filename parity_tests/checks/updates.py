"""Updates: the weights after each of many optimizer steps, with the same gradients as in Keras."""

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import keras
import numpy as np

from keras_impl.frameworks import as_graph, to_numpy
from parity_tests.comparison import Comparison, compare, same
from parity_tests.reference.adaptive import AdagradSettings, AdamSettings, RMSpropSettings
from parity_tests.reference.error_model import Bounded, Rounding, exact
from parity_tests.reference.sgd import OptimizerSettings, SGDSettings, State, clip
from scratch import optimizers

SETTINGS = (
    SGDSettings(0.0625),
    SGDSettings(0.0625, momentum=0.875),
    SGDSettings(0.0625, momentum=0.875, nesterov=True),
    SGDSettings(0.0625, weight_decay=0.125),
    SGDSettings(0.0625, momentum=0.875, weight_decay=0.125),
    SGDSettings(0.0625, clipnorm=0.75),
    SGDSettings(0.0625, clipvalue=0.25),
    SGDSettings(0.0625, global_clipnorm=0.75),
    SGDSettings(0.0625, momentum=0.875, nesterov=True, weight_decay=0.03125, global_clipnorm=2.5),
)
ADAPTIVE_SETTINGS = (
    AdamSettings(0.0625),
    AdamSettings(0.0625, 0.75, 0.875, epsilon=0.125, amsgrad=True, weight_decay=0.125, clipnorm=0.75),
    RMSpropSettings(0.0625, global_clipnorm=0.75),
    RMSpropSettings(0.0625, 0.75, momentum=0.875, epsilon=0.125, centered=True, weight_decay=0.03125),
    AdagradSettings(0.0625, clipvalue=0.25),
    AdagradSettings(0.0625, 0.0, epsilon=0.125, weight_decay=0.125),
)
SHAPES = {"W": (7, 5), "b": (5,)}
STEPS, ADAPTIVE_STEPS = 200, 1000
Parameters = dict[str, np.ndarray]


@cache
def drawn(seed: int) -> Parameters:
    """Draw arrays of the parameters' shapes."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}


def draw(seed: int) -> Parameters:
    """Return new arrays of the parameters' shapes, for example the gradients of step ``seed``."""
    return {name: array.copy() for name, array in drawn(seed).items()}


def initial_weights() -> Parameters:
    """Return the weights before the first step."""
    return draw(2**32 - 1)


@lru_cache(typed=True)  # settings of two optimizers may be equal as tuples
def keras_weights(settings: OptimizerSettings, steps: int) -> list[Parameters]:
    """Return the weights after each step of Keras's optimizer."""
    variables = {name: keras.Variable(value) for name, value in initial_weights().items()}
    optimizer = settings.create(keras.optimizers)
    optimizer.build(list(variables.values()))

    def apply(*gradients: Any) -> list[Any]:
        optimizer.apply(list(gradients))
        return [keras.ops.stop_gradient(W) for W in variables.values()]

    drawn = [[keras.ops.convert_to_tensor(dW) for dW in draw(step).values()] for step in range(steps)]
    graph = as_graph(apply, *drawn[0])
    return [dict(zip(variables, map(to_numpy, graph(*gradients)), strict=True)) for gradients in drawn]


@lru_cache(typed=True)  # settings of two optimizers may be equal as tuples
def bounded_weights(settings: OptimizerSettings, steps: int) -> list[dict[str, Bounded]]:
    """Return the weights after each step in float64, with bounds."""
    rounding = Rounding("float32")
    params = {name: exact(W) for name, W in initial_weights().items()}
    state: dict[str, State] = {name: {} for name in SHAPES}
    found = []
    for step in range(steps):
        clipped = clip(rounding, [exact(dW) for dW in draw(step).values()], settings)
        for name, dW in zip(SHAPES, clipped, strict=True):
            params[name], state[name] = settings.update(rounding, params[name], dW, state[name], step + 1)
        found.append(dict(params))
    return found


def check_settings(settings: OptimizerSettings, steps: int) -> Iterator[Comparison]:
    """The weights agree after each of many steps, and the gradients stay as they are."""
    optimizer, params, title = settings.create(optimizers), initial_weights(), f"{settings.optimizer}({settings})"
    for step in range(steps):
        grads = draw(step)
        optimizer.update(params, grads)
        label = f"{title}, step {step + 1}"
        for name, dW in drawn(step).items():
            yield same(f"{label}: d{name} after the update", grads[name], dW)
        for name, reference in bounded_weights(settings, steps)[step].items():
            expected = keras_weights(settings, steps)[step][name]
            yield compare(f"{label}: {name}", params[name], expected, 2 * reference.bound)


def check_updates() -> Iterator[Comparison]:
    """``check_settings`` for every kind of update that SGD has."""
    for settings in SETTINGS:
        yield from check_settings(settings, STEPS)


def check_adaptive_updates() -> Iterator[Comparison]:
    """``check_settings`` for every kind of update that Adam, RMSprop and Adagrad have."""
    for settings in ADAPTIVE_SETTINGS:
        yield from check_settings(settings, ADAPTIVE_STEPS)
