"""Squared, absolute and binary errors; losses and metrics by name, class, object and function."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scratch import losses, metrics
from scratch.layers import Dense
from scratch.models import Sequential, load_model
from scratch.ops import BACKENDS
from scratch.optimizers import SGD

Y, T = np.array([[0.6, 0.4], [0.4, 0.6]]), np.array([[0.0, 1.0], [0.0, 0.0]])
X = np.random.default_rng(0).normal(size=(12, 3))
ANSWERS = (X[:, 0] > 0).astype(float)


def model(activation: str | None = None, units: int = 1, backend: str = "numpy") -> Sequential:
    return Sequential([Dense(units, activation, input_shape=(3,))], backend=backend, dtype="float64")


def test_values_in_the_documentation_of_keras() -> None:
    np.testing.assert_allclose(losses.binary_crossentropy(T, Y), [0.916, 0.714], atol=5e-4)
    logits = losses.BinaryCrossentropy(from_logits=True)([[0], [1], [0], [0]], [[-18.6], [0.51], [2.94], [-12.8]])
    assert float(logits) == pytest.approx(0.865, abs=5e-4)
    np.testing.assert_allclose(losses.mse([[0, 1], [0, 0]], [[1, 1], [1, 0]]), [0.5, 0.5])
    np.testing.assert_allclose(losses.mae([[0, 1], [0, 0]], [[1, 1], [1, 0]]), [0.5, 0.5])
    answers = metrics.binary_accuracy([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]])
    np.testing.assert_allclose(answers, [[1], [1], [1], [0]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_limits_of_the_probabilities(backend: str) -> None:
    """Probabilities are clipped at 1e-7, where the gradient is 0; logits of ±1,000 cost 1,000 or nothing."""
    loss = losses.BinaryCrossentropy(reduction=None)
    loss.backend = backend
    np.testing.assert_allclose(loss([[1.0], [0.0]], np.array([[0.0], [1.0]])), -np.log(1e-7), rtol=1e-9)
    np.testing.assert_array_equal(loss.backward(), [[0], [0]])
    of_logits = losses.BinaryCrossentropy(from_logits=True, reduction=None)
    of_logits.backend = backend
    np.testing.assert_array_equal(of_logits([[1.0], [1.0]], np.array([[-1000.0], [1000.0]])), [1000, 0])
    np.testing.assert_array_equal(of_logits.backward(), [[-1], [0]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_absolute_error_has_no_slope_where_it_is_zero(backend: str) -> None:
    loss = losses.MeanAbsoluteError(reduction="sum")
    loss.backend = backend
    assert loss([[1.0, 2.0, 3.0]], np.array([[1.0, 0.0, 9.0]])) == pytest.approx(8 / 3)
    np.testing.assert_allclose(loss.backward(), [[0, -1 / 3, 1 / 3]])


def test_smoothing_of_binary_targets_adds_half() -> None:
    smoothed = losses.BinaryCrossentropy(label_smoothing=0.2).smooth(T)
    np.testing.assert_allclose(smoothed, [[0.1, 0.9], [0.1, 0.1]])
    assert losses.BinaryCrossentropy().smooth(T) is T


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sigmoid_is_fused_with_its_loss(backend: str) -> None:
    """A model that ends in a sigmoid has the loss of its logits, and the gradient p − t."""
    network = model("sigmoid", backend=backend)
    network.compile("sgd", losses.BinaryCrossentropy(label_smoothing=0.5))
    network.set_weights([np.full((3, 1), 1000.0), np.zeros(1)])
    trace = network.trace(X, ANSWERS)
    z, t = X.sum(axis=1, keepdims=True) * 1000, ANSWERS[:, None] / 2 + 0.25
    assert float(trace["loss"]) == pytest.approx(np.mean(np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))))
    np.testing.assert_allclose(trace["loss/dx"], ((z > 0) - t) / len(X), atol=1e-15)
    np.testing.assert_allclose(trace[f"{network.layers[0].name}/dW"], X.T @ (((z > 0) - t) / len(X)))


@pytest.mark.parametrize("y", [ANSWERS, ANSWERS[:, None], ANSWERS.astype(int)])
def test_one_unit_takes_numbers_or_rows_of_one(y: np.ndarray) -> None:
    results = []
    for targets in (y, ANSWERS[:, None]):
        network = model("sigmoid")
        network.set_weights([np.ones((3, 1)), np.zeros(1)])
        network.compile(SGD(0.5), "bce", metrics=["accuracy", "mse"])
        history = network.fit(X, targets, epochs=3, batch_size=5, shuffle=False, verbose=0).history
        results.append((history, network.evaluate(X, targets, verbose=0), network.get_weights()[0].tobytes()))
    assert results[0] == results[1]
    assert isinstance(network.metrics[0], metrics.BinaryAccuracy)
    p = network.predict(X, verbose=0)[:, 0]
    assert results[0][1][1:] == pytest.approx([np.mean((p > 0.5) == ANSWERS), np.mean((p - ANSWERS) ** 2)])


def test_a_loss_by_name_class_object_and_function() -> None:
    for name, loss_class in losses.LOSSES.items():
        function = getattr(losses, name)
        for given in (name, loss_class.__name__, loss_class, loss_class(), function):
            assert type(losses.get(given)) is loss_class
        assert function.__name__ == name
    assert [type(losses.get(name)).__name__ for name in ("mse", "MSE", "mae", "bce")] == [
        "MeanSquaredError", "MeanSquaredError", "MeanAbsoluteError", "BinaryCrossentropy"
    ]  # fmt: skip


def test_a_function_of_the_user_has_no_gradient() -> None:
    def my_loss(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.abs(y_true - y_pred)

    network = model()
    for loss, name in ((my_loss, "my_loss"), (lambda t, y: y, "<lambda>")):
        with pytest.raises(
            ValueError, match=f"^The loss {name} is a function, of which scratch cannot compute the grad"
        ):
            network.compile("sgd", loss)
    assert network.loss is None


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
@pytest.mark.parametrize("weights", [None, np.linspace(0, 2, len(X))])
def test_a_loss_of_the_user_as_the_error_describes_it(weights: np.ndarray | None, reduction: str) -> None:
    class Squares(losses.Loss):
        def forward(self, y: np.ndarray, t: np.ndarray) -> np.ndarray:
            self.difference = y - t
            return self.reduce((self.difference**2).mean(axis=1))

        def backward(self) -> np.ndarray:
            return self.reduce_gradient(2 * self.difference / self.difference.shape[1])

    own, known = model(), model()
    own.compile("sgd", Squares(reduction))
    known.compile("sgd", losses.MeanSquaredError(reduction))
    known.set_weights(own.get_weights())
    histories = [m.fit(X, ANSWERS, sample_weight=weights, shuffle=False, verbose=0).history for m in (own, known)]
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"])
    np.testing.assert_allclose(own.get_weights()[0], known.get_weights()[0], rtol=1e-6)


def test_a_loss_that_is_not_reduced() -> None:
    class Squares(losses.Loss):
        def forward(self, y: np.ndarray, t: np.ndarray) -> np.ndarray:
            return ((y - t) ** 2).mean(axis=1)

        def backward(self) -> np.ndarray:
            raise AssertionError

    network = model()
    network.compile("sgd", Squares())
    for method in (network.fit, network.evaluate):
        with pytest.raises(
            ValueError, match=r"^forward of the loss Squares must return one number, such as self\.redu"
        ):
            method(X, ANSWERS, verbose=0)


def test_a_metric_by_name_class_object_and_function() -> None:
    def farthest(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return np.abs(y_true - y_pred[:, 0]).max()

    network = model()
    given = [
        "mse",
        "BinaryAccuracy",
        metrics.MeanAbsoluteError,
        metrics.mean_squared_error,
        farthest,
        metrics.MeanMetricWrapper(lambda t, y: y[:, 0], "mean output"),
        metrics.BinaryAccuracy("half", 0.25),
    ]
    network.compile("sgd", "mse", metrics=given)
    assert [metric.name for metric in network.metrics] == [
        "mse", "BinaryAccuracy", "mean_absolute_error", "mean_squared_error", "farthest", "mean output", "half"
    ]  # fmt: skip
    values = dict(
        zip(["loss", *(m.name for m in network.metrics)], network.evaluate(X, ANSWERS, verbose=0), strict=True)
    )
    y = network.predict(X, verbose=0)[:, 0]
    assert values["loss"] == pytest.approx(values["mse"])
    assert values["mse"] == values["mean_squared_error"] == pytest.approx(np.mean((y - ANSWERS) ** 2))
    assert values["mean_absolute_error"] == pytest.approx(np.mean(np.abs(y - ANSWERS)))
    assert values["BinaryAccuracy"] == np.mean((y > 0.5) == ANSWERS)
    assert values["half"] == np.mean((y > 0.25) == ANSWERS)
    assert values["farthest"] == pytest.approx(np.abs(y - ANSWERS).max())
    assert values["mean output"] == pytest.approx(y.mean())


def test_a_metric_function_may_return_one_number_per_batch() -> None:
    """It counts once per batch, as in Keras."""
    network = model()
    network.compile("sgd", "mse", metrics=[lambda t, y: float(len(t))])
    assert network.evaluate(X, ANSWERS, batch_size=8, verbose=0)[1] == (8 + 4) / 2


def test_weights_of_samples_in_a_metric() -> None:
    metric = metrics.MeanSquaredError()
    metric.update_state(np.array([[1.0, 1.0], [2.0, 0.0]]), np.zeros((2, 2)), np.array([1.0, 3.0]))
    assert metric.result() == (1 * 1 + 3 * 2) / 4
    accuracy = metrics.CategoricalAccuracy()
    accuracy.update_state(np.eye(2), np.eye(2)[[0, 0]], np.array([0.25, 0.5]))
    assert accuracy.result() == 0.25 / 0.75


def test_errors_name_the_argument() -> None:
    network = model("sigmoid", units=2)
    network.compile("sgd", "binary_crossentropy")
    with pytest.raises(
        ValueError, match=r"^y must hold numbers between 0 and 1 for binary_crossentropy; got 0 to 2\.$"
    ):
        network.fit(X[:2], [[0, 2], [0, 1]], verbose=0)
    with pytest.raises(ValueError, match=r"^y must be rows of 2 numbers, one per unit; got shape \(12,\)\.$"):
        network.fit(X, ANSWERS, verbose=0)
    with pytest.raises(ValueError, match=r"^threshold must be a finite number, between 0 and 1; got 2"):
        metrics.BinaryAccuracy(threshold=2)
    with pytest.raises(ValueError, match=r"^Unknown metric 'auc': choose one of accuracy, acc, "):
        network.compile("sgd", "mse", metrics=["auc"])
    with pytest.raises(NotImplementedError, match=r"^The metric Metric must define values"):
        metrics.Metric().update_state(T, Y)


def test_saved_and_loaded(tmp_path: Path) -> None:
    network = model("sigmoid")
    network.compile(
        SGD(0.5), losses.BinaryCrossentropy(label_smoothing=0.25), metrics=["mae", metrics.BinaryAccuracy("b", 0.25)]
    )
    network.fit(X, ANSWERS, verbose=0)
    network.save(tmp_path / "m.keras")
    loaded = load_model(tmp_path / "m.keras", backend="numpy")
    assert loaded.evaluate(X, ANSWERS, verbose=0) == network.evaluate(X, ANSWERS, verbose=0)
    assert vars(loaded.loss) == vars(network.loss)
    assert [(type(m), m.name) for m in loaded.metrics] == [(type(m), m.name) for m in network.metrics]
    network.compile("sgd", "mse", metrics=[lambda t, y: y])
    with pytest.warns(UserWarning, match=r"^The metric 'lambda' is a function, .*; call compile again after"):
        network.save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").optimizer is None


def test_names_of_metrics() -> None:
    for name, metric_class in metrics.METRICS.items():
        assert metric_class().name == name
        assert metric_class("other").name == "other"
        assert getattr(metrics, name).__name__ == name
        assert metric_class.__name__ in getattr(metrics, name).__doc__

    class Callable:
        def __call__(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
            return y_true

    assert metrics.MeanMetricWrapper(np.add).name == "add"
    assert metrics.MeanMetricWrapper(Callable()).name == "callable"
    assert metrics.MeanMetricWrapper(np.add, "sum").name == "sum"


def test_an_output_at_the_threshold_counts_as_a_0() -> None:
    np.testing.assert_array_equal(metrics.binary_accuracy([[0], [1]], [[0.5], [0.5]]), [[1], [0]])


def test_functions_of_metrics_take_as_many_targets_as_predictions() -> None:
    with pytest.raises(ValueError, match=r"^y_true and y_pred must hold the same number"):
        metrics.mean_squared_error(T, Y[:1])


def test_functions_of_metrics_have_a_value_for_each_sample_or_answer() -> None:
    outputs, rows = np.array([[0.75, 0.25], [0.25, 0.5]]), np.array([[1, 0], [1, 0]])
    np.testing.assert_array_equal(metrics.categorical_accuracy(rows, outputs), [1, 0])
    np.testing.assert_array_equal(metrics.sparse_categorical_accuracy([0, 1], outputs), [1, 1])
    np.testing.assert_array_equal(metrics.binary_accuracy(rows, outputs), [[1, 1], [0, 1]])
    np.testing.assert_array_equal(metrics.mean_squared_error(rows, outputs), [0.0625, 0.40625])
    np.testing.assert_array_equal(metrics.mean_absolute_error(rows, outputs), [0.25, 0.625])


@pytest.mark.parametrize("function", [losses.mean_squared_error, metrics.mean_squared_error])
def test_functions_are_made_of_classes(function: Any) -> None:
    assert function.__name__ == function.__qualname__ == "mean_squared_error"
    assert "MeanSquaredError" in function.__doc__
    np.testing.assert_allclose(function(T.tolist(), Y.tolist()), np.mean((T - Y) ** 2, axis=1))
    with pytest.raises(ValueError, match=r"^y_true and y_pred must hold the same number"):
        function(T, Y[:1])
