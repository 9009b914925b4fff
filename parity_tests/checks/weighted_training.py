"""Training on samples that have weights: ``fit`` leads to Keras's weights and metrics.

Cross-entropy is linear in the targets, so the loss of a sample with weight w is that of the targets w·t, for which the
error model has bounds; the product w·t is one of the few roundings that they allow for.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from parity_tests.checks.loss_training import BATCH, EPOCHS, SETTINGS
from parity_tests.comparison import Comparison, compare, compare_weights, equal
from parity_tests.reference.bounded_network import in_order
from parity_tests.reference.cases import SPARSE, Case
from parity_tests.reference.error_model import Array, Bounded

CLASS_WEIGHT = {0: 2.0, 3: 0.25}
BY_SAMPLE = Case((6, 4), ("tanh", "softmax"), features=5, batch=26, seed=3)
BY_CLASS = (
    Case((6, 4), ("relu", "linear"), features=5, batch=26, seed=3, loss=SPARSE),
    Case((6, 4), ("relu", "softmax"), features=5, batch=26, seed=5),  # one-hot rows
)
DIGITS = 1e-5  # of a mean of 26 numbers near 1, from weights that agree to 1e-6


def sample_weights(case: Case) -> Array:
    """Return the weight of each sample, (N,): drawn, or that of its class."""
    if case in BY_CLASS:
        return np.array([CLASS_WEIGHT.get(int(label), 1.0) for label in case.data[1]])
    return np.random.default_rng(4).uniform(0, 2, case.batch)


def train(model: Any, case: Case, optimizer: Any) -> tuple[list[Array], dict[str, list[float]]]:
    """Train a model of either program; return its weights and the history."""
    model.compile(optimizer, model.loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
    model.run_eagerly = True
    weights: dict[str, Any] = {"sample_weight": sample_weights(case)}
    if case in BY_CLASS:
        weights = {"class_weight": CLASS_WEIGHT}
    history = model.fit(case.x, case.y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, **weights).history
    evaluated = model.evaluate(case.x, case.y, verbose=0, sample_weight=sample_weights(case), return_dict=True)
    return model.get_weights(), history | {f"evaluate {name}": [value] for name, value in evaluated.items()}


@lru_cache
def keras_results(case: Case) -> tuple[list[Array], dict[str, list[float]]]:
    """Return weights and history after the training in Keras."""
    model = case.keras_model(SETTINGS)
    return train(model, case, model.optimizer)


@lru_cache
def bounded_weights(case: Case) -> list[Bounded]:
    """Return the weights after the training in float64, with the bounds that all steps add up to."""
    network, x = case.bounded_network(SETTINGS), case.x.astype(np.float64)
    t = case.targets * sample_weights(case)[:, None]
    network.fit(x, t, EPOCHS * in_order(len(x), BATCH))
    return list(network.params.values())


def check_weighted_training(backend: str) -> Iterator[Comparison]:
    """Weights, losses and metrics agree with Keras after a training with ``sample_weight`` or ``class_weight``."""
    for case in (BY_SAMPLE, *BY_CLASS):
        model = case.scratch_model(backend, SETTINGS)
        ours, history = train(model, case, model.optimizer)
        theirs, expected = keras_results(case)
        yield from compare_weights(f"{case}, weighted, after fit", ours, theirs, bounded_weights(case))
        yield equal(f"{case}, weighted: names in the history", list(history), list(expected))
        for name, values in history.items():
            yield compare(f"{case}, weighted: {name}", np.array(values), np.array(expected[name]), DIGITS)
