"""What Keras reports for regression and binary answers: histories, metrics by name, and files in both directions."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from pathlib import Path

import keras
import numpy as np
import pytest

import keras_impl
import scratch
from keras_impl.frameworks import FRAMEWORK
from scratch import models
from scratch.ops import BACKENDS

RNG = np.random.default_rng(5)
X = RNG.normal(size=(50, 4)).astype("float32")
SIDES = (X[:, :1] > 0).astype("float32")  # (50, 1)
CASES = {  # activation, units, loss, metrics, targets
    "regression": (None, 1, "mse", ["mae", "mse"], X[:, 0] * 2),
    "two numbers": ("tanh", 2, "mean_absolute_error", ["mean_squared_error"], X[:, :2]),
    "question": ("sigmoid", 1, "binary_crossentropy", ["accuracy", "BinaryAccuracy"], SIDES[:, 0].astype(int)),
    "questions": ("sigmoid", 2, "binary_crossentropy", ["accuracy", "binary_accuracy"], np.hstack([SIDES, 1 - SIDES])),
    "mse of classes": ("softmax", 2, "mse", ["acc"], np.hstack([SIDES, 1 - SIDES])),
}


def compiled(name: str, backend: str) -> tuple[models.Sequential, keras.Sequential]:
    """Return the model of a case in both programs, with the same weights."""
    activation, units, loss, metrics, _ = CASES[name]
    layers = [scratch.layers.Dense(units, activation, input_shape=(4,))]
    ours = models.Sequential(layers, backend=backend)
    theirs = keras_impl.to_keras(ours)
    for model in (ours, theirs):
        model.compile("sgd", loss, metrics=metrics)
    theirs.run_eagerly = FRAMEWORK == "tensorflow"  # without the time to compile a graph
    return ours, theirs


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CASES)
def test_history_and_evaluate(name: str, backend: str) -> None:
    """Fifteen steps on 50 samples.  Values are near 1: the 20 roundings of a step add up to less than 1e-5."""
    ours, theirs = compiled(name, backend)
    y = CASES[name][4]
    histories = [
        m.fit(X, y, batch_size=20, epochs=5, shuffle=False, verbose=0, validation_data=(X[:9], y[:9])).history
        for m in (ours, theirs)
    ]
    assert list(histories[0]) == list(histories[1])
    for key, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][key], rtol=0, atol=1e-5, err_msg=key)
    np.testing.assert_allclose(ours.evaluate(X, y, verbose=0), theirs.evaluate(X, y, verbose=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_files_in_both_directions(name: str, tmp_path: Path) -> None:
    theirs, y = compiled(name, "numpy")[1], CASES[name][4]
    theirs.fit(X, y, verbose=0)
    theirs.save(tmp_path / "theirs.keras")
    loaded = models.load_model(tmp_path / "theirs.keras", backend="numpy")
    np.testing.assert_allclose(loaded.evaluate(X, y, verbose=0), theirs.evaluate(X, y, verbose=0), rtol=0, atol=1e-5)
    loaded.save(tmp_path / "ours.keras")
    back = keras.models.load_model(tmp_path / "ours.keras")
    back.run_eagerly = FRAMEWORK == "tensorflow"
    np.testing.assert_allclose(back.evaluate(X, y, verbose=0), theirs.evaluate(X, y, verbose=0), rtol=0, atol=1e-5)
