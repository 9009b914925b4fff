"""Batches from a generator or a data set, and epochs that are parts of a pass: weights, history and outputs.

The error model takes the same batches in the order that Keras's documentation gives.
"""

import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import keras
import numpy as np

import scratch
from keras_impl.frameworks import FRAMEWORK
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
    "data set with a hook": [1, 2, 3, 0, 2, 3, 0, 1, 3, 0, 1, 2],
    "generator": [0, 1, 2, 3, 0, 1, 2, 3, 0],
    "generator of weights": [0, 1, 2, 3, 0, 1, 2, 3, 0],
}
SAMPLE_WEIGHTS = np.random.default_rng(4).uniform(0, 2, len(CASE.x)).astype("float32")


def batch(i: int) -> tuple[Array, ...]:
    """Return samples, targets and weights of a batch of the case."""
    return tuple(array[BATCH * i : BATCH * (i + 1)] for array in (CASE.x, CASE.y, SAMPLE_WEIGHTS))


def data_set(program: Any, turning: bool = False) -> Any:
    """Return the batches of the case, of the class of either program; they may turn by one before every epoch."""

    class Batches(program.utils.PyDataset):  # type: ignore[misc]
        first = 0

        def __len__(self) -> int:
            return len(CASE.x) // BATCH

        def __getitem__(self, i: int) -> tuple[Array, ...]:
            return batch((i + self.first) % len(self))[:2]

        def on_epoch_begin(self) -> None:
            self.first += turning

    return Batches()


def generator(entries: int = 2) -> Iterator[tuple[Array, ...]]:
    """Yield the batches again and again."""
    while True:
        yield from (batch(i)[:entries] for i in range(len(CASE.x) // BATCH))


def arguments(program: Any, name: str) -> dict[str, Any]:
    """Return the arguments of ``fit`` of either program."""
    arrays = {"x": CASE.x, "y": CASE.y}
    batches, steps = data_set(program), {"steps_per_epoch": STEPS}
    validation = {"validation_data": (CASE.x, CASE.y), "validation_batch_size": 7}
    return {
        "part of arrays": {**arrays, "batch_size": BATCH, **steps, **validation},
        "part of a data set": {"x": batches, **steps},
        "data set": {"x": batches, "validation_data": data_set(program), "validation_steps": STEPS},
        "data set with a hook": {"x": data_set(program, turning=True), **validation, "validation_freq": 2},
        "generator": {"x": generator(), **steps, "validation_data": batches},
        "generator of weights": {"x": generator(entries=3), **steps},
    }[name]


def train(program: Any, model: Any, name: str) -> tuple[list[Array], dict[str, list[float]], list[Array]]:
    """Train a model of either program; return its weights, history and losses, and its outputs."""
    validated: list[float] = []
    count = program.callbacks.LambdaCallback()
    count.on_test_batch_end = lambda number, logs=None: validated.append(float(number))
    with warnings.catch_warnings():  # the second epoch takes what is left of the pass: one batch
        warnings.filterwarnings("ignore", message=".*(ran out of data|steps_per_epoch)")
        options = arguments(program, name)
        history = model.fit(**options, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[count]).history
    batches = data_set(program)
    losses = {"evaluate": [model.evaluate(batches, steps=STEPS, verbose=0, return_dict=True)["loss"]]}
    outputs = [model.predict(batches, verbose=0), model.predict(generator(), steps=STEPS, verbose=0)]
    return model.get_weights(), {**history, **losses, "batches of the validation": validated}, outputs


@lru_cache
def keras_results(name: str) -> tuple[list[Array], dict[str, list[float]], list[Array]]:
    """Return the results of Keras."""
    model = CASE.keras_model(SETTINGS)
    model.run_eagerly = FRAMEWORK == "tensorflow"  # without the time to compile a graph
    if FRAMEWORK == "jax":  # otherwise it begins an epoch to see what the metrics need
        model.evaluate(CASE.x, CASE.y, verbose=0)
    return train(keras, model, name)


@lru_cache
def bounded_results(name: str) -> tuple[list[Bounded], Bounded]:
    """Return weights and outputs after the training in float64, with the bounds that all steps add up to."""
    network, x, t = CASE.bounded_network(SETTINGS), CASE.x.astype(np.float64), CASE.targets
    if name == "generator of weights":  # cross-entropy is linear in the targets
        t = t * SAMPLE_WEIGHTS[:, None]
    batches = in_order(len(x), BATCH)
    network.fit(x, t, [batches[i] for i in ORDERS[name]])
    return list(network.params.values()), network.predict(x)


def check_streams(backend: str) -> Iterator[Comparison]:
    """Weights, losses and outputs agree with Keras for parts of a pass, data sets and generators."""
    for name in ORDERS:
        ours, history, outputs = train(scratch, CASE.scratch_model(backend, SETTINGS), name)
        theirs, expected, keras_outputs = keras_results(name)
        weights, bounded = bounded_results(name)
        yield from compare_weights(f"{name}, {CASE}, after fit", ours, theirs, weights)
        yield equal(f"{name}, {CASE}: names in the history", list(history), list(expected))
        for key, values in history.items():
            yield compare(f"{name}, {CASE}: {key}", np.array(values), np.array(expected[key]), DIGITS)
        for kind, y, keras_y in zip(("data set", "generator"), outputs, keras_outputs, strict=True):
            yield equal(f"{name}, {CASE}: shape of predict, {kind}", y.shape, keras_y.shape)
            yield compare(f"{name}, {CASE}: predict, {kind}", y, keras_y, 2 * bounded.bound[: len(keras_y)])
