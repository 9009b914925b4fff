"""Losses called on arrays, and the two accuracies."""

import numpy as np
import pytest

from scratch.layers import Dense
from scratch.losses import CategoricalCrossentropy, SoftmaxCrossEntropy, SparseCategoricalCrossentropy
from scratch.metrics import CategoricalAccuracy, Mean, SparseCategoricalAccuracy
from scratch.models import Sequential

Y = np.array([[0.05, 0.95, 0], [0.1, 0.8, 0.1]])
T = np.array([[0, 1, 0], [0, 0, 1]])


def test_keras_documented_values() -> None:
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


def test_label_smoothing_mixes_in_the_uniform_distribution() -> None:
    smoothed = T * 0.7 + 0.1
    got = CategoricalCrossentropy(label_smoothing=0.3)(T, Y)
    clipped = np.clip(Y, 1e-7, 1 - 1e-7)
    assert float(got) == pytest.approx(-(smoothed * np.log(clipped)).sum(axis=1).mean(), rel=1e-12)


def test_dtype_follows_the_predictions() -> None:
    for dtype in ("float32", "float64"):
        assert CategoricalCrossentropy()(T, Y.astype(dtype)).dtype == dtype
    assert CategoricalCrossentropy()(T, T).dtype == np.float32  # whole numbers


def test_options_are_kept() -> None:
    sparse = SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    assert (sparse.from_logits, sparse.reduction) == (True, "sum")
    assert not CategoricalCrossentropy().from_logits


@pytest.mark.parametrize("n", [10, 1000, 20_000])
def test_a_mean_is_rounded_once(n: int, rng: np.random.Generator) -> None:
    """The loss of a float32 batch is the float64 mean of its samples' losses, rounded at the end."""
    logits, t = rng.normal(scale=5, size=(n, 3)).astype("float32"), np.eye(3, dtype="float32")[np.arange(n) % 3]
    each = SoftmaxCrossEntropy("none").forward(logits, t)
    assert SoftmaxCrossEntropy().forward(logits, t) == np.float32(each.sum(dtype="float64") / n)
    assert SoftmaxCrossEntropy("sum").forward(logits, t) == np.float32(each.sum(dtype="float64"))


def test_label_smoothing_survives_the_way_through_the_logits() -> None:
    """A model that ends in a softmax trains on the smoothed targets, as the loss on its outputs says."""
    loss = CategoricalCrossentropy(label_smoothing=0.3)
    model = Sequential([Dense(3, "softmax")], dtype="float64")
    model.compile("sgd", loss)
    x = np.eye(2)
    assert model.evaluate(x, T, verbose=0) == pytest.approx(float(loss(T, model(x))), rel=1e-6)
    smoothed = T * 0.7 + 0.1
    np.testing.assert_allclose(model.gradients(x, T)[1][1], ((model(x) - smoothed) / 2).sum(axis=0), rtol=1e-12)


def test_backward_is_divided_by_the_batch() -> None:
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


def test_mean_weighs_every_sample_alike() -> None:
    mean = Mean()
    assert mean.result() == 0
    mean.add(3 * 1.0, 3)
    mean.add(5.0, 1)
    assert mean.result() == 2


def test_names_of_metrics_are_keras_names() -> None:
    assert [m().name for m in (Mean, CategoricalAccuracy, SparseCategoricalAccuracy)] == [
        "mean",
        "categorical_accuracy",
        "sparse_categorical_accuracy",
    ]


def test_metrics_can_be_one_name_or_an_object() -> None:
    model = Sequential([Dense(3, "softmax")])
    for metrics, name in (("acc", "acc"), ([CategoricalAccuracy()], "categorical_accuracy")):
        model.compile("sgd", "categorical_crossentropy", metrics=metrics)
        assert list(model.fit(Y, T, verbose=0).history) == sorted(["loss", name])
