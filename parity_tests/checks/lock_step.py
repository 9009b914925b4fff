"""Lock-step training: both programs take the same steps from the same weights and are compared after each."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from parity_tests.checks.networks import Networks, ScratchCase
from parity_tests.comparison import Comparison, compare
from parity_tests.implementations.protocol import Trainable
from parity_tests.reference.cases import ARTICLE, Case
from parity_tests.reference.error_model import LAMBDA, Rounding
from parity_tests.reference.layers import LAYERS, masks_for_keras
from parity_tests.reference.sgd import SGDSettings

STEPS = 10
LEARNING_RATE = SGDSettings().learning_rate
U = Rounding("float32").u


def lock_step(
    networks: Networks, case: Case, x: np.ndarray, labels: np.ndarray, steps: Iterable[Any], keras_model: Any = None
) -> Iterator[list[Comparison]]:
    """Train both programs on the same batches; yield the comparisons of loss, accuracy and weights after each step.

    Neither program is reset, so differences accumulate, and each step is held to what it may add.  Let d be the
    difference of a weight before the step.  The error model starts from scratch's weights with the bound λ·d, because a
    measured difference is no bound; a unit whose sign differs between the programs then counts as uncertain.
    ``BoundedNetwork.difference_after`` says by how much the weights may differ after the step.

    Args:
        networks: the implementation under test.
        case: the network.
        x: samples (N, features).
        labels: their classes (N,).
        steps: what to index the samples with, one entry for each step.
        keras_model: a Keras model, or one that replays a recorded training; that of the case if not given.
    """
    network, keras_model = networks.build(case), keras_model or case.keras_model()
    names, one_hot = list(case.bounded_network().params), np.eye(case.widths[-1])
    for step, rows in enumerate(steps, 1):
        xb, yb = x[rows].astype(np.float32), one_hot[labels[rows]]
        ours_before = dict(zip(names, [W.copy() for W in network.get_weights()], strict=True))
        keras_before = dict(zip(names, keras_model.get_weights(), strict=True))
        before = {name: np.abs(W - keras_before[name]).astype(np.float64) for name, W in ours_before.items()}
        bounded = replace(case.bounded_network(), steps=step - 1)
        bounded = bounded.with_weights(ours_before, {name: LAMBDA * d for name, d in before.items()})
        bounded_loss = bounded.step(xb.astype(np.float64), yb)["loss"]
        ours, theirs = train(network, xb, yb), keras_model.train_on_batch(xb, yb.astype(np.float32))
        label, rows = f"{case}, step {step}: ", []
        if ours is not None:
            loss = np.float64(ours[0]), np.float64(theirs[0])
            rows = [compare(f"{label}loss", *loss, 2 * bounded_loss.bound + U)]
            rows.append(_compare_correct(label, ours[1], theirs[1], len(xb)))
        for name, W, expected in zip(names, network.get_weights(), keras_model.get_weights(), strict=True):
            rows.append(compare(f"{label}{name}", W, expected, bounded.difference_after(name, before[name])))
        yield rows


def train(network: Trainable, x: np.ndarray, t: np.ndarray) -> tuple[float, float] | None:
    """Train one step; return loss and accuracy before it, of scratch: another implementation only steps."""
    if isinstance(network, ScratchCase):
        loss, accuracy = network.model.train_on_batch(x, t)
        return float(loss), float(accuracy)
    network.step(x, t.astype(x.dtype), LEARNING_RATE)
    return None


def _compare_correct(label: str, ours: float, theirs: float, samples: int) -> Comparison:
    """Compare the numbers of correct predictions; one near tie in a batch may be decided differently."""
    return compare(f"{label}correct predictions", np.round(ours * samples), np.round(theirs * samples), 1.0)


def check_layer_training(networks: Networks) -> Iterator[Comparison]:
    """Ten steps of a network with each of the layers that compute something else in training, or have weights."""
    for kind in LAYERS:
        case = Case((18, 7, 5), ("relu", "tanh", "softmax"), features=20, batch=60, between=kind, seed=6)
        keras_model = case.keras_model()
        keras_model.run_eagerly = True  # masks_for_keras needs it
        steps = [np.arange(step, 60, 5) for step in range(STEPS)]  # batches of different sizes
        with masks_for_keras():
            for rows in lock_step(networks, case, case.x, case.data[1], steps, keras_model):
                yield from rows


def check_lock_step(networks: Networks) -> Iterator[Comparison]:
    """Ten steps of the article's network."""
    x = np.concatenate([replace(ARTICLE, seed=seed).x for seed in range(4)])
    labels = np.random.default_rng(5).integers(10, size=len(x))
    steps = np.arange(STEPS * ARTICLE.batch).reshape(STEPS, ARTICLE.batch) % len(x)
    for rows in lock_step(networks, ARTICLE, x, labels, steps):
        yield from rows
