"""Full runs: the article's network trained on MNIST for many steps or epochs, in both programs.

Rounding errors grow over thousands of steps, so the bounds of whole epochs are not derived from the error model.  They
are what the project guarantees for ten epochs (6,000 steps): the loss agrees to 1e-4, and at the end the number of
correct predictions agrees to 2 in 10,000.

Before the last epoch 5 in 10,000 are allowed.  Of 10,000 test digits about 0.3 have a margin between their two largest
outputs within any 1e-4 (28 a margin below 0.01 after five epochs, 17 after ten).  Outputs that differ by 1e-4 change a
margin by 2e-4 at most, and so decide 0.6 digits differently on average, and more than five once in 20,000 runs.
"""

import hashlib
from collections.abc import Iterator

import keras
import numpy as np
from scipy import stats

import keras_impl
from keras_impl.data import Batches
from parity_tests.checks.lock_step import lock_step
from parity_tests.checks.networks import ScratchNetworks
from parity_tests.comparison import Comparison, compare, equal, labelled
from parity_tests.reference.cases import ARTICLE
from scratch.article import build_model, prepare_floats
from scratch.batches import batches
from scratch.datasets import mnist
from scratch.models import Sequential
from scratch.utils import set_random_seed

LOSS_BOUND = 1e-4
CORRECT_BOUND, CORRECT_BOUND_BEFORE = 2, 5  # in 10,000 samples: at the end, and after earlier epochs
EPOCHS, SEEDS, BATCH = 10, 10, 100
SIGNIFICANCE = 0.01
NETWORK = f"784-256 relu-100 relu-10 softmax (batch {BATCH}, digits, seed 0)"
History = dict[str, list[float]]
_keras_histories: dict[tuple[bytes, int], History] = {}  # by digest of the digits and number of epochs


def article_network(backend: str, seed: int) -> Sequential:
    """Return the article's network, compiled, with the initial weights of that seed."""
    set_random_seed(seed)
    model = build_model([256, 100], backend=backend)
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def check_every_step(backend: str, digits: mnist.Dataset) -> Iterator[Comparison]:
    """Every step of one epoch of the article's network, in lock-step."""
    x, _ = prepare_floats(*digits.train, 10)
    steps = batches(len(x), ARTICLE.batch)
    for rows in lock_step(ScratchNetworks(backend), ARTICLE, x, digits.train[1], steps):
        yield from rows


def keras_history(digits: mnist.Dataset, epochs: int) -> History:
    """Return the history of Keras, from scratch's initial weights of seed 0 and in scratch's order of samples."""
    key = _digest(digits), epochs
    if key not in _keras_histories:
        start = article_network("numpy", 0)
        model = keras_impl.to_keras(start)
        data = Batches(*prepare_floats(*digits.train, 10), BATCH, start.rng)
        history = model.fit(
            data,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            validation_data=prepare_floats(*digits.test, 10),
            validation_batch_size=BATCH,
            callbacks=[data.draw_orders()],
        )
        _keras_histories[key] = dict(history.history)
    return _keras_histories[key]


def _digest(digits: mnist.Dataset) -> bytes:
    """Return a digest of all images and labels."""
    found = hashlib.sha256()
    for array in (*digits.train, *digits.test):
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array))
    return found.digest()


def train(backend: str, digits: mnist.Dataset, epochs: int) -> tuple[History, Sequential]:
    """Train the article's network in scratch from the weights of seed 0; return its history and the model."""
    model = article_network(backend, 0)
    data, validation = prepare_floats(*digits.train, 10), prepare_floats(*digits.test, 10)
    history = model.fit(*data, batch_size=BATCH, epochs=epochs, validation_data=validation, verbose=0)
    return history.history, model


def check_epochs(
    backend: str, digits: mnist.Dataset, epochs: int = EPOCHS
) -> tuple[list[Comparison], dict[str, History]]:
    """Loss and accuracy of each epoch, in training and validation, and at the end the predictions of both programs.

    Returns:
        The comparisons, and the history of both programs.
    """
    ours, model = train(backend, digits, epochs)
    theirs = keras_history(digits, epochs)
    rows = []
    for epoch in range(epochs):
        for name in theirs:
            a, b, bound = np.float64(ours[name][epoch]), np.float64(theirs[name][epoch]), LOSS_BOUND
            if name.endswith("accuracy"):
                n = len((digits.test if name.startswith("val") else digits.train)[1])
                allowed = CORRECT_BOUND if epoch == epochs - 1 else CORRECT_BOUND_BEFORE
                a, b, bound = np.round(a * n), np.round(b * n), allowed * n / 10_000
            rows.append(compare(f"epoch {epoch + 1}: {name}", a, b, bound))
    return labelled(NETWORK, [*rows, compare_predictions(model, digits)]), {"scratch": ours, "Keras": theirs}


def compare_predictions(model: Sequential, digits: mnist.Dataset) -> Comparison:
    """Count the test digits that Keras, with the same weights, classifies differently: at most 2 in 10,000."""
    x, models = prepare_floats(*digits.test, 10)[0], (model, keras_impl.to_keras(model))
    ours, theirs = (m.predict(x, batch_size=1000, verbose=0).argmax(axis=1) for m in models)
    different = np.float64((ours != theirs).sum())
    return compare("predictions that differ", different, np.float64(0), CORRECT_BOUND * len(x) / 10_000)


def final_accuracies(digits: mnist.Dataset) -> dict[str, list[float]]:
    """Return test accuracies by program, after training from independent initial weights, each program with its own."""
    data, test = prepare_floats(*digits.train, 10), prepare_floats(*digits.test, 10)
    accuracies: dict[str, list[float]] = {"scratch": [], "Keras": []}
    for seed in range(SEEDS):
        model = article_network("numba", seed)
        model.fit(*data, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        accuracies["scratch"].append(model.evaluate(*test, verbose=0)[1])
        keras.utils.set_random_seed(1000 + seed)
        keras_model = keras_impl.build_model()
        keras_model.compile(
            keras.optimizers.SGD(0.01),
            "categorical_crossentropy",
            metrics=["accuracy"],
            steps_per_execution=50,  # the same bits in half of the time
        )
        keras_model.fit(data[0], data[1].astype("float32"), batch_size=BATCH, epochs=EPOCHS, verbose=0)
        accuracies["Keras"].append(keras_model.evaluate(*test, batch_size=1000, verbose=0)[1])
    return accuracies


def check_accuracies(digits: mnist.Dataset) -> tuple[list[Comparison], dict[str, float], dict[str, list[float]]]:
    """Test whether the final accuracies of both programs come from one distribution, at the 1 % level.

    Returns:
        The comparisons, the p-values by two-sample test, and the accuracies by program.
    """
    accuracies = final_accuracies(digits)
    ours, theirs = accuracies["scratch"], accuracies["Keras"]
    p_values = {
        "Kolmogorov–Smirnov": float(stats.ks_2samp(ours, theirs).pvalue),
        "Mann–Whitney": float(stats.mannwhitneyu(ours, theirs).pvalue),
    }
    rows = [
        equal(f"final accuracies come from one distribution: {test}, p > {SIGNIFICANCE}", p > SIGNIFICANCE, True)
        for test, p in p_values.items()
    ]
    return rows, p_values, accuracies
