"""What Keras reports for regression and binary answers: histories, metrics by name, and files in both directions."""

import parity_tests.needs_keras  # noqa: F401, I001  (before anything that imports Keras)

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_impl
import scratch
from parity_tests.conftest import slow_except
from keras_impl.frameworks import FRAMEWORK, to_numpy
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


def compiled(name: str) -> tuple[dict[str, models.Sequential], keras.Sequential]:
    """Return the model of a case on each backend and in Keras, with the same weights."""
    activation, units, loss, metrics, _ = CASES[name]
    ours = {
        backend: models.Sequential([scratch.layers.Dense(units, activation, input_shape=(4,))], backend=backend)
        for backend in BACKENDS
    }
    theirs = keras_impl.to_keras(ours["numpy"])
    for model in (*ours.values(), theirs):
        model.set_weights(theirs.get_weights())
        model.compile("sgd", loss, metrics=metrics)
    theirs.run_eagerly = FRAMEWORK == "tensorflow"  # without the time to compile a graph
    return ours, theirs


@pytest.mark.parametrize("name", slow_except(CASES, "questions"))
def test_history_and_evaluate(name: str) -> None:
    """Fifteen steps on 50 samples.  Values are near 1: the 20 roundings of a step add up to less than 1e-5."""
    ours, theirs = compiled(name)
    y = CASES[name][4]

    def results(model: Any) -> dict[str, Any]:
        fit = model.fit(X, y, batch_size=20, epochs=5, shuffle=False, verbose=0, validation_data=(X[:9], y[:9]))
        return {**fit.history, "evaluate": model.evaluate(X, y, verbose=0)}

    expected = results(theirs)
    for backend, model in ours.items():
        found = results(model)
        assert list(found) == list(expected)
        for key, values in found.items():
            np.testing.assert_allclose(values, expected[key], rtol=0, atol=1e-5, err_msg=f"{backend}: {key}")


@pytest.mark.parametrize("name", slow_except(CASES, "question"))
def test_files_in_both_directions(name: str, tmp_path: Path) -> None:
    theirs, y = compiled(name)[1], CASES[name][4]
    theirs.fit(X, y, verbose=0)
    theirs.save(tmp_path / "theirs.keras")
    loaded = models.load_model(tmp_path / "theirs.keras", backend="numpy")
    np.testing.assert_allclose(loaded.evaluate(X, y, verbose=0), theirs.evaluate(X, y, verbose=0), rtol=0, atol=1e-5)
    loaded.save(tmp_path / "ours.keras")
    back = keras.models.load_model(tmp_path / "ours.keras")
    back.run_eagerly = FRAMEWORK == "tensorflow"
    np.testing.assert_allclose(back.evaluate(X, y, verbose=0), theirs.evaluate(X, y, verbose=0), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_files_with_arguments_of_metrics_and_of_the_loss(backend: str, tmp_path: Path) -> None:
    """Saved in the middle of a training, and trained on by both programs; values are near 1, as in the first test."""
    ours = models.Sequential([scratch.layers.Dense(2, "sigmoid", input_shape=(4,))], backend=backend)
    theirs, y = keras_impl.to_keras(ours), CASES["questions"][4]
    training: dict[str, Any] = {"batch_size": 30, "epochs": 2, "shuffle": False, "verbose": 0}
    for program, model in ((scratch, ours), (keras, theirs)):
        metrics = program.metrics
        model.compile(
            program.optimizers.SGD(0.125, momentum=0.5),
            program.losses.BinaryCrossentropy(label_smoothing=0.25),
            metrics=[metrics.BinaryAccuracy(threshold=0.3), metrics.BinaryAccuracy("sure", threshold=0.75)],
            weighted_metrics=[metrics.MeanSquaredError(name="brier"), metrics.MeanAbsoluteError(name="distance")],
        )
    theirs.run_eagerly = FRAMEWORK == "tensorflow"
    ours.fit(X, y, **training)
    theirs.fit(X, y, **training)
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    back = keras.models.load_model(tmp_path / "ours.keras")
    back.run_eagerly = FRAMEWORK == "tensorflow"
    for model, twin in ((ours, back), (models.load_model(tmp_path / "theirs.keras", backend=backend), theirs)):
        found, expected = model.fit(X, y, **training).history, twin.fit(X, y, **training).history
        assert list(found) == list(expected) == ["binary_accuracy", "brier", "distance", "loss", "sure"]
        for key, values in found.items():
            np.testing.assert_allclose(values, expected[key], rtol=0, atol=1e-5, err_msg=key)
        for weight, twin_weight in zip(model.get_weights(), twin.get_weights(), strict=True):
            np.testing.assert_allclose(weight, twin_weight, rtol=0, atol=1e-5)


def recall_of_class_0(program: Any) -> Any:
    """Return a metric of the user, for either program, whose state is an array that ``reset_state`` clears in place."""

    class Recall0(program.metrics.Metric):
        def __init__(self, name: str = "recall0") -> None:
            self.counts = np.zeros(2)
            super().__init__(name=name)

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            of_class = np.asarray(y_true).reshape(-1) == 0
            self.counts += [(np.argmax(y_pred, axis=-1)[of_class] == 0).sum(), of_class.sum()]

        def result(self) -> float:
            return float(self.counts[0] / max(self.counts[1], 1))

        def reset_state(self) -> None:
            self.counts[:] = 0

    return Recall0()


@pytest.mark.skipif(FRAMEWORK == "jax", reason="Keras on JAX traces metrics, so that they cannot use NumPy's arrays")
def test_a_metric_with_a_state_of_its_own() -> None:
    """``evaluate`` in a callback leaves that of ``fit`` alone; at other times the object holds the value afterwards."""
    ours = models.Sequential([scratch.layers.Dense(3, "softmax", input_shape=(4,))], backend="numpy")
    theirs, y = keras_impl.to_keras(ours), np.arange(50) % 3
    results = []
    for program, model in ((scratch, ours), (keras, theirs)):
        metric, accuracy = recall_of_class_0(program), program.metrics.SparseCategoricalAccuracy()
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric, accuracy], run_eagerly=True)
        history = model.fit(X, y, batch_size=20, epochs=2, shuffle=False, verbose=0).history["recall0"]
        values = model.evaluate(X[:30], y[:30], verbose=0)[1:]
        assert values == [metric.result(), float(accuracy.result())]
        assert min(values) > 0
        results.append([*history, *values])
    np.testing.assert_allclose(*results, rtol=0, atol=1e-5)
    for weight, theirs_weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(weight, theirs_weight, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(50,), (50, 1)])
def test_weights_of_a_metric_are_one_number_per_sample(shape: tuple[int, ...]) -> None:
    weights, answers = np.linspace(0, 1, 50).reshape(shape), np.hstack([SIDES, 1 - SIDES])
    results = []
    for program in (scratch, keras):
        values = []
        for name in ("CategoricalAccuracy", "SparseCategoricalAccuracy", "BinaryAccuracy", "MeanSquaredError"):
            metric = getattr(program.metrics, name)()
            truth = SIDES if name.startswith("Sparse") else answers
            metric.update_state(truth, answers[::-1] * 0.75, sample_weight=weights)
            values.append(float(metric.result()))
        results.append(values)
    np.testing.assert_allclose(*results, rtol=0, atol=1e-6)


def test_one_number_is_the_weight_of_all_samples_of_a_call() -> None:
    answers = np.hstack([SIDES, 1 - SIDES])
    for weight in (2, 0.5, np.float32(3), np.array(0.25)):
        results = []
        for program in (scratch, keras):
            metric, loss = program.metrics.MeanSquaredError(), program.losses.MeanSquaredError()
            metric.update_state(answers, answers * 0.75)
            found = metric(answers, answers[::-1] * 0.5, sample_weight=weight)
            results.append([float(found), float(loss(answers, answers[::-1] * 0.5, sample_weight=weight))])
        np.testing.assert_allclose(*results, rtol=0, atol=1e-6)


def test_metrics_as_functions() -> None:
    answers, y = np.hstack([SIDES, 1 - SIDES]), np.arange(50) % 2
    for name in scratch.metrics.METRICS:
        truth = y if name.startswith("sparse") else answers
        for targets, outputs in ((truth, answers[::-1] * 0.75), (truth[:1], answers[:1])):
            ours, theirs = (getattr(program.metrics, name)(targets, outputs) for program in (scratch, keras))
            assert ours.shape == tuple(theirs.shape)
            np.testing.assert_allclose(ours, to_numpy(theirs), rtol=0, atol=1e-6)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", None])
@pytest.mark.parametrize(
    "name", ["MeanSquaredError", "MeanAbsoluteError", "BinaryCrossentropy", "CategoricalCrossentropy"]
)
def test_losses_on_arrays(name: str, reduction: str | None) -> None:
    """Of one sample, and of samples with weights."""
    truth, outputs, weights = np.eye(3), np.eye(3)[[0, 0, 2]] * 0.75 + 0.125, np.array([1.0, 2.0, 0.5])
    ours, theirs = (getattr(program.losses, name)(reduction=reduction) for program in (scratch, keras))
    for arguments in ((truth[0], outputs[1]), (truth[0].tolist(), outputs[1].tolist()), (truth, outputs, weights)):
        expected = to_numpy(theirs(*arguments))
        assert ours(*arguments).shape == expected.shape
        np.testing.assert_allclose(ours(*arguments), expected, rtol=1e-5)


def test_a_call_of_a_metric_adds_a_batch() -> None:
    metrics = [program.metrics.CategoricalAccuracy() for program in (scratch, keras)]
    for outputs in (np.eye(3), np.eye(3)[[0, 0, 2]]):
        ours, theirs = (float(metric(np.eye(3), outputs, np.array([1.0, 2.0, 3.0]))) for metric in metrics)
        assert ours == pytest.approx(theirs)
