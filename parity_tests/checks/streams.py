"""Batches from a generator or a data set, and epochs that are parts of a pass: weights, history and outputs.

The error model takes the same batches in the order that Keras's documentation gives.
"""

import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import keras
import numpy as np

from parity_tests.checks.loss_training import SETTINGS
from parity_tests.comparison import Comparison, compare, compare_weights, equal
from parity_tests.reference.bounded_network import in_order
from parity_tests.reference.cases import Case
from parity_tests.reference.error_model import Array, Bounded

BATCH, EPOCHS, STEPS = 6, 3, 3  # four full batches per pass: Keras takes batches of one size from a generator
CASE = Case((6, 4), ("tanh", "softmax"), features=5, batch=4 * BATCH, seed=3)
DIGITS = 1e-5  # of a mean of 24 numbers near 1, from weights that agree to 1e-6
ORDERS = {  # the batches that are trained on
    "part of arrays": [0, 1, 2, 3, 0, 1, 2],
    "part of a data set": [0, 1, 2, 3, 0, 1, 2],
    "data set": [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3],
    "generator": [0, 1, 2, 3, 0, 1, 2, 3, 0],
}


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of the case, for either program."""

    def __len__(self) -> int:
        return len(CASE.x) // BATCH

    def __getitem__(self, i: int) -> tuple[Array, Array]:
        return CASE.x[BATCH * i : BATCH * (i + 1)], CASE.y[BATCH * i : BATCH * (i + 1)]


def generator() -> Iterator[tuple[Array, Array]]:
    """Yield the batches again and again."""
    while True:
        yield from (Batches()[i] for i in range(len(Batches())))


def arguments(name: str) -> dict[str, Any]:
    """Return the arguments of ``fit``."""
    return {
        "part of arrays": {"x": CASE.x, "y": CASE.y, "batch_size": BATCH, "steps_per_epoch": STEPS},
        "part of a data set": {"x": Batches(), "steps_per_epoch": STEPS},
        "data set": {"x": Batches(), "validation_data": Batches(), "validation_steps": STEPS},
        "generator": {"x": generator(), "steps_per_epoch": STEPS, "validation_data": Batches()},
    }[name]


def train(model: Any, name: str) -> tuple[list[Array], dict[str, list[float]], list[Array]]:
    """Train a model of either program; return its weights, history and losses, and its outputs."""
    with warnings.catch_warnings():  # the second epoch takes what is left of the pass: one batch
        warnings.filterwarnings("ignore", message=".*(ran out of data|steps_per_epoch)")
        history = model.fit(**arguments(name), epochs=EPOCHS, shuffle=False, verbose=0).history
    losses = {"evaluate": [model.evaluate(Batches(), steps=STEPS, verbose=0, return_dict=True)["loss"]]}
    outputs = [model.predict(Batches(), verbose=0), model.predict(generator(), steps=STEPS, verbose=0)]
    return model.get_weights(), history | losses, outputs


@lru_cache
def keras_results(name: str) -> tuple[list[Array], dict[str, list[float]], list[Array]]:
    """Return the results of Keras."""
    return train(CASE.keras_model(SETTINGS), name)


@lru_cache
def bounded_results(name: str) -> tuple[list[Bounded], Bounded]:
    """Return weights and outputs after the training in float64, with the bounds that all steps add up to."""
    network, x, t = CASE.bounded_network(SETTINGS), CASE.x.astype(np.float64), CASE.targets
    batches = in_order(len(x), BATCH)
    network.fit(x, t, [batches[i] for i in ORDERS[name]])
    return list(network.params.values()), network.predict(x)


def check_streams(backend: str) -> Iterator[Comparison]:
    """Weights, losses and outputs agree with Keras for parts of a pass, data sets and generators."""
    for name in ORDERS:
        ours, history, outputs = train(CASE.scratch_model(backend, SETTINGS), name)
        theirs, expected, keras_outputs = keras_results(name)
        weights, bounded = bounded_results(name)
        yield from compare_weights(f"{name}, {CASE}, after fit", ours, theirs, weights)
        yield equal(f"{name}, {CASE}: names in the history", list(history), list(expected))
        for key, values in history.items():
            yield compare(f"{name}, {CASE}: {key}", np.array(values), np.array(expected[key]), DIGITS)
        for kind, y, keras_y in zip(("data set", "generator"), outputs, keras_outputs, strict=True):
            yield equal(f"{name}, {CASE}: shape of predict, {kind}", y.shape, keras_y.shape)
            yield compare(f"{name}, {CASE}: predict, {kind}", y, keras_y, 2 * bounded.bound[: len(keras_y)])
