"""Losses on arrays and in models, running means and accuracies."""

import numpy as np
import pytest

from scratch import losses
from scratch.layers import Activation, Dense, Softmax
from scratch.losses import CategoricalCrossentropy, Loss, SoftmaxCrossEntropy, SparseCategoricalCrossentropy
from scratch.metrics import (
    BinaryAccuracy,
    CategoricalAccuracy,
    Mean,
    MeanAbsoluteError,
    MeanMetricWrapper,
    MeanSquaredError,
    Metric,
    SparseCategoricalAccuracy,
    categorical_accuracy,
)
from scratch.models import Sequential
from scratch.ops import BACKENDS
from scratch.optimizers import SGD

Y = np.array([[0.05, 0.95, 0], [0.1, 0.8, 0.1]])
T = np.array([[0, 1, 0], [0, 0, 1]])


def test_values_in_the_documentation_of_keras() -> None:
    assert float(CategoricalCrossentropy()(T, Y)) == pytest.approx(1.177, abs=5e-4)
    assert float(CategoricalCrossentropy(reduction="sum")(T, Y)) == pytest.approx(2.354, abs=5e-4)
    np.testing.assert_allclose(CategoricalCrossentropy(reduction=None)(T, Y), [0.0513, 2.303], atol=5e-4)
    assert float(SparseCategoricalCrossentropy()([1, 2], Y)) == pytest.approx(1.177, abs=5e-4)


def test_from_logits_is_softmax_cross_entropy(rng: np.random.Generator) -> None:
    logits = rng.normal(scale=5, size=(2, 3))
    expected = SoftmaxCrossEntropy().forward(logits, T.astype(float))
    assert CategoricalCrossentropy(from_logits=True)(T, logits) == expected
    assert SparseCategoricalCrossentropy(from_logits=True)([1, 2], logits) == expected
    by_hand = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, [1, 2], strict=True)])
    assert float(expected) == pytest.approx(by_hand, rel=1e-12)


def test_label_smoothing_adds_the_uniform_distribution() -> None:
    smoothed = T * 0.7 + 0.1
    loss = CategoricalCrossentropy(label_smoothing=0.3)(T, Y)
    clipped = np.clip(Y, 1e-7, 1 - 1e-7)
    assert float(loss) == pytest.approx(-(smoothed * np.log(clipped)).sum(axis=1).mean(), rel=1e-12)


def test_targets_without_label_smoothing_are_not_copied() -> None:
    assert CategoricalCrossentropy().smooth(T) is T


def test_a_loss_of_the_base_class_takes_rows_of_any_numbers() -> None:
    """Other losses than cross-entropy, such as a squared error, accept targets outside of 0 to 1."""
    targets = np.array([[-1.5, 0.0, 7.0]])
    assert Loss().check_targets(targets, (None, 3)) is targets
    message = r"^{} must be rows of 3 numbers, one per unit; got shape \(1, 2\)\.$"
    with pytest.raises(ValueError, match=message.format("y")):
        Loss().check_targets(targets[:, :2], (None, 3))
    with pytest.raises(ValueError, match=message.format("validation y")):
        Loss().check_targets(targets[:, :2], (None, 3), "validation y")
    with pytest.raises(ValueError, match=r"^y must hold finite numbers"):
        Loss().check_targets([[0, np.nan, 0]], (None, 3))


def test_dtype_follows_the_predictions() -> None:
    for dtype in ("float32", "float64"):
        assert CategoricalCrossentropy()(T, Y.astype(dtype)).dtype == dtype
    assert CategoricalCrossentropy()(T, T).dtype == np.float32  # integers


def test_options_are_attributes() -> None:
    sparse = SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    assert (sparse.from_logits, sparse.reduction) == (True, "sum")
    assert not CategoricalCrossentropy().from_logits


@pytest.mark.parametrize("n", [10, 1000, 20_000])
def test_reduction_is_rounded_once(n: int, rng: np.random.Generator) -> None:
    """The loss of a float32 batch is the float64 mean of the losses of its samples, rounded at the end."""
    logits, t = rng.normal(scale=5, size=(n, 3)).astype("float32"), np.eye(3, dtype="float32")[np.arange(n) % 3]
    losses = SoftmaxCrossEntropy("none").forward(logits, t)
    assert SoftmaxCrossEntropy().forward(logits, t) == np.float32(losses.sum(dtype="float64") / n)
    assert SoftmaxCrossEntropy("sum").forward(logits, t) == np.float32(losses.sum(dtype="float64"))


def test_label_smoothing_applies_to_a_model_with_softmax() -> None:
    loss = CategoricalCrossentropy(label_smoothing=0.3)
    model = Sequential([Dense(3, "softmax")], dtype="float64")
    model.compile("sgd", loss)
    x = np.eye(2)
    assert model.evaluate(x, T, verbose=0) == pytest.approx(float(loss(T, model(x))), rel=1e-6)
    smoothed = T * 0.7 + 0.1
    np.testing.assert_allclose(model.gradients(x, T)[1][1], ((model(x) - smoothed) / 2).sum(axis=0), rtol=1e-12)


def test_gradient_of_the_mean_is_divided_by_the_batch_size() -> None:
    loss = SoftmaxCrossEntropy()
    loss.forward(np.zeros((4, 2)), np.eye(2)[[0, 1, 0, 1]])
    np.testing.assert_array_equal(loss.backward(), np.array([[-1, 1], [1, -1], [-1, 1], [1, -1]]) / 8)


def test_accuracies() -> None:
    dense, sparse = CategoricalAccuracy(), SparseCategoricalAccuracy()
    for truth, right in (([1, 2], 1), ([1, 1], 2), ([0, 2], 0)):
        dense.reset_state()
        sparse.reset_state()
        dense.update_state(np.eye(3)[truth], Y)
        sparse.update_state(np.array(truth), Y)
        assert dense.result() == sparse.result() == right / 2
    sparse.update_state(np.array([[1], [1]]), Y)
    assert sparse.result() == 0.5


def test_mean_gives_each_sample_the_same_weight() -> None:
    mean = Mean()
    assert mean.result() == 0
    mean.add(3 * 1.0, 3)
    mean.add(5.0, 1)
    assert mean.result() == 2


def test_names_of_metrics_are_those_of_keras() -> None:
    assert [m().name for m in (Mean, CategoricalAccuracy, SparseCategoricalAccuracy)] == [
        "mean",
        "categorical_accuracy",
        "sparse_categorical_accuracy",
    ]


def test_metrics_may_be_a_name_or_an_object() -> None:
    model = Sequential([Dense(3, "softmax")])
    for metrics, name in (("acc", "acc"), ([CategoricalAccuracy()], "categorical_accuracy")):
        model.compile("sgd", "categorical_crossentropy", metrics=metrics)
        assert list(model.fit(Y, T, verbose=0).history) == sorted(["loss", name])


def test_of_equal_outputs_the_first_is_the_prediction() -> None:
    """As ``argmax`` in NumPy and Keras, for the outputs and for the entries of a one-hot row."""
    y_pred = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.3, 0.3, 0.3]])
    for labels, matches in (([0, 1, 0], 3), ([1, 2, 2], 0)):
        one_hot, sparse = CategoricalAccuracy(), SparseCategoricalAccuracy()
        one_hot.update_state(np.eye(3)[labels], y_pred)
        sparse.update_state(np.array(labels), y_pred)
        assert one_hot.result() == sparse.result() == matches / 3
    metric = CategoricalAccuracy()
    metric.update_state(np.full((3, 3), 1 / 3), np.eye(3)[[0, 0, 2]])
    assert metric.result() == 2 / 3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_model_predicts_the_first_of_equal_outputs(backend: str, run_eagerly: bool, sparse: bool) -> None:
    """All outputs of a softmax layer of zeros are equal, so the samples of class 0 count as right: 3 of 8."""
    x, labels = np.random.default_rng(0).normal(size=(8, 3)), np.array([0, 1, 2, 0, 1, 2, 0, 1])
    y = labels if sparse else np.eye(3)[labels]
    model = Sequential([Dense(3, "softmax", kernel_initializer="zeros")], backend=backend)
    loss = SparseCategoricalCrossentropy() if sparse else CategoricalCrossentropy()
    model.compile(SGD(0.0), loss, metrics=["accuracy"], run_eagerly=run_eagerly)
    accuracies = [
        *model.fit(x, y, batch_size=3, epochs=2, verbose=0).history["accuracy"],
        model.evaluate(x, y, verbose=0)[1],
        model.train_on_batch(x, y)[1],
    ]
    assert accuracies == [3 / 8] * 4
    assert (model.fused is not None) == (backend == "numba" and not run_eagerly)


@pytest.mark.parametrize("backend", BACKENDS)
def test_reduction_sum_applies_to_a_model_with_softmax(backend: str) -> None:
    """The loss of a batch and its gradients are N times those of the mean."""
    x, results = np.random.default_rng(0).normal(size=(8, 3)), []
    for reduction in ("sum_over_batch_size", "sum"):
        model = Sequential([Dense(3, "softmax", kernel_initializer="zeros")], backend=backend, dtype="float64")
        model.compile(SGD(0.1), CategoricalCrossentropy(reduction=reduction))
        _, gradients = model.gradients(x, np.eye(3)[np.arange(8) % 3])
        history = model.fit(x, np.eye(3)[np.arange(8) % 3], verbose=0).history  # one batch
        results.append([history["loss"][0], *gradients, *model.get_weights()])
    for mean, total in zip(*results, strict=True):
        np.testing.assert_allclose(total, 8 * mean, rtol=1e-12, atol=1e-15)


def test_compile_copies_the_loss() -> None:
    """Models with different backends may share a loss object, and later changes of it have no effect."""
    loss, x, y = CategoricalCrossentropy(), np.eye(4, 2), np.eye(3)[[0, 1, 2, 0]]
    models = [Sequential([Dense(3, "softmax")], backend=backend) for backend in BACKENDS]
    for model in models:
        model.compile("sgd", loss)
    assert [model.loss.backend for model in models] == list(BACKENDS)
    assert loss.backend == "numpy"
    before = models[0].evaluate(x, y, verbose=0)
    loss.reduction = "sum"
    assert models[0].evaluate(x, y, verbose=0) == before


class LargestOutput(Metric):
    """A metric of the user's, which reads no targets."""

    def values(self, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        return y_pred.max(axis=1)


@pytest.mark.parametrize(("loss", "y"), [("sparse_categorical_crossentropy", [1, 2]), ("categorical_crossentropy", T)])
def test_an_own_metric_fits_every_loss(loss: str, y: object) -> None:
    model = Sequential([Softmax(input_shape=(3,))])
    model.compile("sgd", loss, metrics=[LargestOutput("largest")])
    expected = model.predict(Y, verbose=0).max(axis=1).mean()
    assert model.evaluate(Y, y, verbose=0)[1] == pytest.approx(expected)


def test_metrics_take_lists() -> None:
    for metric, y, outputs, expected in (
        (SparseCategoricalAccuracy(), [0, 1], [[0.9, 0.1], [0.8, 0.2]], 0.5),
        (CategoricalAccuracy(), [[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]], 0.5),
        (BinaryAccuracy(), [0, 1], [[0.4], [0.6]], 1.0),
        (MeanSquaredError(), [[0], [1]], [[0.5], [0.5]], 0.25),
    ):
        metric.update_state(y, outputs)
        assert metric.result() == expected


def test_a_metric_that_returns_no_number_is_refused() -> None:
    model = Sequential([Dense(3, "softmax", input_shape=(3,))])
    model.compile("sgd", "categorical_crossentropy", metrics=[MeanMetricWrapper(lambda y, out: None, name="mine")])
    with pytest.raises(ValueError, match=r"^The metric 'mine' must return numbers; got None\.$"):
        model.evaluate(Y, T, verbose=0)


def test_a_refused_compile_changes_no_metric() -> None:
    metric = CategoricalAccuracy("mine")
    model = Sequential([Dense(3, "softmax", input_shape=(3,))])
    model.compile("sgd", "categorical_crossentropy", metrics=[metric])
    with pytest.raises(ValueError, match="Unknown metric 'auc'"):
        model.compile("sgd", "categorical_crossentropy", metrics=["acc", "auc"], weighted_metrics=[metric])
    assert (metric.name, metric.weighted) == ("mine", False)


def test_one_metric_may_be_listed_in_both() -> None:
    metric = CategoricalAccuracy("mine")
    model = Sequential([Dense(3, "softmax", input_shape=(3,))])
    model.compile("sgd", "categorical_crossentropy", metrics=[metric], weighted_metrics=[metric])
    assert [(each.name, each.weighted) for each in model.metrics] == [("mine", False), ("weighted_mine", True)]
    weights = np.array([1.0, 0.0])
    values = model.evaluate(Y, T, sample_weight=weights, return_dict=True, verbose=0)
    right = model.predict(Y, verbose=0).argmax(axis=1) == T.argmax(axis=1)
    assert values["mine"] == right.mean()
    assert values["weighted_mine"] == right[0]


def test_accuracy_fits_the_layers_that_a_model_has_in_the_end() -> None:
    model = Sequential()
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    model.add(Activation("sigmoid", input_shape=(1,)))
    x, y, weights = np.array([[-1.0], [2.0], [3.0]]), np.array([0, 1, 0]), np.array([1.0, 1.0, 0.0])
    assert model.evaluate(x, y, sample_weight=weights, verbose=0)[1:] == [pytest.approx(2 / 3), 1.0]
    model = Sequential([Dense(3, "softmax", input_shape=(3,)), Dense(1)])
    model.compile("sgd", "mse", metrics=["accuracy"])
    model.pop()
    model.set_weights([np.eye(3), np.zeros(3)])
    assert model.evaluate(Y, T, verbose=0)[1] == 0.5


def test_a_metric_may_be_a_function_of_scratch() -> None:
    model = Sequential([Dense(3, "softmax", input_shape=(3,))])
    model.compile("sgd", "categorical_crossentropy", metrics=[categorical_accuracy])
    assert type(model.metrics[0]) is CategoricalAccuracy
    with pytest.raises(ValueError, match=r"^Unknown metric 3: "):
        model.compile("sgd", "categorical_crossentropy", metrics=[3])


def test_the_values_of_a_metric_are_added_in_float64() -> None:
    metric = MeanMetricWrapper(lambda y, out: np.array([2**24, 1, 1], np.float32), name="mine")
    metric.update_state(np.zeros(3), np.zeros(3))
    assert metric.total == 2**24 + 2


def test_called_losses_and_metrics_weight_the_samples() -> None:
    loss, weights = CategoricalCrossentropy(reduction="sum"), [2, 0]
    assert float(loss(T, Y, weights)) == pytest.approx(-2 * np.log(0.95))
    assert float(loss(T[0], Y[0], 2)) == pytest.approx(-2 * np.log(0.95))  # one sample, as in Keras
    metric = MeanSquaredError()
    assert metric(T, Y, weights) == pytest.approx(0.05**2 * 2 / 3)
    assert metric(T, Y) == pytest.approx((2 * 0.005 + 0.005 + 1.46) / 3 / 4)


def test_a_metric_of_a_loss_is_to_fall() -> None:
    for fn in (losses.categorical_crossentropy, CategoricalCrossentropy()):
        assert MeanMetricWrapper(fn).direction == "down"
    assert MeanMetricWrapper(categorical_accuracy).direction != "down"


def test_a_loss_function_takes_the_options_of_its_class() -> None:
    logits = np.array([[0.0, 1.0, 2.0]])
    expected = CategoricalCrossentropy(from_logits=True)(T[:1], logits)
    np.testing.assert_array_equal(losses.categorical_crossentropy(T[:1], logits, from_logits=True), [expected])


def test_one_number_as_the_weight_of_a_call() -> None:
    """It multiplies the loss of each sample; in a metric, the batch counts as one sample with that weight (Keras)."""
    metric, loss = MeanAbsoluteError(), losses.MeanAbsoluteError()
    zeros, far = np.zeros((4, 2), np.float32), np.tile([4.0, 8.0], (4, 1))
    metric.update_state(zeros, zeros + 1)
    assert metric(zeros, far, sample_weight=2) == (4 * 1 + 2 * 6) / (4 + 2)
    assert loss(zeros, far, sample_weight=0.5) == 3
    with pytest.raises(ValueError, match="sample_weight must hold finite numbers; got nan"):
        metric.update_state(zeros, zeros, sample_weight=np.nan)
    assert metric.count == 6
