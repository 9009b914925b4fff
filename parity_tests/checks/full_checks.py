"""Comparisons that need many digits or many epochs: whole trainings, side by side."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from scipy import stats

import keras_impl
from keras_impl.data import Batches
from parity_tests.checks.checks import Rows
from parity_tests.checks.compare import Comparison, compare, equal
from parity_tests.checks.training_checks import lock_step
from parity_tests.reference.cases import ARTICLE
from scratch.article import build_model, prepare_floats
from scratch.datasets import mnist
from scratch.models import Sequential
from scratch.training import batches
from scratch.utils import set_random_seed

# What the project promises of ten epochs, 6,000 steps in which differences may grow: the loss to 1e-4, and in the end,
# of each 10,000 digits, the same number right, up to two.  On the way up to five: of 10,000 test digits about 0.3 lie
# in each 1e-4 of margin between the two largest outputs (28 within 0.01 after five epochs, 17 after ten).  Outputs that
# are 1e-4 apart move a margin by 2e-4 and so decide 0.6 digits differently, and more than five once in 20,000 times.
LOSS, IN_THE_END, ON_THE_WAY = 1e-4, 2, 5
EPOCHS, SEEDS = 10, 10
Samples = tuple[np.ndarray, np.ndarray]
Histories = dict[str, dict[str, list[float]]]


def article_network(backend: str, seed: int) -> Sequential:
    """The article's network, compiled, with the weights of that seed."""
    set_random_seed(seed)
    model = build_model([256, 100], backend=backend)
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def check_600_steps(backend: str, digits: mnist.Dataset) -> Rows:
    """Every step of an epoch of the article's network, from the same weights on the same batches."""
    x, _ = prepare_floats(*digits.train, 10)
    steps = batches(len(x), ARTICLE.batch)
    return [row for rows in lock_step(backend, ARTICLE, x, digits.train[1], steps) for row in rows]


@lru_cache
def keras_epochs(source: str, epochs: int) -> dict[str, list[float]]:
    """History of Keras from scratch's weights of seed 0, in scratch's order of samples."""
    digits = DIGITS[source]
    start = article_network("numpy", 0)
    model = keras_impl.to_keras(start)
    train, test = prepare_floats(*digits.train, 10), prepare_floats(*digits.test, 10)
    data = Batches(*train, 100, start.rng)
    history = model.fit(
        data,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        validation_data=test,
        validation_batch_size=100,
        callbacks=[data.draw_orders()],
    )
    return dict(history.history)


DIGITS: dict[str, mnist.Dataset] = {}


def epochs_side_by_side(backend: str, digits: mnist.Dataset, epochs: int = EPOCHS) -> tuple[Histories, Sequential]:
    """Histories of both, trained from the same weights on the same batches; and scratch's model."""
    DIGITS[digits.source] = digits
    model = article_network(backend, 0)
    train, test = prepare_floats(*digits.train, 10), prepare_floats(*digits.test, 10)
    ours = model.fit(*train, batch_size=100, epochs=epochs, validation_data=test, verbose=0).history
    return {"scratch": ours, "Keras": keras_epochs(digits.source, epochs)}, model


def check_epochs(backend: str, digits: mnist.Dataset, epochs: int = EPOCHS) -> Rows:
    """Loss, accuracy, val_loss and val_accuracy of each epoch; and the mistakes of both in the end."""
    histories, model = epochs_side_by_side(backend, digits, epochs)
    ours, theirs = histories["scratch"], histories["Keras"]
    rows = []
    for epoch in range(epochs):
        for name in theirs:
            a, b, bound = np.float64(ours[name][epoch]), np.float64(theirs[name][epoch]), LOSS
            if name.endswith("accuracy"):
                n = len((digits.test if name.startswith("val") else digits.train)[1])
                few = IN_THE_END if epoch == epochs - 1 else ON_THE_WAY
                a, b, bound = np.round(a * n), np.round(b * n), few * n / 10_000
            rows.append(compare(f"epoch {epoch + 1}: {name}", a, b, bound))
    return rows + check_same_mistakes(model, digits)


def check_same_mistakes(model: Sequential, digits: mnist.Dataset) -> Rows:
    """Keras and scratch with the same weights: digits on which their predictions differ, at most 2 of 10,000."""
    x = prepare_floats(*digits.test, 10)[0]
    twin = keras_impl.to_keras(model)
    ours, theirs = (m.predict(x, batch_size=1000, verbose=0).argmax(axis=1) for m in (model, twin))
    different = float((ours != theirs).sum())
    allowed = IN_THE_END * len(x) / 10_000
    fault = None if different <= allowed else f"{different:.0f} predictions differ, {allowed:g} are allowed"
    return [Comparison("digits predicted differently", different, allowed, different / allowed, fault)]


def final_accuracies(digits: mnist.Dataset, epochs: int, seeds: int, progress: Callable[[str], Any]) -> Histories:
    """Test accuracies after training from independent initial weights, each program with its own."""
    train, test = prepare_floats(*digits.train, 10), prepare_floats(*digits.test, 10)
    found: Histories = {"accuracies": {"scratch": [], "Keras": []}}
    for seed in range(seeds):
        progress(f"seed {seed + 1} of {seeds}")
        model = article_network("numba", seed)
        model.fit(*train, batch_size=100, epochs=epochs, verbose=0)
        found["accuracies"]["scratch"].append(model.evaluate(*test, verbose=0)[1])
        keras.utils.set_random_seed(1000 + seed)
        twin = keras_impl.build_model()
        twin.compile(keras.optimizers.SGD(0.01), "categorical_crossentropy", metrics=["accuracy"])
        twin.fit(train[0], train[1].astype("float32"), batch_size=100, epochs=epochs, verbose=0)
        found["accuracies"]["Keras"].append(twin.evaluate(*test, batch_size=1000, verbose=0)[1])
    return found


def check_accuracies(
    digits: mnist.Dataset, epochs: int = EPOCHS, seeds: int = SEEDS, progress: Callable[[str], Any] = lambda _: None
) -> tuple[Rows, dict[str, float], dict[str, list[float]]]:
    """Whether the final accuracies of both come from one distribution: two two-sample tests, at the 1 % level.

    Returns:
        Rows, the p-values by test, and the accuracies by program.
    """
    accuracies = final_accuracies(digits, epochs, seeds, progress)["accuracies"]
    a, b = accuracies["scratch"], accuracies["Keras"]
    p = {
        "Kolmogorov–Smirnov": float(stats.ks_2samp(a, b).pvalue),
        "Mann–Whitney": float(stats.mannwhitneyu(a, b).pvalue),
    }
    rows = [
        equal(f"final accuracies of one distribution: {name}, p > 0.01", value > 0.01, True)
        for name, value in p.items()
    ]
    return rows, p, accuracies
