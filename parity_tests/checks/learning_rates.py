"""Learning rates that change during ``fit``: callbacks, and the end of a training whose loss is not finite."""

import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import keras
import numpy as np

from parity_tests.checks.epoch_reports import compare_texts, printed
from parity_tests.comparison import Comparison, compare_weights, equal, labelled
from parity_tests.reference.bounded_network import in_order
from parity_tests.reference.cases import Case
from parity_tests.reference.error_model import Bounded, Rounding
from parity_tests.reference.sgd import OptimizerSettings, SGDSettings
from scratch import callbacks

CASE = Case((8, 5), ("relu", "softmax"), batch=57, seed=7)
BATCH = 20
U = Rounding("float32").u


class Scenario(NamedTuple):
    """A training with a callback.

    Attributes:
        name: what is special about it.
        settings: the optimizer, with the learning rate of the first epoch.
        callback: creates the callback, of the class in scratch's or Keras's ``callbacks`` module.
        rates: the learning rate of each epoch, exact in float32, by hand.
    """

    name: str
    settings: OptimizerSettings
    callback: Callable[[Any], Any]
    rates: tuple[float, ...]


def halved(epoch: int, rate: float) -> float:
    """Halve the learning rate in every second epoch."""
    return rate / 2 if epoch % 2 else rate


def plateau(module: Any) -> Any:
    """Return a callback for which only the first epoch is an improvement."""
    options = {"factor": 0.5, "patience": 2, "min_delta": 1e9, "cooldown": 2, "min_lr": 0.046875, "verbose": 1}
    return module.ReduceLROnPlateau("loss", **options)


SCENARIOS = (
    Scenario(
        "LearningRateScheduler",
        SGDSettings(0.125, momentum=0.875),
        lambda module: module.LearningRateScheduler(halved, verbose=1),
        (0.125, 0.0625, 0.0625, 0.03125),
    ),
    # The loss falls, and a larger one would be better: each epoch but the first is no improvement.
    Scenario(
        "ReduceLROnPlateau, mode='max'",
        SGDSettings(0.125),
        lambda module: module.ReduceLROnPlateau("loss", factor=0.5, patience=1, mode="max"),
        (0.125, 0.125, 0.0625, 0.03125),
    ),
    # Epochs 2 and 3 are no improvement; 4 and 5 cool down; 5 and 6, whose cooldown is over, are no improvement.
    Scenario("ReduceLROnPlateau", SGDSettings(0.125), plateau, (0.125,) * 3 + (0.0625,) * 3 + (0.046875,) * 2),
)
# Infinite weights after the first step.
OVERFLOW = Scenario("TerminateOnNaN", SGDSettings(1e38), lambda module: module.TerminateOnNaN(), (1e38,) * 2)
ERROR = OVERFLOW._replace(callback=lambda module: module.TerminateOnNaN(raise_error=True))


def check_learning_rates(backend: str) -> Iterator[Comparison]:
    """Weights, history and text of trainings whose learning rate changes agree with Keras."""
    for scenario in SCENARIOS:
        ours = train(scenario, CASE.scratch_model(backend, scenario.settings), callbacks)
        yield from labelled(f"{CASE}, {scenario.name}", compare_results(scenario, ours))
    ours, theirs = train(OVERFLOW, CASE.scratch_model(backend, OVERFLOW.settings), callbacks), keras_results(OVERFLOW)
    name = f"{CASE}, {OVERFLOW.name}"
    yield equal(f"{name}: text", ours["text"], theirs["text"])
    yield equal(f"{name}: epochs", ours["epochs"], theirs["epochs"])
    error = error_of(lambda: train(ERROR, CASE.scratch_model(backend, ERROR.settings), callbacks))
    yield equal(f"{name}, raise_error=True", error, keras_error())


def error_of(train: Callable[[], object]) -> str:
    """Return the class of the exception that a training raises, and the batch that its message names."""
    try:
        train()
    except RuntimeError as error:
        return f"{type(error).__name__}: {str(error).partition('.')[0]}"
    return "none"


@lru_cache
def keras_error() -> str:
    """Return the exception that Keras raises with ``TerminateOnNaN(raise_error=True)``."""
    return error_of(lambda: train(ERROR, CASE.keras_model(ERROR.settings), keras.callbacks))


def train(scenario: Scenario, model: Any, module: Any) -> dict[str, Any]:
    """Train a model of either program; return what it reports, and the weights."""
    options = {"batch_size": BATCH, "epochs": len(scenario.rates), "shuffle": False, "verbose": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scratch warns of a loss that is not finite
        text, history = printed(
            lambda: model.fit(CASE.x.copy(), CASE.y, callbacks=[scenario.callback(module)], **options)
        )
    return {"text": text, "epochs": history.epoch, "history": history.history, "weights": model.get_weights()}


@lru_cache
def keras_results(scenario: Scenario) -> dict[str, Any]:
    """Return what Keras reports."""
    return train(scenario, CASE.keras_model(scenario.settings), keras.callbacks)


@lru_cache
def bounded_results(scenario: Scenario) -> tuple[list[Bounded], float]:
    """Return the weights in float64 with bounds, and the largest bound of a batch's loss."""
    network, x, t = CASE.bounded_network(scenario.settings), CASE.x.astype(np.float64), CASE.targets
    batches = in_order(len(x), BATCH)
    losses = network.fit(x, t, len(scenario.rates) * batches, np.repeat(scenario.rates, len(batches)))
    return list(network.params.values()), max(float(loss.bound) for loss in losses)


def compare_results(scenario: Scenario, ours: dict[str, Any]) -> Iterator[Comparison]:
    """Compare the results of scratch with Keras's and with the learning rates that were calculated by hand."""
    theirs, (weights, loss_bound) = keras_results(scenario), bounded_results(scenario)
    yield equal("epochs", ours["epochs"], theirs["epochs"])
    yield equal("history keys", list(ours["history"]), list(theirs["history"]))
    for name, results in (("learning rates", ours), ("learning rates of Keras", theirs)):
        yield equal(name, results["history"]["learning_rate"], list(scenario.rates))
    yield from compare_texts("text", ours["text"], theirs["text"], 2 * loss_bound + U)
    yield from compare_weights("weights", ours["weights"], theirs["weights"], weights)
