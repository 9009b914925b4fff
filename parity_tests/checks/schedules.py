"""Schedules: their values, and the weights of trainings whose learning rate changes from step to step."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_impl.frameworks import to_numpy
from parity_tests.comparison import Comparison, compare, compare_weights, equal
from parity_tests.reference.adaptive import AdamSettings
from parity_tests.reference.bounded_network import in_order
from parity_tests.reference.cases import Case
from parity_tests.reference.error_model import ELEMENTARY, Bounded, Rounding
from parity_tests.reference.sgd import OptimizerSettings, SGDSettings
from scratch.optimizers import schedules

CASE = Case((8, 5), ("relu", "softmax"), batch=57, seed=8)
BATCH, EPOCHS = 20, 3
STEPS = 3 * EPOCHS
# A power has an error of ELEMENTARY·u, and so has the quotient in its exponent, which is at most 6; then one product.
VALUE_BOUND = (2 * ELEMENTARY + 2) * Rounding("float32").u
Create = Callable[[Any], Any]  # of the class in scratch's or Keras's module of schedules


def exponential(module: Any) -> Any:
    """Return a schedule that halves the learning rate every two steps."""
    return module.ExponentialDecay(0.125, 2, 0.5, staircase=True)


def piecewise(module: Any) -> Any:
    """Return a schedule with three learning rates."""
    return module.PiecewiseConstantDecay([1, 4], [0.125, 0.0625, 0.03125])


VALUES: tuple[Create, ...] = (
    lambda module: module.ExponentialDecay(0.1, 7, 0.9),
    lambda module: module.ExponentialDecay(0.1, 7, 0.9, staircase=True),
    lambda module: module.PiecewiseConstantDecay([3, 10], [0.1, 0.3, 0.01]),
)


class Scenario(NamedTuple):
    """A training with a schedule; ``rates`` are the learning rates of all steps, by hand and exact in float32."""

    settings: OptimizerSettings
    schedule: Create
    rates: tuple[float, ...]

    def __str__(self) -> str:
        return f"{CASE}, {self.settings.optimizer}, {self.schedule.__name__}"


HALVED = tuple(0.125 * 0.5 ** (step // 2) for step in range(STEPS))
PIECES = (0.125,) * 2 + (0.0625,) * 3 + (0.03125,) * 4
SCENARIOS = (
    Scenario(SGDSettings(momentum=0.875), exponential, HALVED),
    Scenario(SGDSettings(weight_decay=0.125), piecewise, PIECES),
    Scenario(AdamSettings(epsilon=0.0625), piecewise, PIECES),
)


def check_schedules(backend: str) -> Iterator[Comparison]:
    """Values of the schedules agree with Keras, and so do weights and learning rate after ``fit``."""
    for i, create in enumerate(VALUES):
        ours, theirs = create(schedules), create(keras.optimizers.schedules)
        for step in range(40):
            value = np.float64(to_numpy(theirs(step)))
            name = f"{CASE}, schedule {i}, step {step}"
            yield compare(name, np.float64(ours(step)), value, 2 * VALUE_BOUND * value)
    for scenario in SCENARIOS:
        ours = train(scenario, CASE.scratch_model(backend, scenario.settings), schedules)
        theirs = keras_results(scenario)
        for name in ("before", "after", "steps"):
            yield equal(f"{scenario}: {name}", ours[name], theirs[name])
        yield equal(f"{scenario}: learning rate of the first step", ours["before"], scenario.rates[0])
        yield from compare_weights(str(scenario), ours["weights"], theirs["weights"], bounded_weights(scenario))


def train(scenario: Scenario, model: Any, module: Any) -> dict[str, Any]:
    """Train a model of either program; return weights, number of steps, and learning rate before and after."""
    model.optimizer.learning_rate = scenario.schedule(module)
    before = float(model.optimizer.learning_rate)
    model.fit(CASE.x.copy(), CASE.y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    after, steps = float(model.optimizer.learning_rate), int(model.optimizer.iterations)
    return {"before": before, "after": after, "steps": steps, "weights": model.get_weights()}


@lru_cache
def keras_results(scenario: Scenario) -> dict[str, Any]:
    """Return the results of Keras."""
    return train(scenario, CASE.keras_model(scenario.settings), keras.optimizers.schedules)


@lru_cache
def bounded_weights(scenario: Scenario) -> list[Bounded]:
    """Return the weights after the training in float64, with bounds."""
    network, x, t = CASE.bounded_network(scenario.settings), CASE.x.astype(np.float64), CASE.targets
    network.fit(x, t, EPOCHS * in_order(len(x), BATCH), scenario.rates)
    return list(network.params.values())
