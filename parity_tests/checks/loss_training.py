"""Training with each loss: ``fit`` leads to Keras's weights, with every loss that ``compile`` knows by name."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from parity_tests.comparison import Comparison, compare_weights, equal
from parity_tests.reference.bounded_network import in_order
from parity_tests.reference.cases import Case
from parity_tests.reference.error_model import Bounded
from parity_tests.reference.losses import LOSSES
from parity_tests.reference.sgd import SGDSettings
from scratch import losses

BATCH, EPOCHS = 10, 2  # three steps per epoch, the last with 6 samples
SETTINGS = SGDSettings(0.0625)


def cases() -> list[Case]:
    """Return two networks for each loss of ``scratch.losses.LOSSES``: one is linear, one ends in what fits the loss."""
    return [
        Case((6, 4), ("tanh", last), features=5, batch=26, loss=loss.__name__, seed=2)
        for loss in losses.LOSSES.values()
        for last in (LOSSES[loss.__name__].logits_of if loss.__name__ in LOSSES else "softmax", "linear")
    ]


def train(model: Any, case: Case) -> list[np.ndarray]:
    """Train a model of either program; return the weights."""
    model.fit(case.x, case.y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    weights: list[np.ndarray] = model.get_weights()
    return weights


@lru_cache
def keras_weights(case: Case) -> list[np.ndarray]:
    """Return the weights after the training in Keras."""
    model = case.keras_model(SETTINGS)
    model.run_eagerly = True  # without the time to compile a graph
    return train(model, case)


@lru_cache
def bounded_weights(case: Case) -> list[Bounded]:
    """Return the weights after the training in float64, with the bounds that all steps add up to."""
    network, x, t = case.bounded_network(SETTINGS), case.x.astype(np.float64), case.targets
    network.fit(x, t, EPOCHS * in_order(len(x), BATCH))
    return list(network.params.values())


def check_loss_training(backend: str) -> Iterator[Comparison]:
    """Every loss has an error model, and ``fit`` leads to the weights of Keras."""
    for case in cases():
        if case.loss not in LOSSES:
            yield equal(f"{case.loss}: is in reference.losses.LOSSES", False, True)
            continue
        ours, theirs = train(case.scratch_model(backend, SETTINGS), case), keras_weights(case)
        yield from compare_weights(f"{case}, after fit", ours, theirs, bounded_weights(case))
