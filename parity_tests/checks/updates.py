"""Updates: the weights after each of many optimizer steps, with the same gradients as in Keras."""

from collections.abc import Iterator
from functools import lru_cache

import keras
import numpy as np

from keras_impl.frameworks import to_numpy
from parity_tests.comparison import Comparison, compare, same
from parity_tests.reference import sgd
from parity_tests.reference.error_model import Bounded, Rounding, exact
from parity_tests.reference.sgd import SGDSettings
from scratch.optimizers import SGD

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
SHAPES = {"W": (7, 5), "b": (5,)}
STEPS = 200
Parameters = dict[str, np.ndarray]


def draw(seed: int) -> Parameters:
    """Draw arrays of the parameters' shapes, for example the gradients of step ``seed``."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}


def initial_weights() -> Parameters:
    """Return the weights before the first step."""
    return draw(2**32 - 1)


@lru_cache
def keras_weights(settings: SGDSettings) -> list[Parameters]:
    """Return the weights after each step of Keras's SGD."""
    variables = {name: keras.Variable(value) for name, value in initial_weights().items()}
    optimizer = keras.optimizers.SGD(**settings._asdict())
    optimizer.build(list(variables.values()))
    found = []
    for step in range(STEPS):
        optimizer.apply([keras.ops.convert_to_tensor(dW) for dW in draw(step).values()])
        found.append({name: to_numpy(keras.ops.stop_gradient(W)) for name, W in variables.items()})
    return found


@lru_cache
def bounded_weights(settings: SGDSettings) -> list[dict[str, Bounded]]:
    """Return the weights after each step in float64, with bounds."""
    rounding = Rounding("float32")
    params = {name: exact(W) for name, W in initial_weights().items()}
    velocities = {name: exact(np.zeros(shape)) for name, shape in SHAPES.items()}
    found = []
    for step in range(STEPS):
        clipped = sgd.clip(rounding, [exact(dW) for dW in draw(step).values()], settings)
        for name, dW in zip(SHAPES, clipped, strict=True):
            params[name], velocities[name] = sgd.update(rounding, params[name], dW, velocities[name], settings)
        found.append(dict(params))
    return found


def check_settings(settings: SGDSettings) -> list[Comparison]:
    """The weights agree after each of many steps, and the gradients stay as they are."""
    optimizer, params, rows = SGD(**settings._asdict()), initial_weights(), []
    for step in range(STEPS):
        grads = draw(step)
        optimizer.update(params, grads)
        label = f"SGD({settings}), step {step + 1}"
        rows += [same(f"{label}: d{name} after the update", grads[name], dW) for name, dW in draw(step).items()]
        for name, reference in bounded_weights(settings)[step].items():
            expected = keras_weights(settings)[step][name]
            rows.append(compare(f"{label}: {name}", params[name], expected, 2 * reference.bound))
    return rows


def check_updates() -> Iterator[Comparison]:
    """``check_settings`` for every kind of update that SGD has."""
    for settings in SETTINGS:
        yield from check_settings(settings)
